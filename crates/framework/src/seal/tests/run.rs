use super::fixture::*;
use crate::seal::*;

#[test]
fn a_cleared_run_verifies() {
    let (_place, path) = sealed();
    let run = verify(&path, &trusted(), NOW).unwrap();
    assert!(matches!(run.outcome(), Outcome::Cleared(_)));
    assert_eq!(run.file(files::MODEL), Some(MODEL));
    assert_eq!(run.signer(), key(1).public().id());
    assert_eq!(run.log().entries().len(), 3);
}

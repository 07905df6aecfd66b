//! Second parties.

use std::fs;
use std::path::Path;

use underpin_core::{Digest, Subject};

use super::amend::{renew, renewal};
use super::fixture::*;
use crate::seal::*;

const WITNESS: u8 = 9;

fn run_of(path: &Path) -> Run {
    inspect(path, &trusted()).unwrap()
}

fn witnesses(keys: &[u8]) -> Witnesses {
    Witnesses::new(keys.iter().map(|number| key(*number).public()).collect(), None)
}

fn put(path: &Path, id: Digest, bytes: &[u8]) {
    let statement = Witnesses::default().path(path, id);
    fs::create_dir_all(statement.parent().unwrap()).unwrap();
    fs::write(statement, bytes).unwrap();
}

/// The run in `path` witnessed by the key of this number.
pub(super) fn witnessed(path: &Path, number: u8) {
    put(path, key(number).public().id(), &witness(&run_of(path), &key(number), NOW).unwrap());
}

fn flaw(path: &Path, keys: &[u8]) -> Flaw {
    let fault = witnesses(keys).check(path, &run_of(path)).unwrap_err();
    assert!(fault.file.contains("run.witness"), "{fault}");
    fault.flaw
}

#[test]
fn a_run_needs_every_witness_it_is_asked_for() {
    let (_place, path) = sealed();
    let run = run_of(&path);
    assert_eq!(witnesses(&[]).check(&path, &run).unwrap(), []);
    let missing = |number: u8| Flaw::NotWitnessed { key: key(number).public().id() };
    assert_eq!(flaw(&path, &[8, 9]), missing(8));
    witnessed(&path, 8);
    assert_eq!(flaw(&path, &[8, 9]), missing(9));
    witnessed(&path, 9);
    let seen = witnesses(&[8, 9]).check(&path, &run).unwrap();
    assert_eq!((seen.len(), seen[0].head, seen[0].status), (2, run.log().head(), WitnessedStatus::Released));
    // One witness's statement is not another's.
    let folder = Witnesses::default().path(&path, key(8).public().id());
    put(&path, key(7).public().id(), &fs::read(folder).unwrap());
    assert_eq!(flaw(&path, &[7]), Flaw::Untrusted { key: key(8).public().id() });
    // Elsewhere, where it is said.
    let elsewhere = path.with_file_name("elsewhere");
    fs::rename(path.with_file_name("run.witness"), &elsewhere).unwrap();
    assert_eq!(flaw(&path, &[9]), missing(9));
    Witnesses::new(vec![key(9).public()], Some(elsewhere)).check(&path, &run).unwrap();
}

#[test]
fn a_later_clearance_is_not_covered() {
    let (_place, path) = sealed();
    witnessed(&path, WITNESS);
    amend(&path, &trusted(), &key(1), act(NOW, "noted"), &[("note", b"n".to_vec())].into()).unwrap();
    witnesses(&[WITNESS]).check(&path, &run_of(&path)).unwrap();
    renew(&path).unwrap();
    let newer = flaw(&path, &[WITNESS]);
    assert_eq!(newer, Flaw::NotCovered { file: files::CLEARANCE, entry: 5, what: "renewed".into() });
    assert!(newer.to_string().contains("clearance.dsse.json, which entry 5 of the log (`renewed`)"), "{newer}");
    witnessed(&path, WITNESS);
    witnesses(&[WITNESS]).check(&path, &run_of(&path)).unwrap();
    revoke(&path, &trusted(), &key(1), NOW, "bob", "a backdoor was found").unwrap();
    assert!(matches!(flaw(&path, &[WITNESS]), Flaw::NotCovered { file: files::REVOCATION, entry: 6, .. }));
}

#[test]
fn each_decisive_file_that_is_replaced_alone_is_not_covered() {
    for name in [files::EVIDENCE, files::SAFETY, files::CLEARANCE, files::POLICY, files::MODEL, files::LEDGER] {
        let (_place, path) = sealed();
        witnessed(&path, WITNESS);
        // The same bytes once more: the entry alone is newer.
        let same = fs::read(path.join(name)).unwrap();
        amend(&path, &trusted(), &key(1), act(NOW, "again"), &[(name, same)].into()).unwrap();
        assert_eq!(flaw(&path, &[WITNESS]), Flaw::NotCovered { file: name, entry: 4, what: "again".into() });
    }
}

#[test]
fn a_run_is_not_its_own_witness() {
    let (_place, path) = sealed();
    let own = key(1).public().id();
    assert!(matches!(witness(&run_of(&path), &key(1), NOW), Err(Error::OwnWitness { key }) if key == own));
    // Nor by a statement that is signed by hand.
    put(&path, own, &signed_by(1, |_| {}, &path));
    assert_eq!(flaw(&path, &[1]), Flaw::OwnWitness { key: own });
    // Nor does the key that signed the clearance alone, or an entry alone.
    let both = [key(1).public(), key(2).public()];
    let mut renewed = renewal();
    let sample = Sample::cleared();
    let (policy, _) = policy::read(&sample.policy).unwrap();
    let signed = fs::read(path.join(files::EVIDENCE)).unwrap();
    let document = clearance(&policy, &sample.evidence, &signed).sign(&key(2)).unwrap();
    renewed.retain(|name, _| *name == files::CLEARANCE);
    renewed.insert(files::CLEARANCE, document);
    amend(&path, &both, &key(1), act(NOW, "renewed"), &renewed).unwrap();
    let run = inspect(&path, &both).unwrap();
    assert!(matches!(witness(&run, &key(2), NOW), Err(Error::OwnWitness { .. })));
    let (_place, path) = sealed();
    amend(&path, &both, &key(2), act(NOW, "noted"), &[].into()).unwrap();
    let run = inspect(&path, &both).unwrap();
    assert!(matches!(witness(&run, &key(2), NOW), Err(Error::OwnWitness { .. })));
    witness(&run, &key(3), NOW).unwrap();
}

/// A statement of the run in `path`, changed before it is signed.
fn signed_by(number: u8, change: impl FnOnce(&mut WitnessStatement), path: &Path) -> Vec<u8> {
    let run = run_of(path);
    let mut statement = WitnessStatement {
        root: run.log().root(),
        head: run.log().head(),
        policy: run.evidence().policy,
        status: WitnessedStatus::Released,
        at: NOW,
    };
    change(&mut statement);
    let subject = Subject { name: files::LOG.into(), digest: statement.head.digest };
    sign(&statement, &[subject], &key(number)).unwrap()
}

/// What is changed of a statement, and words of what it is refused for.
type Statement = (&'static str, fn(&mut WitnessStatement), &'static str);

/// Each change of a statement that its own witness signed, and what it is refused for.
pub(super) fn statements() -> Vec<Statement> {
    vec![
        ("another root", |it| it.root = Digest::of(b"another"), "the root of the log"),
        ("another head", |it| it.head.digest = Digest::of(b"another"), "does not go on from the head"),
        ("a longer head", |it| it.head.length += 1, "does not go on from the head"),
        ("a head of more entries", |it| it.head.entries += 1, "does not go on from the head"),
        ("a head of fewer entries", |it| it.head.entries -= 1, "does not go on from the head"),
        (
            "the head of the empty log",
            |it| it.head = LogHead { entries: 0, length: 0, digest: Digest::of(b"") },
            "does not go on from the head",
        ),
        ("another policy", |it| it.policy = Digest::of(b"another"), "the policy"),
        ("cleared", |it| it.status = WitnessedStatus::Cleared, "the verdict"),
        ("refused", |it| it.status = WitnessedStatus::Refused, "the verdict"),
        ("revoked", |it| it.status = WitnessedStatus::Revoked, "the verdict"),
    ]
}

/// What the witness of the run in `path` is refused for, when its statement is `bytes`.
pub(super) fn refusal(path: &Path, bytes: &[u8]) -> Option<String> {
    put(path, key(WITNESS).public().id(), bytes);
    witnesses(&[WITNESS]).check(path, &run_of(path)).err().map(|fault| fault.to_string())
}

pub(super) fn statement(path: &Path, change: fn(&mut WitnessStatement)) -> Vec<u8> {
    signed_by(WITNESS, change, path)
}

/// A statement about other subjects than its head.
pub(super) fn other_subjects(path: &Path) -> Vec<u8> {
    let run = run_of(path);
    let (root, head, policy) = (run.log().root(), run.log().head(), run.evidence().policy);
    let statement = WitnessStatement { root, head, policy, status: WitnessedStatus::Released, at: NOW };
    sign(&statement, &[Subject { name: files::MODEL.into(), digest: head.digest }], &key(WITNESS)).unwrap()
}

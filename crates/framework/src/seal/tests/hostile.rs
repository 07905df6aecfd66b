//! Bytes by someone who does not hold the key.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use underpin_core::Evidence;

use super::fixture::*;
use crate::seal::*;

/// The files of a run, but for its lock.
pub(super) fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// First and last byte of every file, and 2,000 positions drawn over all files together.
#[test]
fn every_flipped_byte_is_found() {
    let (_place, path) = sealed();
    let files: Vec<(String, Vec<u8>)> =
        names(&path).into_iter().map(|name| (name.clone(), fs::read(path.join(name)).unwrap())).collect();
    let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let mut positions: Vec<(usize, usize)> =
        files.iter().enumerate().flat_map(|(file, (_, bytes))| [(file, 0), (file, bytes.len() - 1)]).collect();
    for _ in 0..2_000 {
        let mut at = usize::try_from(random.next_u64() % total as u64).unwrap();
        let mut file = 0;
        while at >= files[file].1.len() {
            at -= files[file].1.len();
            file += 1;
        }
        positions.push((file, at));
    }
    assert!(files.len() >= 10 && positions.len() >= 2_000);
    for (file, at) in positions {
        let (name, bytes) = &files[file];
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (random.next_u32() % 8);
        fs::write(path.join(name), &changed).unwrap();
        let fault = verify(&path, &trusted(), NOW).expect_err(&format!("{name}, byte {at}"));
        assert_eq!(fault.file, *name, "byte {at}: {fault}");
        fs::write(path.join(name), bytes).unwrap();
    }
    verify(&path, &trusted(), NOW).unwrap();
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    Repeat(Index, usize),
    Replace(Vec<u8>),
    Swap(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..64);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), bytes()).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), 1..200_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        any::<Index>().prop_map(Mutation::Cut),
        (any::<Index>(), 1..2_000_usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        bytes().prop_map(Mutation::Replace),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let place = |at: &Index, length: usize| at.index(length.max(1)).min(length);
    let length = bytes.len();
    match mutation {
        Mutation::Replace(new) => bytes.clone_from(new),
        _ if bytes.is_empty() => {}
        Mutation::Set(at, byte) => bytes[place(at, length)] = *byte,
        Mutation::Insert(at, new) => drop(bytes.splice(place(at, length)..place(at, length), new.clone())),
        Mutation::Remove(at, count) => drop(bytes.drain(place(at, length)..length.min(place(at, length) + count))),
        Mutation::Cut(at) => bytes.truncate(place(at, length)),
        Mutation::Repeat(at, count) => {
            let part = bytes[place(at, length)..length.min(place(at, length) + count)].to_vec();
            drop(bytes.splice(place(at, length)..place(at, length), part));
        }
        Mutation::Swap(a, b) => bytes.swap(place(a, length), place(b, length)),
    }
}

/// Put back as it was after every case.
static SAMPLE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_bytes_never_pass(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(Envelope::read(&bytes).is_err());
        prop_assert!(open::<Evidence>(&bytes, &trusted()).is_err());
        prop_assert!(bytes.is_empty() || Log::read(bytes.clone(), &trusted()).is_err());
        prop_assert!(policy::read(&bytes).is_err());
        prop_assert!(!key(1).public().verifies(&bytes, &bytes));
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(PublicKey::from_pem(&text).is_err() && SigningKey::from_pem(&text).is_err());
    }

    #[test]
    fn hostile_payloads_that_are_signed_never_panic(payload in r#"[\{\}\[\]:,"a-z0-9 _\\]{0,200}"#) {
        let bytes = Envelope::sign(payload.into_bytes(), &key(1)).to_bytes();
        prop_assert!(open::<Evidence>(&bytes, &trusted()).is_err());
        prop_assert!(Log::read(bytes, &trusted()).is_err());
    }

    #[test]
    fn a_mutated_folder_never_passes(
        file in any::<Index>(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let folder = SAMPLE.get_or_init(sealed);
        let path = &folder.1;
        let names = names(path);
        let path = path.join(&names[file.index(names.len())]);
        let original = fs::read(&path).unwrap();
        let mut bytes = original.clone();
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        prop_assume!(bytes != original);
        fs::write(&path, bytes).unwrap();
        let verified = verify(path.parent().unwrap(), &trusted(), NOW);
        fs::write(&path, original).unwrap();
        prop_assert!(verified.is_err());
        prop_assert!(verify(path.parent().unwrap(), &trusted(), NOW).is_ok());
    }
}

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::*;
use redb::Database;
use underpin_core::{Delta, Epsilon};

use super::*;
use crate::budget::chain::Chain;
use crate::budget::entry::{BudgetEvent, ChainHead, ChargedEvent};
use crate::budget::replay::{BudgetTotals, Replayed, genesis, replay};
use crate::budget::writer::{BudgetJob, BudgetWriter};
use crate::durable::BatchWriter;
use crate::{Adjacency, Budget, BudgetTerms, Cost};

fn terms() -> BudgetTerms {
    BudgetTerms::new(Epsilon::new(10.0).unwrap(), Delta::new(1e-6).unwrap())
}

const COST: Cost = Cost::Concentrated(1e-3);

/// A new budget's file with `reservations` entries of a cost, all closed; the head.
fn closed(path: &Path, reservations: u64) -> ChainHead {
    let budget = Budget::create(path, &terms()).unwrap();
    for n in 0..reservations {
        let paid = budget.reserve_for(&format!("question {n}"), COST).unwrap();
        if n % 3 == 0 { paid.commit() } else { drop(paid) }
    }
    budget.close().unwrap()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.budget");
    (folder, path)
}

#[test]
fn what_was_spent_stays_spent_over_a_restart() {
    let (_folder, path) = folder();
    let budget = Budget::create(&path, &terms()).unwrap();
    for _ in 0..20 {
        budget.reserve(Cost::Concentrated(budget.rho() / 50.0)).unwrap().commit();
    }
    budget.reserve(COST).unwrap().give_back();
    let (left, spent) = (budget.left(), budget.writer.snapshot().spent);
    let head = budget.close().unwrap();
    assert_eq!(head.sequence(), 42);
    let budget = Budget::open(&path, &terms(), Some(&head)).unwrap();
    assert_eq!((budget.left(), budget.writer.snapshot().spent, budget.head()), (left, spent, head));
    assert!((left - 0.6).abs() < 1e-9);
    assert!(budget.reserve(Cost::Concentrated(budget.rho() * 0.61)).is_err());
}

#[test]
fn a_second_writer_is_refused() {
    let (_folder, path) = folder();
    let budget = Budget::create(&path, &terms()).unwrap();
    assert_eq!(Budget::open(&path, &terms(), None).unwrap_err(), Error::BudgetInUse { path: path.clone() });
    assert!(matches!(Budget::create(&path, &terms()), Err(Error::BudgetFile { .. })));
    drop(budget);
    assert!(matches!(Budget::create(&path, &terms()), Err(Error::BudgetFile { .. })), "a file is never replaced");
    drop(Budget::open(&path, &terms(), None).unwrap());
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no draft is left: {left:?}");
}

#[test]
fn a_missing_or_strange_file_is_refused() {
    let (_folder, path) = folder();
    assert!(matches!(Budget::open(&path, &terms(), None), Err(Error::BudgetFile { .. })));
    assert!(!path.exists(), "nothing is made by opening");
    for strange in [vec![], vec![7; 3], vec![7; 9000], vec![0; 9000]] {
        fs::write(&path, &strange).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let refused = Budget::open(&path, &terms(), None);
        assert!(matches!(refused, Err(Error::BudgetDamaged { .. })), "{} bytes: {refused:?}", strange.len());
        fs::remove_file(&path).unwrap();
    }
    // A database of something else.
    drop(Database::create(&path).unwrap());
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(matches!(Budget::open(&path, &terms(), None), Err(Error::BudgetDamaged { .. })));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (_folder, path) = folder();
    closed(&path, 0);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(Budget::open(&path, &terms(), None), Err(Error::BudgetFile { .. })));
}

/// Guarantee 4 of `DurableStore`.
#[cfg(unix)]
#[test]
fn a_file_of_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    use crate::durable::{DurableStore, Exposure, StoreError};

    let (folder, path) = folder();
    closed(&path, 0);
    let link = folder.path().join("link.budget");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let refused = Budget::open(&link, &terms(), None).unwrap_err();
    assert_eq!(refused, Error::BudgetFile { path: link.clone(), fault: FileFault::Exposed(Exposure::Link) });
    for opened in [DurableStore::open(&link), DurableStore::open_or_create(&link)] {
        assert!(matches!(opened, Err(StoreError::Exposed { exposure: Exposure::Link, .. })), "{opened:?}");
    }
    // Whoever may read the file may lock it: it is refused for its permissions, not found in use.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let reader = fs::File::open(&path).unwrap();
    reader.lock_shared().unwrap();
    let refused = Budget::open(&path, &terms(), None).unwrap_err();
    assert_eq!(refused, Error::BudgetFile { path, fault: FileFault::Exposed(Exposure::Permissions { mode: 0o644 }) });
}

#[test]
fn other_terms_are_refused() {
    let (_folder, path) = folder();
    let whole = terms();
    closed(&path, 1);
    let (epsilon, delta) = (Epsilon::new(10.0_f64.next_up()).unwrap(), Delta::new(1e-7).unwrap());
    let others = [
        ("epsilon", BudgetTerms { epsilon, ..whole.clone() }),
        ("delta", BudgetTerms { delta, ..whole.clone() }),
        ("set_aside", BudgetTerms { set_aside: Some(delta), ..whole.clone() }),
        ("adjacency", BudgetTerms { adjacency: Adjacency::ZeroOut, ..whole.clone() }),
        ("unit", BudgetTerms { unit: "one row".into(), ..whole.clone() }),
    ];
    for (differs, other) in others {
        let refused = Budget::open(&path, &other, None);
        assert!(matches!(refused, Err(Error::OtherTerms { name, .. }) if name == differs), "{differs}: {refused:?}");
    }
    assert!(Budget::open(&path, &whole, None).is_ok());
}

#[test]
fn an_older_copy_is_refused() {
    let (_folder, path) = folder();
    let early = closed(&path, 3);
    let copy = fs::read(&path).unwrap();
    let budget = Budget::open(&path, &terms(), Some(&early)).unwrap();
    budget.reserve(COST).unwrap().commit();
    let late = budget.close().unwrap();
    fs::write(&path, &copy).unwrap();
    let refused = Budget::open(&path, &terms(), Some(&late)).unwrap_err();
    let rolled_back = Error::BudgetRolledBack { path: path.clone(), known: late.to_string(), found: early.to_string() };
    assert_eq!(refused, rolled_back);
    // The copy went its own way, past the known number.
    let budget = Budget::open(&path, &terms(), Some(&early)).unwrap();
    for _ in 0..9 {
        budget.reserve(Cost::Concentrated(1e-9)).unwrap().commit();
    }
    drop(budget);
    assert!(matches!(Budget::open(&path, &terms(), Some(&late)), Err(Error::BudgetRolledBack { .. })));
    assert!(Budget::open(&path, &terms(), Some(&early)).is_ok());
}

/// Changes the entries by the store's own means.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<(u64, Vec<u8>)>)) {
    let store = Database::open(path).unwrap();
    let transaction = store.begin_write().unwrap();
    let mut table = transaction.open_table(ENTRIES).unwrap();
    let mut entries = Vec::new();
    table
        .retain(|sequence, bytes| {
            entries.push((sequence, bytes.to_owned()));
            false
        })
        .unwrap();
    change(&mut entries);
    for (sequence, bytes) in entries {
        table.insert(sequence, bytes.as_slice()).unwrap();
    }
    drop(table);
    transaction.commit().unwrap();
}

/// Chains the entries anew, as who knows the format can.
fn forge(entries: &mut Vec<(u64, Vec<u8>)>) {
    let mut head = ChainHead::START;
    for (sequence, (number, bytes)) in (0..).zip(entries) {
        *number = sequence;
        bytes.truncate(bytes.len() - 32);
        head = head.then(sequence, bytes);
        bytes.extend_from_slice(head.hash.as_bytes());
    }
}

fn assert_refused(edit: &str, change: impl FnOnce(&mut Vec<(u64, Vec<u8>)>)) {
    let (_folder, path) = folder();
    closed(&path, 4);
    rewrite(&path, change);
    let refused = Budget::open(&path, &terms(), None);
    assert!(matches!(refused, Err(Error::BudgetDamaged { .. })), "{edit}: {refused:?}");
}

#[test]
fn an_edited_record_is_refused() {
    assert_refused("one left out", |entries| drop(entries.remove(2)));
    assert_refused("the terms left out", |entries| drop(entries.remove(0)));
    assert_refused("all left out", Vec::clear);
    assert_refused("two exchanged", |entries| {
        let bytes = entries[2].1.clone();
        entries[2].1 = std::mem::replace(&mut entries[3].1, bytes);
    });
    assert_refused("one cut short", |entries| entries[2].1.truncate(20));
    // Chained anew, but no sense.
    assert_refused("terms stated twice", |entries| {
        entries.push(entries[0].clone());
        forge(entries);
    });
    for act in [BudgetEvent::Answered { reservation: 1 }, BudgetEvent::GivenBack { reservation: 1 }] {
        assert_refused("a reservation settled twice", |entries| {
            let body = ChargedEvent::from(act.clone()).encode();
            entries.push((0, [body, vec![0; 32]].concat()));
            forge(entries);
        });
    }
    // Every byte of an entry, its hash included.
    let (_folder, path) = folder();
    closed(&path, 4);
    let mut length = 0;
    rewrite(&path, |entries| length = entries[3].1.len());
    for position in 0..length {
        rewrite(&path, |entries| entries[3].1[position] ^= 1);
        let refused = Budget::open(&path, &terms(), None);
        assert!(matches!(refused, Err(Error::BudgetDamaged { .. })), "byte {position}: {refused:?}");
        rewrite(&path, |entries| entries[3].1[position] ^= 1);
    }
    // A valid record of less: only the head finds it out.
    let head = Budget::open(&path, &terms(), None).unwrap().close().unwrap();
    rewrite(&path, |entries| {
        entries.drain(2..5);
        entries.truncate(3);
        forge(entries);
    });
    assert!(matches!(Budget::open(&path, &terms(), Some(&head)), Err(Error::BudgetRolledBack { .. })));
}

/// A disk in memory that logs what is written, and can be made to fail.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Image>>);

#[derive(Debug, Default)]
struct Image {
    bytes: Vec<u8>,
    log: Vec<Written>,
    broken: bool,
}

#[derive(Clone, Debug)]
enum Written {
    Bytes(usize, Vec<u8>),
    Length(usize),
    Synchronised,
}

impl Image {
    fn write(&mut self, written: &Written) {
        match written {
            Written::Bytes(offset, bytes) => {
                let end = offset + bytes.len();
                self.bytes.resize(self.bytes.len().max(end), 0);
                self.bytes[*offset..end].copy_from_slice(bytes);
            }
            Written::Length(length) => self.bytes.resize(*length, 0),
            Written::Synchronised => {}
        }
    }
}

impl Disk {
    fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Image { bytes, ..Image::default() })))
    }

    fn image(&self) -> std::sync::MutexGuard<'_, Image> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, written: Written) -> io::Result<()> {
        let mut image = self.image();
        if image.broken {
            return Err(io::Error::other("disk full"));
        }
        image.write(&written);
        image.log.push(written);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.image().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.image();
        let bytes = image.bytes.get(offset as usize..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(io::Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.record(Written::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.record(Written::Synchronised)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.record(Written::Bytes(offset as usize, data.to_owned()))
    }
}

fn replayed(file: &BudgetFile, known: Option<&ChainHead>) -> Result<Replayed, Error> {
    replay(file.path(), Chain::new(file.path().to_owned(), file.stored()?), &terms(), known)
}

/// Opens the bytes of a file and reads its record.
fn read(bytes: Vec<u8>, known: Option<&ChainHead>) -> Result<BudgetTotals, Error> {
    let mut file = BudgetFile::over(Path::new("disk"), Disk::holding(bytes))?;
    let totals = replayed(&file, known)?.totals;
    // It goes on from there.
    file.append(totals.head.sequence + 1, &[vec![0]])?;
    Ok(totals)
}

fn ledger(disk: Disk) -> BudgetWriter {
    let mut file = BudgetFile::over(Path::new("disk"), disk).unwrap();
    file.append(0, &[genesis(&terms())]).unwrap();
    let replayed = replayed(&file, None).unwrap();
    BudgetWriter::new(replayed, Box::new(file))
}

fn job() -> BudgetJob {
    let charge = COST.charge(&crate::budget::filter::Filter::new(&terms()), Adjacency::AddOrRemove).unwrap();
    BudgetJob::Reserve { cost: COST, charge, label: "a question".into() }
}

#[test]
fn a_failing_disk_acknowledges_nothing() {
    let disk = Disk::default();
    let mut ledger = ledger(disk.clone());
    assert!(ledger.write(vec![job()]).iter().all(Result::is_ok));
    let before = ledger.snapshot();
    disk.image().broken = true;
    for verdict in ledger.write(vec![job(), BudgetJob::Sync, job()]) {
        assert!(matches!(verdict, Err(Error::BudgetFile { .. })), "{verdict:?}");
    }
    disk.image().broken = false;
    assert!(ledger.write(vec![job()]).iter().all(Result::is_err), "it is not known what was written");
    assert_eq!(ledger.snapshot(), before);
}

/// The power fails after every single write; of the writes since the last synchronisation any may be lost.
#[test]
fn a_power_loss_refills_nothing() {
    let disk = Disk::default();
    let mut ledger = ledger(disk.clone());
    let start = disk.image().log.len();
    // How much of the log was written when so much was acknowledged.
    let mut acknowledged = vec![(start, ledger.snapshot())];
    for batch in [1, 1, 5, 40, 1, 3, 200, 1] {
        assert!(ledger.write((0..batch).map(|_| job()).collect()).iter().all(Result::is_ok));
        acknowledged.push((disk.image().log.len(), ledger.snapshot()));
    }
    let log = disk.image().log.clone();
    let mut state = 7_u64;
    let mut coin = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 63 == 1
    };
    let filter = crate::budget::filter::Filter::new(&terms());
    let mut losses = 0;
    for end in start..=log.len() {
        let synchronised = log[..end].iter().rposition(|written| matches!(written, Written::Synchronised)).unwrap_or(0);
        let (_, least) = acknowledged.iter().rev().find(|(written, _)| *written <= end).unwrap();
        for keep in 0..3 {
            let mut image = Image::default();
            log[..synchronised].iter().for_each(|written| image.write(written));
            // None, all, or some.
            for written in log[synchronised..end].iter().filter(|_| keep == 1 || keep == 2 && coin()) {
                image.write(written);
            }
            let totals = read(image.bytes, Some(&least.head)).unwrap();
            assert!(filter.left(&totals.spent) <= filter.left(&least.spent));
            assert!(totals.head.sequence() >= least.head.sequence());
            losses += 1;
        }
    }
    assert!(losses > 100, "{losses} losses of power");
}

/// Bytes of a file that was closed, or whose process died; how it stood, and before its last write.
fn bytes(died: bool) -> (Vec<u8>, BudgetTotals, BudgetTotals) {
    let disk = Disk::default();
    let mut ledger = ledger(disk.clone());
    let mut all = Vec::new();
    for batch in [1, 30, 2, 4] {
        assert!(ledger.write((0..batch).map(|_| job()).collect()).iter().all(Result::is_ok));
        all.push(ledger.snapshot());
    }
    let bytes = disk.image().bytes.clone();
    drop(ledger);
    (if died { bytes } else { disk.image().bytes.clone() }, all[3], all[2])
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::BudgetDamaged { .. } | Error::BudgetRolledBack { .. } | Error::BudgetFile { .. })
}

#[test]
fn changed_bytes_refill_nothing() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(5),
        ..ProptestConfig::default()
    });
    for died in [false, true] {
        let (whole, totals, before) = bytes(died);
        assert_eq!(read(whole.clone(), Some(&totals.head)).unwrap(), totals);
        let check = |changed: Vec<u8>| {
            match read(changed.clone(), Some(&totals.head)) {
                Ok(found) => prop_assert_eq!(&found, &totals),
                Err(error) => prop_assert!(is_refusal(&error), "{}", error),
            }
            // Who knows no head loses the last write of a process that died, at most.
            match read(changed, None) {
                Ok(found) => prop_assert!(found == totals || died && found == before, "{:?}", found),
                Err(error) => prop_assert!(is_refusal(&error), "{}", error),
            }
            Ok(())
        };
        // The header, bit by bit; positions that hold something; anywhere; shorter and longer.
        for bit in 0..8 * 320 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check(changed).unwrap();
        }
        let held: Vec<usize> = (0..whole.len()).filter(|position| whole[*position] != 0).collect();
        let one = (any::<prop::sample::Index>(), 1..=255_u8);
        let flip = |(index, change): (prop::sample::Index, u8)| {
            let mut changed = whole.clone();
            changed[held[index.index(held.len())]] ^= change;
            check(changed)
        };
        runner.run(&one, flip).unwrap();
        let some = prop::collection::vec((0..whole.len(), any::<u8>()), 1..9);
        let scatter = |changes: Vec<(usize, u8)>| {
            let mut changed = whole.clone();
            for (position, byte) in changes {
                changed[position] = byte;
            }
            check(changed)
        };
        runner.run(&some, scatter).unwrap();
        let cut = |length| {
            let mut changed = whole.clone();
            changed.resize(length, 0);
            check(changed)
        };
        runner.run(&(1..2 * whole.len()), cut).unwrap();
    }
}

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use underpin_privacy::durable::{DurableStore, Exposure};

use super::*;

fn quota(queries: u64) -> Quota {
    Quota { queries, per_second: None }
}

fn opened() -> (tempfile::TempDir, QueryLedger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = QueryLedger::open(&folder.path().join("queries.redb")).unwrap();
    (folder, ledger)
}

#[test]
fn a_request_too_large_debits_nothing() {
    let (_folder, ledger) = opened();
    assert_eq!(ledger.debit("a", 7, &quota(10)), Ok(Receipt { used: 7, remaining: 3 }));
    assert_eq!(ledger.debit("a", 4, &quota(10)), Err(Denied::QuotaExhausted { used: 7, limit: 10, asked: 4 }));
    assert_eq!(
        ledger.debit("a", u64::MAX, &quota(u64::MAX)),
        Err(Denied::QuotaExhausted { used: 7, limit: u64::MAX, asked: u64::MAX })
    );
    assert_eq!(ledger.used("a").unwrap(), 7);
    assert_eq!(ledger.debit("a", 3, &quota(10)), Ok(Receipt { used: 10, remaining: 0 }));
    assert_eq!(ledger.debit("a", 0, &quota(10)), Ok(Receipt { used: 10, remaining: 0 }));
    assert!(ledger.debit("a", 1, &quota(10)).is_err());
    assert!(ledger.debit("a", 0, &quota(9)).is_err());
}

#[test]
fn clients_are_counted_apart_and_over_a_restart() {
    let (folder, ledger) = opened();
    ledger.debit("a", 3, &quota(10)).unwrap();
    ledger.debit("b", 5, &quota(10)).unwrap();
    drop(ledger);
    let ledger = QueryLedger::open(&folder.path().join("queries.redb")).unwrap();
    assert_eq!((ledger.used("a").unwrap(), ledger.used("b").unwrap(), ledger.used("c").unwrap()), (3, 5, 0));
}

#[test]
fn threads_together_never_exceed_the_quota() {
    let (_folder, ledger) = opened();
    let (threads, asks, size, limit) = (16, 40, 3, 1000);
    let acknowledged: u64 = std::thread::scope(|scope| {
        let ask = || (0..asks).filter(|_| ledger.debit("a", size, &quota(limit)).is_ok()).count() as u64 * size;
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // 1,920 are asked for; 333 requests of 3 fit into 1,000, and each of them was acknowledged.
    assert_eq!(acknowledged, 999);
    assert_eq!(ledger.used("a").unwrap(), 999);
}

#[test]
fn a_second_process_and_a_strange_file_are_refused() {
    let (folder, ledger) = opened();
    let path = folder.path().join("queries.redb");
    assert!(matches!(QueryLedger::open(&path), Err(Error::InUse { .. })));
    drop(ledger);
    let strange = folder.path().join("strange");
    crate::file::replace(&strange, &[7; 9000]).unwrap();
    assert!(matches!(QueryLedger::open(&strange), Err(Error::Ledger { .. })));
    let nowhere = folder.path().join("no/such/folder");
    assert!(matches!(QueryLedger::open(&nowhere), Err(Error::File { .. })));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, ledger) = opened();
    drop(ledger);
    let path = folder.path().join("queries.redb");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(
        QueryLedger::open(&path),
        Err(Error::Exposed { exposure: Exposure::Permissions { mode: 0o666 }, .. })
    ));
}

/// A store in memory that outlives the database over it, and whose disk can be made to be full.
#[derive(Clone, Debug, Default)]
struct Flaky {
    memory: Arc<InMemoryBackend>,
    full: Arc<AtomicBool>,
}

impl Flaky {
    fn check(&self) -> Result<(), io::Error> {
        if self.full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn ledger(&self) -> QueryLedger {
        let path = Path::new("memory");
        let flaky = self.clone();
        QueryLedger::over(LedgerStore::over(path, move || DurableStore::over(path, flaky.clone())).unwrap())
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> Result<u64, io::Error> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.check()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.check()?;
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.check()?;
        self.memory.write(offset, data)
    }
}

#[test]
fn a_failing_store_denies() {
    let flaky = Flaky::default();
    let ledger = flaky.ledger();
    assert!(ledger.debit("a", 1, &quota(10)).is_ok());
    flaky.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(matches!(ledger.debit("a", 1, &quota(10)), Err(Denied::Unavailable { .. })));
        assert!(ledger.check().is_err());
    }
}

#[test]
fn a_disk_that_was_full_for_a_moment_heals() {
    let flaky = Flaky::default();
    let ledger = flaky.ledger();
    let identity = ledger.identity().to_owned();
    let mut acknowledged = 0;
    for round in 0..20 {
        flaky.full.store(true, Ordering::SeqCst);
        let denied = ledger.debit("a", 3, &quota(1000));
        assert!(matches!(denied, Err(Denied::Unavailable { .. })), "{denied:?}");
        flaky.full.store(false, Ordering::SeqCst);
        if round % 2 == 0 {
            ledger.check().unwrap();
        }
        let receipt = ledger.debit("a", 2, &quota(1000)).unwrap();
        acknowledged += 2;
        assert!(receipt.used >= acknowledged, "{receipt:?}");
        assert_eq!(ledger.used("a").unwrap(), receipt.used);
    }
    assert!(ledger.counted() >= acknowledged && ledger.counted() <= ledger.used("a").unwrap());
    assert_eq!(ledger.identity(), identity);
    drop(ledger);
    assert!(flaky.ledger().used("a").unwrap() >= acknowledged);
}

#[test]
fn a_ledger_that_is_swapped_during_a_fault_is_refused() {
    let (flaky, other) = (Flaky::default(), Flaky::default());
    drop(other.ledger());
    let swapped = Arc::new(AtomicBool::new(false));
    let path = Path::new("memory");
    let opened = (flaky.clone(), other, Arc::clone(&swapped));
    let open = move || {
        DurableStore::over(path, if opened.2.load(Ordering::SeqCst) { opened.1.clone() } else { opened.0.clone() })
    };
    let ledger = QueryLedger::over(LedgerStore::over(path, open).unwrap());
    flaky.full.store(true, Ordering::SeqCst);
    assert!(ledger.debit("a", 1, &quota(10)).is_err());
    flaky.full.store(false, Ordering::SeqCst);
    swapped.store(true, Ordering::SeqCst);
    assert!(matches!(ledger.check(), Err(Error::OtherLedger { .. })));
    assert!(ledger.debit("a", 1, &quota(10)).is_err());
    swapped.store(false, Ordering::SeqCst);
    assert!(ledger.debit("a", 1, &quota(10)).is_ok());
}

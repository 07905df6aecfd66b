use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use underpin_privacy::durable::Exposure;

use super::*;

fn opened() -> (tempfile::TempDir, ClientBook) {
    let folder = tempfile::tempdir().unwrap();
    let book = ClientBook::open(&folder.path().join("clients.json")).unwrap();
    (folder, book)
}

#[test]
fn each_key_opens_for_its_client_alone() {
    let (_folder, book) = opened();
    let keys: Vec<_> = ["a", "b", "c"].into_iter().map(|name| (name, book.add(name, None).unwrap())).collect();
    for (name, key) in &keys {
        assert_eq!(book.authenticate(key.reveal(), 0).as_deref(), Some(*name));
        assert_eq!(key.reveal().len(), 9 + 64);
    }
    let short = &keys[0].1.reveal()[..72];
    for wrong in ["", "underpin_", short, &"0".repeat(64), &keys[1].1.reveal().to_uppercase()] {
        assert_eq!(book.authenticate(wrong, 0), None, "{wrong}");
    }
}

#[test]
fn the_file_holds_no_key() {
    let (folder, book) = opened();
    let key = book.add("alice", None).unwrap();
    let text = fs::read_to_string(folder.path().join("clients.json")).unwrap();
    assert!(text.contains("alice") && !text.contains(&key.reveal()[9..]));
    assert_eq!(format!("{key:?}"), "ApiKey(..)");
}

/// A book of the same file whose clock stands where it is put, in milliseconds.
fn watching(path: &Path) -> (Arc<AtomicU64>, ClientBook) {
    let now = Arc::new(AtomicU64::new(0));
    let read = Arc::clone(&now);
    let clock = Clock::new(move || Duration::from_millis(read.load(Ordering::SeqCst)));
    (now, ClientBook::open_with(path, clock).unwrap())
}

#[test]
fn a_revoked_key_is_refused_within_a_second() {
    let (folder, elsewhere) = opened();
    let (now, serving) = watching(&folder.path().join("clients.json"));
    let old = elsewhere.add("alice", None).unwrap();
    assert_eq!(serving.authenticate(old.reveal(), 0), None, "the file is looked at once a second");
    now.store(1000, Ordering::SeqCst);
    assert_eq!(serving.authenticate(old.reveal(), 0).as_deref(), Some("alice"));
    elsewhere.revoke("alice").unwrap();
    assert_eq!(elsewhere.authenticate(old.reveal(), 0), None, "at once where it was revoked");
    now.store(2000, Ordering::SeqCst);
    assert_eq!(serving.authenticate(old.reveal(), 0), None);
    let revoked = Client { name: "alice".into(), state: ClientState::Revoked, ends: vec![] };
    assert_eq!(serving.list().unwrap(), [revoked]);
    let new = elsewhere.add("alice", None).unwrap();
    now.store(3000, Ordering::SeqCst);
    assert_eq!(serving.authenticate(old.reveal(), 0), None);
    assert_eq!(serving.authenticate(new.reveal(), 0).as_deref(), Some("alice"));
}

#[test]
fn a_key_ends() {
    let (_folder, book) = opened();
    let key = book.add("alice", Some(100)).unwrap();
    assert_eq!(book.authenticate(key.reveal(), 99).as_deref(), Some("alice"));
    assert_eq!(book.authenticate(key.reveal(), 100), None);
    assert!(matches!(book.add("alice", None), Err(Error::ClientExists { .. })), "ended is not revoked: rotate it");
    let new = book.rotate("alice", 0, None).unwrap();
    assert_eq!(book.authenticate(new.reveal(), u64::MAX).as_deref(), Some("alice"));
}

#[test]
fn a_key_is_rotated_without_a_gap() {
    let (folder, book) = opened();
    let first = book.add("alice", Some(1000)).unwrap();
    book.add("bob", None).unwrap();
    let second = book.rotate("alice", 50, Some(2000)).unwrap();
    for key in [&first, &second] {
        assert_eq!(book.authenticate(key.reveal(), 49).as_deref(), Some("alice"));
    }
    assert_eq!(book.authenticate(first.reveal(), 50), None);
    assert_eq!(book.authenticate(second.reveal(), 50).as_deref(), Some("alice"));
    let third = book.rotate("alice", 5000, None).unwrap();
    assert_eq!(book.authenticate(first.reveal(), 0), None, "two keys at most");
    assert_eq!(book.authenticate(second.reveal(), 1999).as_deref(), Some("alice"));
    assert_eq!(book.authenticate(second.reveal(), 2000), None, "a key never outlasts its end");
    let reopened = ClientBook::open(&folder.path().join("clients.json")).unwrap();
    assert_eq!(reopened.authenticate(third.reveal(), 9999).as_deref(), Some("alice"));
    let alice = reopened.list().unwrap().into_iter().find(|client| client.name == "alice").unwrap();
    assert_eq!(alice.ends, [Some(2000), None]);
    book.revoke("alice").unwrap();
    for key in [second, third] {
        assert_eq!(book.authenticate(key.reveal(), 0), None);
    }
    assert!(matches!(book.rotate("alice", 0, None), Err(Error::UnknownClient { .. })));
}

#[test]
fn a_book_of_before_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.json");
    let hash = String::from(Fingerprint::of("underpin_old"));
    let old = format!(r#"{{"clients":[{{"name":"a","key_blake3":"{hash}","state":"active"}}]}}"#);
    file::replace(&path, old.as_bytes()).unwrap();
    let book = ClientBook::open(&path).unwrap();
    assert_eq!(book.authenticate("underpin_old", 0).as_deref(), Some("a"));
}

#[test]
fn names_are_checked() {
    let (_folder, book) = opened();
    for bad in ["", "a b", "a/b", "é", "a\n", &"x".repeat(65)] {
        assert!(matches!(book.add(bad, None), Err(Error::ClientName { .. })), "{bad:?}");
    }
    book.add("a", None).unwrap();
    assert!(matches!(book.add("a", None), Err(Error::ClientExists { .. })));
    assert!(matches!(book.revoke("b"), Err(Error::UnknownClient { .. })));
    assert!(book.revoke("a").and_then(|()| book.revoke("a")).is_ok());
}

#[test]
fn adding_at_once_loses_none() {
    let (folder, _) = opened();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let path = folder.path().join("clients.json");
            scope.spawn(move || {
                let book = ClientBook::open(&path).unwrap();
                for n in 0..4 {
                    book.add(&format!("{thread}-{n}"), None).unwrap();
                }
            });
        }
    });
    assert_eq!(ClientBook::open(&folder.path().join("clients.json")).unwrap().list().unwrap().len(), 32);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no draft is left behind: {names:?}");
}

#[test]
fn a_book_that_breaks_keeps_its_keys() {
    let (folder, book) = opened();
    let path = folder.path().join("clients.json");
    let key = book.add("a", None).unwrap();
    let good = fs::read(&path).unwrap();
    let (now, serving) = watching(&path);
    let stands = || {
        now.fetch_add(1000, Ordering::SeqCst);
        assert_eq!(serving.authenticate(key.reveal(), 0).as_deref(), Some("a"));
    };
    file::replace(&path, &good[..good.len() - 3]).unwrap();
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(log, || (0..5).for_each(|_| stands()));
    assert_eq!(lines.0.lock().unwrap().matches("keys last read stand").count(), 1, "logged once");
    assert!(matches!(ClientBook::open(&path), Err(Error::Format { .. })));
    assert!(matches!(book.add("b", None), Err(Error::Format { .. })));
    fs::remove_file(&path).unwrap();
    stands();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let revoked = String::from_utf8(good).unwrap().replace("active", "revoked");
        fs::write(&path, revoked).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        stands();
        assert!(matches!(
            ClientBook::open(&path),
            Err(Error::Exposed { exposure: Exposure::Permissions { mode: 0o644 }, .. })
        ));
    }
    // Once it is whole again, it counts.
    fs::remove_file(&path).unwrap();
    book.add("b", None).unwrap();
    now.fetch_add(1000, Ordering::SeqCst);
    assert_eq!(serving.authenticate(key.reveal(), 0), None);
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

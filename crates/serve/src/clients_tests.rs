use super::*;

fn opened() -> (tempfile::TempDir, ClientBook) {
    let folder = tempfile::tempdir().unwrap();
    let book = ClientBook::open(&folder.path().join("clients.json")).unwrap();
    (folder, book)
}

#[test]
fn each_key_opens_for_its_client_alone() {
    let (_folder, book) = opened();
    let keys: Vec<_> = ["a", "b", "c"].into_iter().map(|name| (name, book.add(name).unwrap())).collect();
    for (name, key) in &keys {
        assert_eq!(book.authenticate(key.reveal()).unwrap().as_deref(), Some(*name));
        assert_eq!(key.reveal().len(), 9 + 64);
    }
    let short = &keys[0].1.reveal()[..72];
    for wrong in ["", "underpin_", short, &"0".repeat(64), &keys[1].1.reveal().to_uppercase()] {
        assert_eq!(book.authenticate(wrong).unwrap(), None, "{wrong}");
    }
}

#[test]
fn the_file_holds_no_key() {
    let (folder, book) = opened();
    let key = book.add("alice").unwrap();
    let text = std::fs::read_to_string(folder.path().join("clients.json")).unwrap();
    assert!(text.contains("alice") && !text.contains(&key.reveal()[9..]));
    assert_eq!(format!("{key:?}"), "ApiKey(..)");
}

#[test]
fn a_revoked_key_is_refused_at_once() {
    let (folder, serving) = opened();
    let elsewhere = ClientBook::open(&folder.path().join("clients.json")).unwrap();
    let old = elsewhere.add("alice").unwrap();
    assert_eq!(serving.authenticate(old.reveal()).unwrap().as_deref(), Some("alice"));
    elsewhere.revoke("alice").unwrap();
    assert_eq!(serving.authenticate(old.reveal()).unwrap(), None);
    assert_eq!(serving.list().unwrap(), [Client { name: "alice".into(), state: ClientState::Revoked }]);
    let new = elsewhere.add("alice").unwrap();
    assert_eq!(serving.authenticate(old.reveal()).unwrap(), None);
    assert_eq!(serving.authenticate(new.reveal()).unwrap().as_deref(), Some("alice"));
}

#[test]
fn names_are_checked() {
    let (_folder, book) = opened();
    for bad in ["", "a b", "a/b", "é", "a\n", &"x".repeat(65)] {
        assert!(matches!(book.add(bad), Err(Error::ClientName { .. })), "{bad:?}");
    }
    book.add("a").unwrap();
    assert!(matches!(book.add("a"), Err(Error::ClientExists { .. })));
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
                    book.add(&format!("{thread}-{n}")).unwrap();
                }
            });
        }
    });
    assert_eq!(ClientBook::open(&folder.path().join("clients.json")).unwrap().list().unwrap().len(), 32);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no draft is left behind: {names:?}");
}

#[test]
fn a_broken_book_authenticates_nobody() {
    let (folder, book) = opened();
    let path = folder.path().join("clients.json");
    let key = book.add("a").unwrap();
    let good = std::fs::read(&path).unwrap();
    file::replace(&path, &good[..good.len() - 3]).unwrap();
    assert!(matches!(book.authenticate(key.reveal()), Err(Error::Format { .. })));
    assert!(matches!(book.add("b"), Err(Error::Format { .. })));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(book.authenticate(key.reveal()).unwrap(), None);
    std::fs::write(&path, &good).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(book.authenticate(key.reveal()), Err(Error::Permissions { mode: 0o644, .. })));
    }
}

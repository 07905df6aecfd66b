//! A client book.

#![no_main]

use std::io::Write;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;
use underpin_serve::ClientBook;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|bytes: &[u8]| {
    // Only its owner may read such a file, or it is not read at all.
    let mut file = NamedTempFile::new_in(FOLDER.path()).expect("a file");
    file.write_all(bytes).expect("it takes bytes");
    if let Ok(book) = ClientBook::open(file.path()) {
        let _ = book.list();
        let _ = book.authenticate("up_0000000000000000000000000000000000000000000000000000000000000000", 0);
    }
});

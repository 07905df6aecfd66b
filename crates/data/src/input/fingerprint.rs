//! Names and digests of the files of a source, before any of them is read as data.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use underpin_core::{Digest, Subject};

use super::format::Source;
use super::open::{file_name, label_file};
use crate::Error;

/// SHA-256 of each file that [`open`](super::open::open) would read: the data, and of IDX the labels, in this order.
///
/// The files are read piece by piece and not looked into; names are without folders. A file of labels that is not there is
/// left out, as `open` then says what is missing.
///
/// # Errors
///
/// [`Error::Io`].
pub fn fingerprint(source: &Source) -> Result<Vec<Subject>, Error> {
    let labels = label_file(source).filter(|path| path.exists());
    [Some(source.path.clone()), labels].into_iter().flatten().map(|path| subject(&path)).collect()
}

fn subject(path: &Path) -> Result<Subject, Error> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let (mut hasher, mut piece) = (Sha256::new(), vec![0_u8; 64 << 10]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => hasher.update(&piece[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(path)(error)),
        }
    }
    Ok(Subject { name: file_name(path), digest: Digest::new(hasher.finalize().into()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, open};

    #[test]
    fn a_fingerprint_names_the_files_that_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, "a,label\n1,x\n2,y\n").unwrap();
        let source = Source::new(&path);
        let named = fingerprint(&source).unwrap();
        let read = open(&source, &Limits::default()).unwrap();
        assert_eq!(named, read.files());
        assert!(matches!(fingerprint(&Source::new(folder.path().join("none.csv"))), Err(Error::Io { .. })));
        // The labels of IDX are a file besides.
        let images = folder.path().join("train-images-idx3-ubyte");
        std::fs::write(&images, b"images").unwrap();
        assert_eq!(fingerprint(&Source::new(&images)).unwrap().len(), 1);
        std::fs::write(folder.path().join("train-labels-idx1-ubyte"), b"labels").unwrap();
        let named = fingerprint(&Source::new(&images)).unwrap();
        assert_eq!(named[1].name, "train-labels-idx1-ubyte");
        assert_eq!(named[1].digest, Digest::of(b"labels"));
    }
}

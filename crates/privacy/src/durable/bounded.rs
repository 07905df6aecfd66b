//! Whole files of a bounded size.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Opens a regular file, links followed.
///
/// A pipe, a device or a folder is refused before it is opened: to open a pipe waits until somebody writes to it.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for what is no regular file; the system's errors.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let refused = || io::Error::new(ErrorKind::InvalidInput, "it is not a regular file");
    let regular = |about: &Metadata| about.is_file().then_some(()).ok_or_else(refused);
    regular(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// The bytes of a regular file, links followed, of which no more than `most` are held.
///
/// # Errors
///
/// Those of [`open_regular`]; [`ErrorKind::FileTooLarge`] for more than `most` bytes.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read_bounded(&path, 100).unwrap(), [7; 100]);
        assert_eq!(read_bounded(&path, 99).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_bounded(home.path(), 100).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(read_bounded(&home.path().join("gone"), 100).unwrap_err().kind(), ErrorKind::NotFound);
        // A device that never ends.
        #[cfg(unix)]
        assert_eq!(read_bounded(Path::new("/dev/zero"), 100).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

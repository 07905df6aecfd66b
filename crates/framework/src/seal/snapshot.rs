//! A folder read as it was at one moment, without a lock, whoever writes to it meanwhile.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::layout::{self, FILES, LOG_LIMIT};
use super::{Fault, Flaw, Log, disk, files};

/// How long a writer is waited for, and how often it is looked whether it is done.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// How often a folder that goes on changing is read at least, however long that takes.
const ATTEMPTS: u32 = 3;

/// What a folder and everything in it looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<OsString, Stamp>);

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: [i64; 4],
}

impl Stamps {
    /// Looks at a folder; of more files than a run has, no more than that are looked at.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut stamps = BTreeMap::from([(OsString::from("."), stamp(&fs::symlink_metadata(folder)?))]);
        for entry in fs::read_dir(folder)?.take(FILES + 2) {
            let entry = entry?;
            if entry.file_name() != layout::LOCK {
                stamps.insert(entry.file_name(), stamp(&entry.metadata()?));
            }
        }
        Ok(Self(stamps))
    }

    /// Whether files lie there that a writer has not given their names yet.
    fn are_amid_an_act(&self) -> bool {
        self.0.keys().any(|name| name.to_str().and_then(layout::pending_for).is_some())
    }
}

/// Reads a folder by `read`, which gives the log that it read, too. While a writer is at work it is waited for, two seconds
/// at most; when the log, or after a fault anything in the folder, is another one afterwards, it is read again.
///
/// So a reader needs no lock, and can be stopped by nobody who cannot write to the folder.
///
/// # Errors
///
/// The fault of `read`; [`Flaw::Busy`] when the folder changed each time.
pub(super) fn read<T>(
    folder: &Path,
    log: impl Fn(&T) -> &Log,
    read: impl Fn() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let begun = Instant::now();
    let may_wait = || begun.elapsed() < PATIENCE;
    let mut left = ATTEMPTS;
    loop {
        let before = Stamps::of(folder).ok();
        if before.as_ref().is_some_and(Stamps::are_amid_an_act) && may_wait() {
            std::thread::sleep(PAUSE);
            continue;
        }
        left = left.saturating_sub(1);
        let found = read();
        let unchanged = match &found {
            Ok(found) => disk::read(&folder.join(files::LOG), LOG_LIMIT).is_ok_and(|now| now == log(found).bytes()),
            Err(_) => before == Stamps::of(folder).ok(),
        };
        if unchanged {
            return found;
        }
        if left == 0 && !may_wait() {
            return Err(Flaw::Busy.of("."));
        }
        std::thread::sleep(PAUSE);
    }
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    Stamp {
        length: metadata.len(),
        modified: metadata.modified().ok(),
        #[cfg(unix)]
        inode: inode(metadata),
    }
}

/// The time of change cannot be set back as the time of modification can.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> [i64; 4] {
    use std::os::unix::fs::MetadataExt;
    [metadata.dev().cast_signed(), metadata.ino().cast_signed(), metadata.ctime(), metadata.ctime_nsec()]
}

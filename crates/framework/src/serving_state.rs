//! What lies beside a run folder, never in it.

use std::path::{Path, PathBuf};

use underpin_serve::{ClientBook, private_folder};

use crate::Error;

/// Name of the file of the count of queries.
const LEDGER: &str = "queries.redb";

/// Where the serving state of a run lies: beside its folder, never in it.
#[derive(Clone, Debug)]
pub struct State(PathBuf);

impl State {
    /// The state of the run in `folder`; made if absent, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there is no such run; [`Error::Serve`] when the state cannot be made, is a link, belongs to another
    /// user or is open to others.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        let path = beside(folder, "serving")?;
        private_folder(&path)?;
        Ok(Self(path))
    }

    /// Who may ask.
    ///
    /// # Errors
    ///
    /// When the book cannot be read.
    pub fn clients(&self) -> Result<ClientBook, Error> {
        Ok(ClientBook::open(&self.0.join("clients.json"))?)
    }

    /// The file of the count of queries.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.0.join(LEDGER)
    }

    /// The file of the server's secret.
    pub(crate) fn secret(&self) -> PathBuf {
        self.0.join("noise.key")
    }

    /// The file of the traffic's sketch.
    pub fn sketch(&self) -> PathBuf {
        self.0.join("traffic.json")
    }
}

/// Where the query ledger of the run in `folder` lies, whether or not there is one.
///
/// # Errors
///
/// [`Error::Io`] when there is no such run.
pub(crate) fn ledger_of(folder: &Path) -> Result<PathBuf, Error> {
    Ok(beside(folder, "serving")?.join(LEDGER))
}

/// The path `DIR.ENDING` beside the run in `folder`, by its real name: `.` and links lead to the same.
fn beside(folder: &Path, ending: &str) -> Result<PathBuf, Error> {
    let io = |source| Error::Io { action: "find", path: folder.to_owned(), source };
    let folder = std::fs::canonicalize(folder).map_err(io)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(folder.with_file_name(format!("{name}.{ending}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_serving_state_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        for folder in ["run", "elsewhere"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(home.path().join("elsewhere"), home.path().join("run.serving")).unwrap();
        let fault = State::of(&run).unwrap_err();
        assert!(fault.to_string().contains("symbolic link"), "{fault:?}");
        std::fs::remove_file(home.path().join("run.serving")).unwrap();
        State::of(&run).unwrap();
    }
}

//! The owner's state folder: what this user remembers of runs.

use anyhow::{Context, Result};
use underpin::KnownRuns;
use underpin_serve::{Error, OwnerState};

/// The state folder of this user; made if absent.
pub(crate) fn state() -> Result<OwnerState> {
    let path = OwnerState::default_path().context("none of UNDERPIN_STATE, XDG_STATE_HOME and HOME is set")?;
    Ok(OwnerState::open(&path)?)
}

/// The runs that this user knows.
pub(crate) fn runs() -> Result<KnownRuns> {
    Ok(KnownRuns::new(state()?))
}

/// The runs that this user knows, for those who only read: none, with a warning, where no state folder can be made.
///
/// # Errors
///
/// When there is one that others may touch.
pub(crate) fn runs_if_any() -> Result<Option<KnownRuns>> {
    const UNKNOWN: &str = "no state folder: a run that went back to an earlier state is not noticed";
    let Some(path) = OwnerState::default_path() else {
        tracing::warn!("{UNKNOWN}; none of UNDERPIN_STATE, XDG_STATE_HOME and HOME is set");
        return Ok(None);
    };
    match OwnerState::open(&path) {
        Ok(state) => Ok(Some(KnownRuns::new(state))),
        Err(error @ Error::File { .. }) => {
            tracing::warn!(%error, "{UNKNOWN}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

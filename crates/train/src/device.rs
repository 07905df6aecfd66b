//! Where tensors live.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The backend that computes, on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// burn's own pure Rust backend; the faster one.
    Flex,
    /// The `ndarray` backend, which burn has deprecated: a second implementation to check kernels on. Feature `ndarray`.
    #[cfg(feature = "ndarray")]
    Ndarray,
}

impl DeviceKind {
    /// Every backend that this build has.
    pub const ALL: &[Self] = &[
        Self::Flex,
        #[cfg(feature = "ndarray")]
        Self::Ndarray,
    ];

    /// The word by which the command line and evidence name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            #[cfg(feature = "ndarray")]
            Self::Ndarray => "ndarray",
        }
    }

    /// burn's device.
    pub fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated, reason = "a second implementation that every kernel is checked on")]
            Self::Ndarray => Device::ndarray(),
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for DeviceKind {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        let named = Self::ALL.iter().find(|kind| kind.word() == word);
        let known = || Self::ALL.iter().map(|kind| kind.word()).collect();
        named.copied().ok_or_else(|| Error::Device { word: word.to_owned(), known: known() })
    }
}

/// Runs what computes on some of `devices`. burn panics where a tensor's device is out of reach, so a panic is an error if
/// one of them no longer answers.
///
/// # Errors
///
/// Those of `work`, and [`Error::DeviceLost`].
///
/// # Panics
///
/// As `work`, when all devices answer.
pub(crate) fn guarded<T>(devices: &[Device], work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let panic = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => return outcome,
        Err(panic) => panic,
    };
    for (place, device) in devices.iter().enumerate() {
        let fault = match catch_unwind(AssertUnwindSafe(|| device.sync())) {
            Ok(Ok(())) => continue,
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "its connection is closed".to_owned(),
        };
        return Err(Error::DeviceLost { place, fault });
    }
    resume_unwind(panic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_words_name_a_device() {
        for kind in DeviceKind::ALL {
            assert_eq!(kind.to_string().parse::<DeviceKind>().unwrap(), *kind);
        }
        let error = "cuda".parse::<DeviceKind>().unwrap_err();
        let allowed = if cfg!(feature = "ndarray") { "flex, ndarray" } else { "flex" };
        assert_eq!(error.to_string(), format!("unknown device \"cuda\"; allowed in this build: {allowed}"));
    }

    /// Of a device that answers, a panic is a mistake in the program and stays one.
    #[test]
    #[should_panic(expected = "the program's own")]
    fn a_panic_beside_a_sound_device_goes_on() {
        let _ = guarded(&[DeviceKind::Flex.device()], || -> Result<(), Error> { panic!("the program's own") });
    }
}

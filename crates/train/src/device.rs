//! Where tensors live.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The backend that computes. Both run on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// burn's own pure Rust backend; the faster one.
    Flex,
    /// The `ndarray` backend.
    Ndarray,
}

impl DeviceKind {
    /// Every value.
    pub const ALL: &[Self] = &[Self::Flex, Self::Ndarray];

    /// The word by which the command line and evidence name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
        }
    }

    /// burn's device.
    #[allow(deprecated, reason = "ndarray stays the second CPU backend that every kernel is checked on")]
    pub fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
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
        named.copied().ok_or_else(|| Error::Device { word: word.to_owned() })
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
        assert_eq!(error.to_string(), "unknown device \"cuda\"; allowed: flex, ndarray");
    }

    /// Of a device that answers, a panic is a mistake in the program and stays one.
    #[test]
    #[should_panic(expected = "the program's own")]
    fn a_panic_beside_a_sound_device_goes_on() {
        let _ = guarded(&[DeviceKind::Flex.device()], || -> Result<(), Error> { panic!("the program's own") });
    }
}

//! Where tensors live.

use std::fmt;
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
}

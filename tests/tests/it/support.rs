//! Small, quick runs.

use std::collections::BTreeMap;
use std::path::Path;

use underpin::seal::SigningKey;
use underpin::{DeviceKind, Error, Finished, Input, Job, Protection, seal};
use underpin_core::Seed;

/// Every attack, as weak as it may be: for tests of the order of things, not of strength.
pub(crate) const QUICK: &str = include_str!("../../quick.toml");

pub(crate) fn job(out: &Path) -> Job {
    Job {
        input: Input::Digits,
        policy: seal::policy::BASELINE.as_bytes().to_vec(),
        config: Some(QUICK.to_owned()),
        seed: Seed(1),
        device: DeviceKind::Flex,
        protection: Protection::Defended,
        out: out.to_owned(),
        budget: None,
        resume: None,
        known: None,
        who: "a test".into(),
        revision: "a test".into(),
        versions: BTreeMap::new(),
    }
}

pub(crate) fn key() -> SigningKey {
    SigningKey::generate().unwrap()
}

pub(crate) fn run(job: &Job, key: &SigningKey) -> Result<Finished, Error> {
    underpin::run(job, key, &|| 1_800_000_000)
}

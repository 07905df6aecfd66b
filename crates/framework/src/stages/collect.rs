//! The second state: rows are collected and sanitized.

use super::declare::Declared;
use crate::Error;
use crate::collect;
use crate::collected::CollectedData;
use crate::config::Config;
use crate::job::Job;

/// Rows are sanitized; the decision on each one is on record.
#[derive(Debug)]
pub struct Sanitized {
    pub(super) declared: Declared,
    pub(super) collected: CollectedData,
    pub(super) config: Config,
}

impl Declared {
    /// Reads the rows of `job`, sets some aside, judges the others, and measures the judgement on injected faults.
    ///
    /// The limit on rejected rows is that of the policy declared here. This is the only way to sanitized rows.
    ///
    /// # Errors
    ///
    /// When the file as a whole is of no use, more rows are rejected than the policy allows, too few are left, or the
    /// job's configuration does not fit.
    pub fn collect(self, job: &Job) -> Result<Sanitized, Error> {
        let (collected, config) = collect::collect(job, self.policy())?;
        Ok(Sanitized { declared: self, collected, config })
    }
}

impl Sanitized {
    /// The rows, and what is known of them.
    pub fn collected(&self) -> &CollectedData {
        &self.collected
    }

    /// The settings that fit the data, with the job's changes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Measures evasion at the radius and norm of the declared policy, whatever the settings say.
    pub(crate) fn follow_policy(&mut self) {
        self.config.attacks.evasion.follow(self.declared.policy());
    }
}

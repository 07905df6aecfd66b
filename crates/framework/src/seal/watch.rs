//! Whether a clearance still stands, asked again and again by a running server.

use std::path::{Path, PathBuf};

use underpin_core::Digest;

use super::snapshot::Stamps;
use super::{ClearanceStatus, Fault, Flaw, Log, PublicKey, Run, Verified, Witnesses, files, inspect};

/// Watches the folder of a run that is being served.
///
/// It can be asked before every answer: the folder is looked at once a second, and only when something in it has
/// changed is all of it verified again. It remembers how far the log went, so a revocation cannot be undone by putting
/// an older folder back while the server runs.
///
/// # Guarantees
///
/// 1. One second after a revocation the model may no longer be served: `a_revocation_ends_it_within_a_second`.
/// 2. Nor after its clearance expired: `it_stands_until_it_expires`.
/// 3. An older state of the folder does not bring it back: `an_older_folder_does_not_bring_it_back`.
#[derive(Debug)]
pub struct ClearanceWatch {
    folder: PathBuf,
    trusted: Vec<PublicKey>,
    model: Digest,
    /// Digest of the policy that was accepted.
    policy: Digest,
    /// As far as it was seen.
    log: Log,
    /// Whether it went on since [`ClearanceWatch::news`] was last asked.
    news: bool,
    witnesses: Witnesses,
    /// The second in which the folder was last looked at.
    looked: Option<u64>,
    /// What was there; none when it has to be read again however it looks.
    stamps: Option<Stamps>,
    /// How often the folder was verified.
    pub(super) verified: u64,
    found: Result<ClearanceStatus, Fault>,
}

impl ClearanceWatch {
    /// Watches `folder`, from which `run` was verified.
    pub fn new(folder: &Path, trusted: &[PublicKey], run: &Verified) -> Self {
        Self {
            folder: folder.to_owned(),
            trusted: trusted.to_vec(),
            model: run.evidence().subject(files::MODEL).expect("invariant: verified evidence speaks of the model"),
            policy: run.evidence().policy,
            log: run.log().clone(),
            news: false,
            witnesses: Witnesses::default(),
            // Not looked at yet: what changed since `run` was read is found by the first check.
            looked: None,
            stamps: None,
            verified: 0,
            found: Ok(run.status().clone()),
        }
    }

    /// Asks, each time that something changed, for the statements of these witnesses too.
    #[must_use]
    pub fn with_witnesses(self, witnesses: Witnesses) -> Self {
        Self { witnesses, ..self }
    }

    /// The log, as far as it was seen.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The log, when it went on since this was last asked.
    pub fn news(&mut self) -> Option<&Log> {
        std::mem::take(&mut self.news).then_some(&self.log)
    }

    /// Whether the model that was verified may be served at `now`, seconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// The first [`Fault`]: the folder changed and does not verify, its log does not go on from where it was seen
    /// ([`Flaw::Rewound`]), the model or the policy is another one, the clearance is absent, expired, revoked or releases the
    /// model no more, or a witness has not seen it.
    pub fn check(&mut self, now: u64) -> Result<(), Fault> {
        if self.looked != Some(now) {
            self.look();
            self.looked = Some(now);
        }
        match &self.found {
            Err(fault) => Err(fault.clone()),
            Ok(ClearanceStatus::Cleared(clearance)) => {
                clearance.valid_at(now).map_err(|flaw| flaw.of(files::CLEARANCE))
            }
            Ok(ClearanceStatus::Refused(_)) => Err(Flaw::Missing.of(files::CLEARANCE)),
            Ok(ClearanceStatus::Revoked(revocation)) => {
                let (at, reason) = (revocation.at, revocation.reason.clone());
                Err(Flaw::Revoked { at, reason }.of(files::REVOCATION))
            }
        }
    }

    fn look(&mut self) {
        // Taken before the folder is read: what changes meanwhile is found the next time.
        let stamps = Stamps::of(&self.folder).ok();
        if stamps.is_some() && stamps == self.stamps {
            return;
        }
        self.verified += 1;
        self.found = inspect(&self.folder, &self.trusted).and_then(|run| self.follow(&run));
        // A witness's statement lies beside the folder: it may come at any time.
        let is_passing = |fault: &Fault| {
            matches!(
                fault.flaw,
                Flaw::Busy | Flaw::Unreadable { .. } | Flaw::NotWitnessed { .. } | Flaw::NotCovered { .. }
            )
        };
        self.stamps = if self.found.as_ref().is_err_and(is_passing) { None } else { stamps };
    }

    fn follow(&mut self, run: &Run) -> Result<ClearanceStatus, Fault> {
        if !run.log().extends(&self.log.head()) {
            return Err(Flaw::Rewound.of(files::LOG));
        }
        if run.log().head() != self.log.head() {
            self.log = run.log().clone();
            self.news = true;
        }
        if run.listed().get(files::MODEL).map(|file| file.digest) != Some(self.model) {
            return Err(Flaw::Disagrees { field: "the model being served" }.of(files::MODEL));
        }
        if run.evidence().policy != self.policy {
            let (name, found) = (run.policy().name().to_owned(), run.evidence().policy);
            return Err(Flaw::UnacceptedPolicy { name, found }.of(files::POLICY));
        }
        if run.clearance().is_some_and(|clearance| !clearance.is_released()) {
            return Err(Flaw::NotReleased.of(files::CLEARANCE));
        }
        self.witnesses.check(&self.folder, run)?;
        Ok(run.status().clone())
    }
}

//! Run state: what a pipeline keeps in a folder so that it can be resumed after it was killed at any moment.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use underpin_core::{Attack, Audited, Digest, Examples, Perturbed, Seed, Trainer};
use underpin_privacy::durable::read_bounded;
use underpin_privacy::{FreshBytes, SecretKey};
use underpin_train::{Checkpoints, Classifier, Sgd};

use crate::Error;
use crate::data_budget::BudgetFile;
use crate::job::Job;
use crate::seal::SigningKey;
use crate::state_fault::StateFault;

/// Most bytes of a file that tells how far a run has come.
const FILE_LIMIT: u64 = 64 << 20;

/// File of a state that identifies its job.
const JOB: &str = "job.json";

/// File of a state that identifies its rows.
const ROWS: &str = "rows.json";

/// File of a state that names the evidence that was sealed last.
const SEALED: &str = "sealed.json";

/// File of a state that keeps the fresh bytes of the run's noise.
const FRESH: &str = "noise.fresh";

/// Files of a state that keep a training run, the model's and its baseline's; what belongs to one begins with its name.
pub(crate) const TRAINING: [&str; 2] = ["model.run", "baseline.run"];

/// Checkpoints of one training run.
const CHECKPOINTS: u64 = 20;

/// What makes two runs the same but for the times in their logs: all of a job that decides the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    input: String,
    policy: Digest,
    config: Option<String>,
    seed: u64,
    device: String,
    protection: String,
    revision: String,
    versions: String,
    budget: Option<String>,
    key: String,
}

impl Identity {
    fn of(job: &Job, key: &SigningKey) -> Result<Self, Error> {
        // Exhaustive: a new field of the job is compared, or is left out here on purpose. The folder to leave behind, the
        // name in the log, the place of the state and what the owner remembers decide nothing that is measured.
        let Job {
            input,
            policy,
            config,
            seed,
            device,
            protection,
            revision,
            versions,
            budget,
            out: _,
            state: _,
            who: _,
            resume: _,
        } = job;
        let json = |source| Error::Json { file: JOB.into(), source };
        Ok(Self {
            input: serde_json::to_string(input).map_err(json)?,
            policy: Digest::of(policy),
            config: config.clone(),
            seed: seed.0,
            device: device.to_string(),
            protection: serde_json::to_string(protection).map_err(json)?,
            revision: revision.clone(),
            versions: serde_json::to_string(versions).map_err(json)?,
            budget: budget.as_ref().map(|BudgetFile { path, whole }| match whole {
                Some((epsilon, delta)) => format!("{} of epsilon {epsilon} and delta {delta}", path.display()),
                None => path.display().to_string(),
            }),
            key: key.public().id().to_string(),
        })
    }

    /// The first part in which another job differs, as it is here and there.
    fn differs(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let Self { input, policy, config, seed, device, protection, revision, versions, budget, key } = self;
        let none = || "none".to_owned();
        let text = |text: &Option<String>| text.clone().unwrap_or_else(none);
        [
            ("key", key.clone(), other.key.clone()),
            ("policy", policy.to_string(), other.policy.to_string()),
            ("seed", seed.to_string(), other.seed.to_string()),
            ("data", input.clone(), other.input.clone()),
            ("configuration", text(config), text(&other.config)),
            ("device", device.clone(), other.device.clone()),
            ("protection", protection.clone(), other.protection.clone()),
            ("code revision", revision.clone(), other.revision.clone()),
            ("versions", versions.clone(), other.versions.clone()),
            ("budget", text(budget), text(&other.budget)),
        ]
        .into_iter()
        .find(|(_, own, other)| own != other)
    }
}

/// A file of a state: its content, and a code by which a change of it is found out.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Authenticated {
    content: String,
    code: Digest,
}

/// The folder in which a run keeps its state, its owner's alone.
///
/// # Guarantees
///
/// 1. A run that was killed at any moment, and is run again with the same state, leaves the same model and evidence as
///    one that was not, but for times: the fresh bytes of its noise are kept in the state
///    (`a_killed_pipeline_ends_as_if_it_had_not_been`).
/// 2. A state of another job, other rows or another key is refused, and what differs is named
///    (`a_state_of_another_job_is_refused`).
/// 3. Files that were changed are refused: those of the state carry a code under a secret of the signing key, those of
///    training their digest (`a_changed_state_is_refused`).
/// 4. A run folder that this state did not seal is never taken for its run: `a_new_state_takes_over_no_sealed_run`.
#[derive(Debug)]
pub(crate) struct RunState {
    folder: PathBuf,
    key: SecretKey,
    _lock: Lock,
}

/// A lock that is given back when the process ends, however it ends.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // OK to pass over: the lock ends with the process at the latest.
        let _ = self.0.unlock();
    }
}

impl RunState {
    /// Opens the state in `folder`, which is made if it is absent, for `job` signed with `key`.
    ///
    /// # Errors
    ///
    /// [`Error::OtherJob`] naming what differs, [`Error::State`] for a folder that others may enter, that another process
    /// uses or that was changed, [`Error::Io`].
    pub(crate) fn open(folder: &Path, job: &Job, key: &SigningKey) -> Result<Self, Error> {
        make_private(folder)?;
        let lock = File::open(folder).map_err(io("open", folder))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(state(folder, StateFault::InUse)),
            Err(fs::TryLockError::Error(source)) => return Err(io("lock", folder)(source)),
        }
        let key_of_state = SecretKey::new(key.secret("underpin run state"));
        let this = Self { folder: folder.to_owned(), key: key_of_state, _lock: Lock(lock) };
        let own = Identity::of(job, key)?;
        this.same(JOB, &own, Identity::differs)?;
        Ok(this)
    }

    /// Refuses a state of other rows.
    ///
    /// # Errors
    ///
    /// [`Error::OtherJob`], [`Error::State`], [`Error::Io`].
    pub(crate) fn bind_rows(&self, manifest: Digest) -> Result<(), Error> {
        self.same(ROWS, &manifest, |kept, own| {
            (kept != own).then(|| ("rows (the manifest of what was read and kept)", kept.to_string(), own.to_string()))
        })
    }

    /// The fresh bytes of the run's noise, drawn when they are first asked for and kept until [`clear`](Self::clear).
    ///
    /// A step that is repeated after a kill so draws the noise that it drew before, on the same gradient: it is the same
    /// release. The list of steps refuses another gradient.
    ///
    /// # Errors
    ///
    /// [`Error::Privacy`] when they were changed, or others may read or write them.
    pub(crate) fn fresh(&self) -> Result<FreshBytes, Error> {
        Ok(FreshBytes::kept(&self.folder.join(FRESH))?)
    }

    /// The fresh bytes of the run's noise, if they are there: until [`clear`](Self::clear).
    ///
    /// # Errors
    ///
    /// As [`fresh`](Self::fresh).
    pub(crate) fn kept_fresh(&self) -> Result<Option<FreshBytes>, Error> {
        self.folder.join(FRESH).exists().then(|| self.fresh()).transpose()
    }

    /// Compares what is kept in a file with `own`, or keeps it.
    fn same<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        own: &T,
        differs: impl Fn(&T, &T) -> Option<(&'static str, String, String)>,
    ) -> Result<(), Error> {
        let Some((kept, sound)) = self.kept::<T>(name)? else { return self.keep(name, own) };
        // Before the code, which another key's file cannot have: the message then says that it is the key.
        if let Some((what, kept, given)) = differs(&kept, own) {
            return Err(Error::OtherJob { folder: self.folder.clone(), what, kept, given });
        }
        if sound { Ok(()) } else { Err(state(&self.folder.join(name), StateFault::Changed)) }
    }

    /// Keeps the digest of the evidence that is about to be sealed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(crate) fn seals(&self, evidence: Digest) -> Result<(), Error> {
        self.keep(SEALED, &evidence)
    }

    /// The digest of the evidence that this state's run sealed, or was about to.
    ///
    /// # Errors
    ///
    /// [`Error::State`] when it was changed, [`Error::Io`].
    pub(crate) fn sealed(&self) -> Result<Option<Digest>, Error> {
        self.kept_sound(SEALED)
    }

    /// What a file holds; an error when its code is wrong.
    fn kept_sound<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        match self.kept(name)? {
            Some((value, true)) => Ok(Some(value)),
            Some((_, false)) => Err(state(&self.folder.join(name), StateFault::Changed)),
            None => Ok(None),
        }
    }

    /// Writes a value with its code.
    fn keep<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let json = |source| Error::Json { file: self.folder.join(name).display().to_string(), source };
        let content = serde_json::to_string(value).map_err(json)?;
        let code = self.code(name, &content);
        self.put(name, &serde_json::to_vec(&Authenticated { content, code }).map_err(json)?)
    }

    /// What a file holds, and whether its code is right; nothing when there is no such file.
    fn kept<T: DeserializeOwned>(&self, name: &str) -> Result<Option<(T, bool)>, Error> {
        let path = self.folder.join(name);
        let json = |source| Error::Json { file: path.display().to_string(), source };
        let bytes = match read_bounded(&path, FILE_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io("read", &path)(source)),
        };
        let Authenticated { content, code } = serde_json::from_slice(&bytes).map_err(json)?;
        let sound = code == self.code(name, &content);
        Ok(Some((serde_json::from_str(&content).map_err(json)?, sound)))
    }

    fn code(&self, name: &str, content: &str) -> Digest {
        Digest::new(self.key.derive("file of a run state", &[name.as_bytes(), content.as_bytes()]).fingerprint())
    }

    /// Writes a file, whole or not at all.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (path, draft) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(&self.folder)?.sync_all()
        });
        written.map_err(io("write", &path))
    }

    /// `sgd` as a trainer whose run is kept in the file `name` of the state, for `rows` rows.
    fn checkpoints<A>(&self, name: &str, sgd: &Sgd<A>, rows: usize) -> Checkpoints {
        let every = sgd.settings.steps(rows).div_ceil(CHECKPOINTS).max(1);
        Checkpoints { path: self.folder.join(name), every }
    }

    /// Removes the secrets of a run that is sealed, and nothing that is not the state's own. The identity of the job and the digest of its evidence stay: run once
    /// more, the job finds that it has come to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(crate) fn clear(self) -> Result<(), Error> {
        FreshBytes::remove(&self.folder.join(FRESH))?;
        for entry in fs::read_dir(&self.folder).map_err(io("read", &self.folder))? {
            let path = entry.map_err(io("read", &self.folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let drafts = [JOB, ROWS, SEALED].map(|file| format!("{file}.new"));
            let own = name == ROWS || drafts.contains(&name) || TRAINING.iter().any(|run| name.starts_with(run));
            if own {
                fs::remove_file(&path).map_err(io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// A trainer whose run is kept, where there is a state to keep it in: killed at any moment and called again it goes on
/// where it was, and ends with the same weights and record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resumable<'a, A> {
    pub(crate) sgd: &'a Sgd<A>,
    pub(crate) state: Option<&'a RunState>,
    /// Name of the run's file in the state.
    pub(crate) name: &'static str,
}

impl<A> Trainer for Resumable<'_, A>
where
    A: Attack<Classifier, Outcome = Perturbed> + Sync,
{
    type Model = Classifier;
    type Error = underpin_train::Error;

    fn train(&self, data: &Examples, seed: Seed) -> Result<Audited<Classifier>, underpin_train::Error> {
        match self.state {
            Some(state) => self.sgd.train_kept(data, seed, &state.checkpoints(self.name, self.sgd, data.len())),
            None => self.sgd.train(data, seed),
        }
    }
}

fn state(path: &Path, fault: StateFault) -> Error {
    Error::State { path: path.to_owned(), fault }
}

fn io(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}

/// Makes a folder for its owner alone, or checks that it is one, and a state or empty.
fn make_private(folder: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above).map_err(io("create", above))?;
    }
    let there = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return builder.create(folder).map_err(io("create", folder));
        }
        there => there.map_err(io("read", folder))?,
    };
    if !there.is_dir() {
        return Err(state(folder, StateFault::NoFolder));
    }
    let mut entries = fs::read_dir(folder).map_err(io("read", folder))?;
    if entries.next().is_none() {
        #[cfg(unix)]
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .map_err(io("change", folder))?;
        return Ok(());
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&there.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(state(folder, StateFault::Permissions { mode }));
        }
    }
    let known = folder.join(JOB).is_file() || folder.join(format!("{JOB}.new")).is_file();
    if known { Ok(()) } else { Err(state(folder, StateFault::Foreign)) }
}

#[cfg(test)]
#[path = "run_state_tests.rs"]
mod tests;

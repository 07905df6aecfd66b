//! From a cleared run to a running server.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use underpin_core::{Denied, Digest, Sketch};
use underpin_data::Manifest;
use underpin_privacy::SecretKey;
use underpin_serve::{
    ClearanceCheck, ClientBook, Clock, Guards, HttpLimits, ModelInfo, QueryLedger, Recorder, Service, read_sketch,
    serve,
};
use underpin_train::{Classifier, DeviceKind};

use crate::Error;
use crate::assess::{Answers, perturbed};
use crate::job::{self, RecordedJob};
use crate::json::from_run;
use crate::seal::policy::AcceptedPolicies;
use crate::seal::{self, ClearanceStatus, PublicKey, files};

/// How often the sketch of the traffic is written to disk.
const SAVE: Duration = Duration::from_secs(5);

/// Where the serving state of a run lies: beside its folder, never in it.
#[derive(Clone, Debug)]
pub struct State(PathBuf);

impl State {
    /// The state of the run in `folder`; made if absent, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be made.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        // By its real name: `.` and links lead to the same state.
        let folder = &std::fs::canonicalize(folder).map_err(|source| Error::Io {
            action: "find",
            path: folder.to_owned(),
            source,
        })?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.with_file_name(format!("{name}.serving"));
        let failed = |source| Error::Io { action: "create", path: path.clone(), source };
        // A link would lead keys and quotas to a place that somebody else chose.
        if path.symlink_metadata().is_ok_and(|about| !about.is_dir()) {
            return Err(failed(std::io::Error::other("a link or a file is there, not a folder")));
        }
        std::fs::create_dir_all(&path).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
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

    /// The file of the traffic's sketch.
    pub fn sketch(&self) -> PathBuf {
        self.0.join("traffic.json")
    }
}

/// A cleared model behind its guards, ready to answer.
pub struct Ready {
    service: Service,
    recorder: Arc<Recorder<Answers<'static>>>,
    state: State,
    info: ModelInfo,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("state", &self.state).field("info", &self.info).finish_non_exhaustive()
    }
}

/// Asks the seal, before every answer, whether the clearance still stands.
struct Watch<C> {
    standing: Mutex<seal::ClearanceWatch>,
    clock: C,
}

impl<C: Fn() -> u64 + Send + Sync> ClearanceCheck for Watch<C> {
    fn check(&self) -> Result<(), Denied> {
        // OK after a panic elsewhere: a check begins by looking at the folder again.
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.check((self.clock)()).map_err(|fault| Denied::Revoked { reason: fault.to_string() })
    }
}

/// Opens the run in `folder` for serving: only with a clearance in force, signed by a trusted key, for the very bytes
/// of the model. `clock` returns seconds since 1970 UTC; the noise of perturbed answers comes from `key`.
///
/// # Errors
///
/// [`Error::Fault`] naming what is wrong with the run, a policy that is not among `policies`, or a model that is cleared
/// and not released; [`Error::NotCleared`] for a refusal.
pub fn open<C>(
    folder: &Path,
    trusted: &[PublicKey],
    policies: &AcceptedPolicies,
    name: Option<&str>,
    key: &SecretKey,
    clock: C,
) -> Result<Ready, Error>
where
    C: Fn() -> u64 + Send + Sync + 'static,
{
    let verified = seal::verify(folder, trusted, clock())?;
    if let ClearanceStatus::Refused(unmet) = verified.status() {
        return Err(Error::NotCleared { unmet: unmet.len(), wanted: "served" });
    }
    seal::accepted(&verified, policies)?;
    if verified.clearance().is_some_and(|clearance| !clearance.is_released()) {
        return Err(seal::Flaw::NotReleased.of(files::CLEARANCE).into());
    }
    let standing = Mutex::new(seal::ClearanceWatch::new(folder, trusted, &verified));
    let run = verified.into_run();
    let recorded: RecordedJob = from_run(&run, job::FILE)?;
    let manifest: Manifest = from_run(&run, files::MANIFEST)?;
    let bytes = run.file(files::MODEL).unwrap_or_default();
    let digest = Digest::of(bytes);
    let model = Classifier::from_safetensors(bytes, DeviceKind::Flex)?;
    let shape = model.shape().clone();
    let classes = manifest.contract.classes().to_vec();

    let state = State::of(folder)?;
    let sketch = match read_sketch(&state.sketch())? {
        Some(sketch) => sketch,
        None => Sketch::new(shape.size(), classes.len()),
    };
    let serving = &recorded.config.serving;
    let key = key.derive("model", &[digest.bytes()]);
    let guarded = perturbed(Box::new(model), &serving.perturb, &key);
    let recorder = Arc::new(Recorder::new(guarded, sketch));
    let guards = Guards {
        ledger: Arc::new(QueryLedger::open(&state.0.join("queries.redb"))?),
        quota: serving.quota,
        clients: Arc::new(state.clients()?),
        clearance: Arc::new(Watch { standing, clock }),
        clock: Clock::monotonic(),
    };
    let name = name.map_or_else(|| manifest.source.split('.').next().unwrap_or("model").to_owned(), str::to_owned);
    let info = ModelInfo { name, version: digest.to_string()[..12].to_owned(), shape, classes };
    let service = Service::new(info.clone(), Arc::clone(&recorder) as _, guards, HttpLimits::default());
    Ok(Ready { service, recorder, state, info })
}

impl Ready {
    /// What the server reports about the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Answers on `listener` until `shutdown` is ready; keeps the sketch of the traffic on disk.
    ///
    /// # Errors
    ///
    /// When the listener fails, or the last sketch cannot be written.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let (recorder, path) = (Arc::clone(&self.recorder), self.state.sketch());
        let saving = tokio::spawn(async move {
            let mut often = tokio::time::interval(SAVE);
            loop {
                often.tick().await;
                if let Err(error) = recorder.save(&path) {
                    tracing::warn!(%error, "the sketch of the traffic could not be written");
                }
            }
        });
        let served = serve(listener, self.service, shutdown).await;
        saving.abort();
        self.recorder.save(&self.state.sketch())?;
        Ok(served?)
    }
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
        assert!(
            std::error::Error::source(&fault).is_some_and(|source| source.to_string().contains("a link")),
            "{fault:?}"
        );
        std::fs::remove_file(home.path().join("run.serving")).unwrap();
        State::of(&run).unwrap();
    }
}

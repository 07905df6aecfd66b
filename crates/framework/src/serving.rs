//! From a cleared run to a running server.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use underpin_core::{Denied, Digest, Sketch};
use underpin_data::Manifest;
use underpin_serve::{
    ClearanceCheck, ClientBook, Clock, Guards, HttpLimits, ModelInfo, OwnerState, Recorder, RememberedLedger, Service,
    Tls, check_unchangeable, private_folder, read_sketch, secret_file, serve, serve_tls,
};
use underpin_train::{Classifier, DeviceKind};

use crate::Error;
use crate::assess::{Answers, perturbed};
use crate::job::{self, RecordedJob};
use crate::json::from_run;
use crate::seal::{self, ClearanceStatus, PublicKey, files};
use crate::served_inputs::ServedInputs;

/// How often the sketch of the traffic is written to disk.
const SAVE: Duration = Duration::from_secs(5);

/// How often the count of queries is written to the owner's state.
const REMEMBER: Duration = Duration::from_secs(1);

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
        // By its real name: `.` and links lead to the same state.
        let folder = &std::fs::canonicalize(folder).map_err(|source| Error::Io {
            action: "find",
            path: folder.to_owned(),
            source,
        })?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.with_file_name(format!("{name}.serving"));
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

    /// The file of the traffic's sketch.
    pub fn sketch(&self) -> PathBuf {
        self.0.join("traffic.json")
    }
}

/// A cleared model behind its guards, ready to answer.
pub struct Ready {
    service: Service,
    recorder: Arc<Recorder<Answers<'static>>>,
    ledger: Arc<RememberedLedger>,
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
    clock: Arc<C>,
}

impl<C: Fn() -> u64 + Send + Sync> ClearanceCheck for Watch<C> {
    fn check(&self) -> Result<(), Denied> {
        // OK after a panic elsewhere: a check begins by looking at the folder again.
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.check((self.clock)()).map_err(|fault| Denied::Revoked { reason: fault.to_string() })
    }
}

/// Refuses a run that others can change; warns of one that others can read.
fn check_folder(folder: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    // By its real name: the folder may be reached by a link, what is in it may not.
    let real = std::fs::canonicalize(folder).map_err(io)?;
    let mut open = check_unchangeable(&real)?;
    for entry in std::fs::read_dir(&real).map_err(io)? {
        open &= check_unchangeable(&entry.map_err(io)?.path())?;
    }
    if open {
        tracing::warn!(folder = %folder.display(), "others can read the run folder, which is confidential: chmod -R go= it");
    }
    Ok(())
}

/// Opens the run in `folder` for serving: only with a clearance in force, signed by a trusted key, for the very bytes
/// of the model. `clock` returns seconds since 1970 UTC; `owner` remembers the ledger of the run. The noise of perturbed answers
/// comes from a secret of the server's own, in its state.
///
/// # Guarantees
///
/// 1. A run that others than its owner can change, and a state, ledger or file of keys that others can read, is refused
///    (`what_others_may_change_is_not_served`).
/// 2. A moved or copied run is served with the ledger that counted it, or not at all (`a_server_needs_no_signing_key_and_a_copied_run_keeps_its_quota`).
/// 3. No signing key is needed, and none is made (`a_server_needs_no_signing_key_and_a_copied_run_keeps_its_quota`).
///
/// # Errors
///
/// [`Error::Fault`] naming what is wrong with the run, [`Error::NotCleared`] for a refusal, [`Error::Serve`] for its state.
pub fn open<C>(
    folder: &Path,
    trusted: &[PublicKey],
    name: Option<&str>,
    owner: &OwnerState,
    clock: C,
) -> Result<Ready, Error>
where
    C: Fn() -> u64 + Send + Sync + 'static,
{
    check_folder(folder)?;
    let verified = seal::verify(folder, trusted, clock())?;
    if let ClearanceStatus::Refused(unmet) = verified.status() {
        return Err(Error::NotCleared { unmet: unmet.len(), wanted: "served" });
    }
    let standing = Mutex::new(seal::ClearanceWatch::new(folder, trusted, &verified));
    let run = verified.into_run();
    let root = run.log().root().to_string();
    let recorded: RecordedJob = from_run(&run, job::FILE)?;
    let manifest: Manifest = from_run(&run, files::MANIFEST)?;
    let bytes = run.file(files::MODEL).unwrap_or_default();
    let digest = Digest::of(bytes);
    let model = Classifier::from_safetensors(bytes, DeviceKind::Flex)?;
    let shape = model.shape().clone();
    let classes = manifest.contract.classes().to_vec();

    let state = State::of(folder)?;
    // First of all: of a run that is refused for its ledger, nothing is made.
    let ledger = Arc::new(RememberedLedger::open(&state.0.join("queries.redb"), &root, owner)?);
    let sketch = match read_sketch(&state.sketch())? {
        Some(sketch) => sketch,
        None => Sketch::new(shape.size(), classes.len()),
    };
    let serving = &recorded.config.serving;
    let key = secret_file(&state.0.join("noise.key"))?.derive("model", &[digest.bytes()]);
    let guarded = perturbed(Box::new(model), &serving.perturb, &key);
    let recorder = Arc::new(Recorder::new(guarded, sketch));
    let clock = Arc::new(clock);
    let date = Clock::new({
        let clock = Arc::clone(&clock);
        move || Duration::from_secs(clock())
    });
    let guards = Guards {
        ledger: ledger.ledger(),
        quota: serving.quota,
        clients: Arc::new(state.clients()?),
        clearance: Arc::new(Watch { standing, clock }),
        clock: Clock::monotonic(),
        date,
        contract: Some(Arc::new(ServedInputs::new(&manifest.contract))),
    };
    let name = name.map_or_else(|| manifest.source.split('.').next().unwrap_or("model").to_owned(), str::to_owned);
    let info = ModelInfo { name, version: digest.to_string()[..12].to_owned(), shape, classes };
    let service = Service::new(info.clone(), Arc::clone(&recorder) as _, guards, HttpLimits::default());
    Ok(Ready { service, recorder, ledger, state, info })
}

impl Ready {
    /// What the server reports about the model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Answers on `listener`, over TLS where there is an identity, until `shutdown` is ready; keeps the sketch of the traffic
    /// and the count of queries on disk.
    ///
    /// # Errors
    ///
    /// When the listener fails, or the last sketch or count cannot be written.
    pub async fn serve(
        self,
        listener: TcpListener,
        tls: Option<Tls>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let (recorder, path) = (Arc::clone(&self.recorder), self.state.sketch());
        let saving = regularly(SAVE, "the sketch of the traffic", move || recorder.save(&path));
        let ledger = Arc::clone(&self.ledger);
        let remembering = regularly(REMEMBER, "the count of queries", move || ledger.remember());
        let served = match tls {
            None => serve(listener, self.service, shutdown).await,
            Some(tls) => serve_tls(listener, self.service, tls, shutdown).await,
        };
        saving.abort();
        remembering.abort();
        self.recorder.save(&self.state.sketch())?;
        self.ledger.remember()?;
        Ok(served?)
    }
}

/// Saves something again and again, off the threads that answer; a failure is logged and tried again.
fn regularly(
    every: Duration,
    what: &'static str,
    save: impl Fn() -> Result<(), underpin_serve::Error> + Send + Sync + 'static,
) -> tokio::task::JoinHandle<()> {
    let save = Arc::new(save);
    tokio::spawn(async move {
        let mut often = tokio::time::interval(every);
        loop {
            often.tick().await;
            let save = Arc::clone(&save);
            match tokio::task::spawn_blocking(move || save()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "{what} could not be written"),
                Err(error) => tracing::error!(%error, "{what} could not be written"),
            }
        }
    })
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

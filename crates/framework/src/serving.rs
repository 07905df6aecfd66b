//! From a cleared run to a running server.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use underpin_core::{Denied, Digest, Sketch};
use underpin_data::Manifest;
use underpin_serve::{
    ClearanceCheck, Clock, Guards, HttpLimits, ModelInfo, OwnerState, Recorder, RememberedLedger, Service, Tls,
    check_unchangeable, read_sketch, secret_file, serve, serve_tls,
};
use underpin_train::{Classifier, DeviceKind};

use crate::Error;
use crate::assess::{Answers, perturbed};
use crate::job::RecordedJob;
use crate::json::from_run;
use crate::known_runs::KnownRuns;
use crate::seal::policy::AcceptedPolicies;
use crate::seal::{self, ClearanceStatus, PublicKey, Witnesses, files};
use crate::served_inputs::ServedInputs;
use crate::serving_state::State;

/// How often the sketch of the traffic is written to disk.
const SAVE: Duration = Duration::from_secs(5);

/// How often the count of queries is written to the owner's state.
const REMEMBER: Duration = Duration::from_secs(1);

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

/// How a clearance stood when it was last asked for.
struct Standing {
    clearance: seal::ClearanceWatch,
    /// The second in which the owner's state was asked, and what it said.
    owner: Option<(u64, Result<(), String>)>,
}

/// Asks the seal and the owner's state, before every answer, whether the clearance still stands.
struct Watch<C> {
    standing: Mutex<Standing>,
    known: KnownRuns,
    folder: PathBuf,
    clock: Arc<C>,
}

impl<C: Fn() -> u64 + Send + Sync> ClearanceCheck for Watch<C> {
    fn check(&self) -> Result<(), Denied> {
        // OK after a panic elsewhere: a check begins by looking at the folder again.
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock)();
        let Standing { clearance, owner } = &mut *standing;
        let checked = clearance.check(now);
        // What somebody else put on record, a revocation above all, is known after a restart, too.
        if let Some(log) = clearance.news()
            && let Err(error) = self.known.remember(&self.folder, log, now)
        {
            tracing::warn!(%error, "how far the log goes could not be remembered");
        }
        // What the owner did meanwhile to another copy, or to this folder before an older one was put back.
        if owner.as_ref().is_none_or(|(asked, _)| *asked != now) {
            *owner = Some((now, self.known.check(clearance.log()).map_err(|error| error.to_string())));
        }
        if let Some((_, Err(reason))) = owner {
            return Err(Denied::Revoked { reason: reason.clone() });
        }
        checked.map_err(|fault| Denied::Revoked { reason: fault.to_string() })
    }
}

/// Refuses a run that others can change; warns of one that others can read.
fn check_folder(folder: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let mut open = check_unchangeable(folder)?;
    for entry in std::fs::read_dir(folder).map_err(io)? {
        open &= check_unchangeable(&entry.map_err(io)?.path())?;
    }
    if open {
        tracing::warn!(folder = %folder.display(), "others can read the run folder, which is confidential: chmod -R go= it");
    }
    Ok(())
}

/// What to serve, and on what conditions.
#[derive(Clone, Debug)]
pub struct ServeRequest<'a> {
    /// The run folder.
    pub folder: &'a Path,
    /// Keys that the run may be signed by.
    pub trusted: &'a [PublicKey],
    /// Policies under which a release is accepted.
    pub policies: &'a AcceptedPolicies,
    /// Parties that must have witnessed the clearance; none have to when it is empty.
    pub witnesses: &'a Witnesses,
    /// Name of the model in requests; the data set's if absent.
    pub name: Option<&'a str>,
    /// What the owner remembers of runs and their ledgers.
    pub owner: &'a OwnerState,
}

/// Opens a run for serving: only with a clearance in force, signed by a trusted key, for the very bytes of the model. `clock`
/// returns seconds since 1970 UTC. The noise of perturbed answers comes from a secret of the server's own, in its state.
///
/// # Guarantees
///
/// 1. A run that others than its owner can change, and a state, ledger or file of keys that others can read, is refused
///    (`what_others_may_change_is_not_served`).
/// 2. A moved or copied run is served with the ledger that counted it, or not at all (`a_server_needs_no_signing_key_and_a_copied_run_keeps_its_quota`).
/// 3. No signing key is needed, and none is made (`a_server_needs_no_signing_key_and_a_copied_run_keeps_its_quota`).
/// 4. A run that went back to an earlier state is refused, also after a restart (`a_run_that_went_back_is_refused_by_every_command`).
///
/// # Errors
///
/// [`Error::Fault`] naming what is wrong with the run, a policy that is not among `policies`, a witness that is missing, or
/// a model that is cleared and not released; [`Error::NotCleared`] for a refusal; [`Error::Serve`] for its state.
pub fn open<C>(request: &ServeRequest<'_>, clock: C) -> Result<Ready, Error>
where
    C: Fn() -> u64 + Send + Sync + 'static,
{
    let ServeRequest { folder, trusted, policies, witnesses, name, owner } = *request;
    // By its real name, once: the folder may be reached by a link, which is not followed again; what is in it may not.
    let io = |source| Error::Io { action: "find", path: folder.to_owned(), source };
    let real = std::fs::canonicalize(folder).map_err(io)?;
    let folder = real.as_path();
    check_folder(folder)?;
    let verified = seal::verify(folder, trusted, clock())?;
    let known = KnownRuns::new(owner.clone());
    known.remember(folder, verified.log(), clock())?;
    if let ClearanceStatus::Refused(unmet) = verified.status() {
        return Err(Error::NotCleared { unmet: unmet.len(), wanted: "served" });
    }
    seal::accepted(&verified, policies)?;
    if verified.clearance().is_some_and(|clearance| !clearance.is_released()) {
        return Err(seal::Flaw::NotReleased.of(files::CLEARANCE).into());
    }
    witnesses.check(folder, &verified)?;
    let clearance = seal::ClearanceWatch::new(folder, trusted, &verified).with_witnesses(witnesses.clone());
    let standing = Mutex::new(Standing { clearance, owner: None });
    let run = verified.into_run();
    let root = run.log().root().to_string();
    let recorded: RecordedJob = from_run(&run, files::JOB)?;
    let manifest: Manifest = from_run(&run, files::MANIFEST)?;
    let bytes = run.file(files::MODEL, files::MODEL_LIMIT)?;
    let digest = Digest::of(&bytes);
    let model = Classifier::from_safetensors(&bytes, DeviceKind::Flex)?;
    drop(bytes);
    let shape = model.shape().clone();
    let classes = manifest.contract.classes().to_vec();

    let state = State::of(folder)?;
    // First of all: of a run that is refused for its ledger, nothing is made.
    let ledger = Arc::new(RememberedLedger::open(&state.ledger(), &root, owner)?);
    let sketch = match read_sketch(&state.sketch())? {
        Some(sketch) => sketch,
        None => Sketch::new(shape.size(), classes.len()),
    };
    let serving = &recorded.config.serving;
    let key = secret_file(&state.secret())?.derive("model", &[digest.bytes()]);
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
        clearance: Arc::new(Watch { standing, known, folder: folder.to_owned(), clock }),
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

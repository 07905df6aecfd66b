//! A small run, sealed for real.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use underpin_core::{
    AmountUnit, Attempt, Bar, Control, Digest, Evidence, Interval, Limit, Measurement, Phase, Policy, Record,
    Requirement, Seed, Subject, System, Value,
};
use underpin_data::{Reason, Rejection, RowDecision, RowLedger};

use crate::seal::*;

/// When the sample run was measured and cleared, and a time at which its clearance holds.
pub(crate) const ISSUED: u64 = 1_800_000_000;
pub(crate) const NOW: u64 = ISSUED + 3_600;
pub(crate) const DAYS: u64 = 90;

/// What parameters are multiples of; the queries of every measurement.
const BASE: f64 = 1000.0;

pub(crate) const MODEL: &[u8] = b"weights: \x00\x01\x02\xff of a model, as good as any other bytes";
pub(crate) const JOB: &[u8] = b"{\"input\":\"digits\",\"device\":\"flex\",\"protection\":\"defended\"}";
/// The changes to the configuration.
pub(crate) const CONFIGURATION: &[u8] = b"[training]\nepochs = 3\n";

/// The files that train, and those of the rows held out.
pub(crate) fn data_files() -> [Vec<Subject>; 2] {
    [("rows.csv", b"a,b"), ("test.csv", b"c,d")]
        .map(|(name, bytes)| vec![Subject { name: name.into(), digest: Digest::of(bytes) }])
}

pub(crate) fn manifest() -> Vec<u8> {
    let [files, held_out_files] = data_files();
    serde_json::to_vec(&serde_json::json!({ "files": files, "held_out_files": held_out_files, "rows": 1797 })).unwrap()
}

/// A ledger of `rows` rows, of which the first `rejected` are.
pub(crate) fn ledger(rows: u64, rejected: u64) -> Vec<u8> {
    let rejection = || Rejection { by: "contract".into(), reason: Reason::Malformed, detail: "3 cells".into() };
    let decision =
        |id: u64| RowDecision { id, digest: Digest::of(&id.to_le_bytes()), dropped: (id <= rejected).then(rejection) };
    let mut bytes = Vec::new();
    RowLedger::new((1..=rows).map(decision).collect()).unwrap().write(&mut bytes).unwrap();
    bytes
}

/// A key that is the same in every test.
pub(crate) fn key(number: u8) -> SigningKey {
    use p256::pkcs8::EncodePrivateKey;
    let scalar = p256::SecretKey::from_slice(&[number; 32]).unwrap();
    SigningKey::from_pem(&scalar.to_pkcs8_pem(p256::pkcs8::LineEnding::LF).unwrap()).unwrap()
}

pub(crate) fn act(at: u64, what: &str) -> Action {
    Action { at, who: "alice".into(), what: what.into(), details: [("rows".to_owned(), 1797_u64.into())].into() }
}

/// Measurements that meet every bar of `policy`, just.
pub(crate) fn meeting(policy: &Policy) -> Vec<Measurement> {
    meeting_bars(policy.bars())
}

/// The parameters that `bar` asks for, no stronger than it asks.
fn required(bar: &Bar) -> BTreeMap<String, Value> {
    let mut parameters: BTreeMap<String, Value> = BTreeMap::new();
    for (name, requirement) in &bar.require {
        let value = match requirement {
            Requirement::Equals(value) => value.clone(),
            Requirement::AtLeast(amount) | Requirement::AtMost(amount) => match &amount.unit {
                AmountUnit::One => amount.value.into(),
                AmountUnit::Of(of) => {
                    parameters.insert(of.clone(), BASE.into());
                    (amount.value * BASE).into()
                }
                AmountUnit::Per(per) => {
                    parameters.insert(per.clone(), BASE.into());
                    (amount.value / BASE).into()
                }
            },
        };
        parameters.insert(name.clone(), value);
    }
    parameters
}

fn meeting_bars(bars: &[Bar]) -> Vec<Measurement> {
    let mut measurements: Vec<Measurement> = Vec::new();
    for bar in bars {
        let (Limit::AtLeast(limit) | Limit::AtMost(limit)) = bar.limit;
        measurements.push(Measurement {
            about: bar.about,
            quantity: bar.quantity,
            system: System::Defended,
            access: bar.access,
            phase: Phase::Deployment,
            attack: bar.attack.clone().unwrap_or_else(|| "some".into()),
            value: limit,
            interval: Interval { lower: limit, upper: limit, confidence: bar.confidence },
            n: bar.min_samples,
            chance: None,
            constant: bar.above_chance.map(|_| 0.0),
            queries: Some(1000),
            radius: bar.perturbation.map(|perturbation| perturbation.radius),
            norm: bar.perturbation.map(|perturbation| perturbation.norm),
            parameters: required(bar),
            weakened: vec![],
            controls: vec![Control { target: "weak".into(), value: 1.0, at_least: Some(0.5), at_most: None }],
        });
    }
    measurements
}

pub(crate) fn evidence(text: &[u8], ledger: &[u8], measurements: Vec<Measurement>) -> Evidence {
    let subject = |name: &str, bytes: &[u8]| Subject { name: name.into(), digest: Digest::of(bytes) };
    Evidence {
        subjects: vec![
            subject(files::MODEL, MODEL),
            subject(files::MANIFEST, &manifest()),
            subject(files::JOB, JOB),
            subject(files::LEDGER, ledger),
            subject(files::HELD_OUT_LEDGER, ledger),
            subject(files::POLICY, text),
        ],
        policy: Digest::of(text),
        seed: Seed(7),
        revision: "0123abcd".into(),
        versions: [("underpin".to_owned(), "0.1.0".to_owned())].into(),
        attempt: Some(Attempt { number: 3, released: 0, cleared: 1, refused: 0, unfinished: 1 }),
        measured_at: ISSUED - 60,
        record: Record { measurements, ..Record::default() },
    }
}

/// What safety evaluation measured, such that every limit of the policy's intent is met.
fn meeting_intent(policy: &Policy) -> Record {
    Record { measurements: meeting_bars(policy.release_bars()), ..Record::default() }
}

/// The bytes of `safety.json`.
pub(crate) fn safety(policy: &Policy) -> Vec<u8> {
    serde_json::to_vec(&meeting_intent(policy)).unwrap()
}

pub(crate) fn clearance(policy: &Policy, evidence: &Evidence, signed: &[u8]) -> ClearanceDocument {
    ClearanceDocument {
        policy: PolicyName { name: policy.name().into(), digest: evidence.policy },
        evidence: Digest::of(signed),
        model: Digest::of(MODEL),
        verdicts: policy.judge(evidence.policy, evidence),
        safety: Digest::of(&safety(policy)),
        release: policy.judge_release(&meeting_intent(policy)),
        waivers: policy.waivers().to_vec(),
        issued_at: ISSUED,
        expires_at: ISSUED + DAYS * 86_400,
        seed: evidence.seed,
        revision: evidence.revision.clone(),
    }
}

/// A run to be; change a part, then seal it.
pub(crate) struct Sample {
    pub(crate) policy: Vec<u8>,
    pub(crate) ledger: Vec<u8>,
    pub(crate) evidence: Evidence,
    /// Changes the clearance before it is signed; none leaves it out.
    pub(crate) clear: Option<fn(&mut ClearanceDocument)>,
    /// Whether the limits of the policy's intent are met; otherwise safety evaluation measured nothing.
    pub(crate) released: bool,
    pub(crate) key: SigningKey,
    /// Changes what the first entry says the run is bound to.
    pub(crate) commit: fn(&mut BTreeMap<String, Value>),
}

impl Sample {
    fn commitment(&self) -> Commitment {
        let [data, held_out] = data_files();
        let Evidence { seed, revision, versions, attempt, .. } = self.evidence.clone();
        Commitment {
            policy: Digest::of(&self.policy),
            configuration: Some(Digest::of(CONFIGURATION)),
            data,
            held_out,
            input: Commitment::input_digest(&"digits".into()),
            device: "flex".into(),
            protection: "defended".into(),
            seed,
            revision,
            versions,
            attempt,
        }
    }

    pub(crate) fn cleared() -> Self {
        let text = policy::BASELINE.as_bytes().to_vec();
        let (parsed, _) = policy::read(&text).unwrap();
        let ledger = ledger(10, 1);
        let evidence = evidence(&text, &ledger, meeting(&parsed));
        Self { evidence, ledger, policy: text, clear: Some(|_| {}), released: true, key: key(1), commit: |_| {} }
    }

    /// The same run with another ledger, that its evidence speaks of.
    pub(crate) fn with_ledger(mut self, ledger: Vec<u8>) -> Self {
        let (parsed, _) = policy::read(&self.policy).unwrap();
        self.evidence = evidence(&self.policy, &ledger, meeting(&parsed));
        Self { ledger, ..self }
    }

    pub(crate) fn refused() -> Self {
        let mut sample = Self { clear: None, ..Self::cleared() };
        sample.evidence.record.measurements[0].value = 0.1;
        sample
    }

    /// All files but key and log, in a folder that is not finished.
    pub(crate) fn begin(&self, path: &Path) -> RunFolder {
        let mut folder = RunFolder::create(path).unwrap();
        let (parsed, _) = policy::read(&self.policy).unwrap();
        let signed = sign(&self.evidence, &self.evidence.subjects, &self.key).unwrap();
        folder.write(files::POLICY, &self.policy).unwrap();
        let mut details = self.commitment().details();
        (self.commit)(&mut details);
        folder.record(Action { details, ..act(ISSUED - 100, Commitment::act()) }, &self.key).unwrap();
        folder.write(files::MANIFEST, &manifest()).unwrap();
        folder.write(files::JOB, JOB).unwrap();
        folder.write(files::CONFIGURATION, CONFIGURATION).unwrap();
        folder.write(files::LEDGER, &self.ledger).unwrap();
        folder.write(files::HELD_OUT_LEDGER, &self.ledger).unwrap();
        folder.write(files::QUARANTINE, b"PAR1").unwrap();
        folder.write(files::MODEL, MODEL).unwrap();
        folder.write(files::EVIDENCE, &signed).unwrap();
        folder.write(files::REPORT, b"<!doctype html><p>cleared").unwrap();
        folder.write("picture.svg", b"<svg/>").unwrap();
        if let Some(change) = self.clear {
            let mut clearance = clearance(&parsed, &self.evidence, &signed);
            let mut written = safety(&parsed);
            if !self.released {
                written = serde_json::to_vec(&Record::default()).unwrap();
                clearance.safety = Digest::of(&written);
                clearance.release = parsed.judge_release(&Record::default());
            }
            change(&mut clearance);
            folder.write(files::SAFETY, &written).unwrap();
            folder.write(files::CLEARANCE, &clearance.sign(&self.key).unwrap()).unwrap();
        }
        folder.record(act(ISSUED, "judged"), &self.key).unwrap();
        folder
    }

    pub(crate) fn seal(&self, path: &Path) -> Result<LogHead, Error> {
        self.begin(path).finish(act(ISSUED + 1, "sealed"), &self.key)
    }
}

/// A cleared run on disk, and its folder.
pub(crate) fn sealed() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    Sample::cleared().seal(&path).unwrap();
    (place, path)
}

/// A cleared run on disk by another key, and its folder.
pub(crate) fn sealed_by(number: u8) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    Sample { key: key(number), ..Sample::cleared() }
        .begin(&path)
        .finish(act(ISSUED + 1, "sealed"), &key(number))
        .unwrap();
    (place, path)
}

pub(crate) fn trusted() -> [PublicKey; 1] {
    [key(1).public()]
}

//! A made-up run, much like a real one, for the tests of the report.

use std::collections::BTreeMap;

use underpin_core::{
    About, Access, Confidence, Control, Digest, Evidence, Interval, Measurement, Norm, Phase, Point, Policy, Quantity,
    Radius, Record, Seed, Series, Subject, System, Value, Verdict,
};

use super::{GateResult, Report};
use crate::summary::{Class, DataSummary, Dropped, Picture, Reconstruction};

const MEASURED: u64 = 1_795_454_191;

/// Rows of the UCI digits, 0 to 16.
const DIGITS: [[u8; 64]; 4] = [
    [
        0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0, 0, 3, 15, 2, 0, 11, 8, 0, 0, 4, 12, 0, 0, 8, 8, 0, 0, 5,
        8, 0, 0, 9, 8, 0, 0, 4, 11, 0, 1, 12, 7, 0, 0, 2, 14, 5, 10, 12, 0, 0, 0, 0, 6, 13, 10, 0, 0, 0,
    ],
    [
        0, 0, 0, 12, 13, 5, 0, 0, 0, 0, 0, 11, 16, 9, 0, 0, 0, 0, 3, 15, 16, 6, 0, 0, 0, 7, 15, 16, 16, 2, 0, 0, 0, 0,
        1, 16, 16, 3, 0, 0, 0, 0, 1, 16, 16, 6, 0, 0, 0, 0, 1, 16, 16, 6, 0, 0, 0, 0, 0, 11, 16, 10, 0, 0,
    ],
    [
        0, 0, 0, 4, 15, 12, 0, 0, 0, 0, 3, 16, 15, 14, 0, 0, 0, 0, 8, 13, 8, 16, 0, 0, 0, 0, 1, 6, 15, 11, 0, 0, 0, 1,
        8, 13, 15, 1, 0, 0, 0, 9, 16, 16, 5, 0, 0, 0, 0, 3, 13, 16, 16, 11, 5, 0, 0, 0, 0, 3, 11, 16, 9, 0,
    ],
    [
        0, 0, 7, 15, 13, 1, 0, 0, 0, 8, 13, 6, 15, 4, 0, 0, 0, 2, 1, 13, 13, 0, 0, 0, 0, 0, 2, 15, 11, 1, 0, 0, 0, 0,
        0, 1, 12, 12, 1, 0, 0, 0, 0, 0, 1, 10, 8, 0, 0, 0, 8, 4, 5, 14, 9, 0, 0, 0, 7, 13, 13, 9, 0, 0,
    ],
];

/// All that a report borrows.
pub(super) struct Sample {
    pub(super) evidence: Evidence,
    pub(super) policy: Policy,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) data: DataSummary,
    pub(super) reconstructions: Vec<Reconstruction>,
    pub(super) safety: Record,
    pub(super) release: Vec<Verdict>,
}

impl Sample {
    /// A run that meets every bar.
    pub(super) fn good() -> Self {
        Self::of(evidence())
    }

    /// A run whose defences are off: its undefended numbers stand as those of the system to be cleared.
    pub(super) fn bad() -> Self {
        let mut evidence = evidence();
        let measurements = &mut evidence.record.measurements;
        measurements.retain(|one| one.system == System::Undefended || one.quantity == Quantity::AccuracyLoss);
        let defended = measurements.clone().into_iter().map(|one| Measurement { system: System::Defended, ..one });
        *measurements = defended.collect();
        Self::of(evidence)
    }

    /// Nothing measured, nothing recorded.
    pub(super) fn empty() -> Self {
        let mut evidence = evidence();
        evidence.record = Record::default();
        evidence.subjects.clear();
        Self { data: DataSummary::default(), reconstructions: vec![], safety: Record::default(), ..Self::of(evidence) }
    }

    pub(super) fn of(evidence: Evidence) -> Self {
        let policy: Policy = toml::from_str(include_str!("sample_policy.toml")).unwrap();
        let verdicts = policy.judge(evidence.policy, &evidence);
        let safety = safety();
        let release = policy.judge_release(&safety);
        Self { evidence, policy, verdicts, data: data(), reconstructions: reconstructions(), safety, release }
    }

    pub(super) fn cleared(&self) -> Report<'_> {
        let expires_at = MEASURED + 90 * 86_400;
        self.report(GateResult::Cleared {
            expires_at,
            key: "3f1c9a77d05be214",
            safety: Some(&self.safety),
            release: Some(&self.release),
        })
    }

    pub(super) fn refused(&self) -> Report<'_> {
        self.report(GateResult::Refused)
    }

    pub(super) fn report<'a>(&'a self, outcome: GateResult<'a>) -> Report<'a> {
        Report {
            evidence: &self.evidence,
            policy: &self.policy,
            verdicts: &self.verdicts,
            outcome,
            data: &self.data,
            reconstructions: &self.reconstructions,
        }
    }
}

fn digest(byte: u8) -> Digest {
    Digest::new(std::array::from_fn(|at| {
        byte.wrapping_mul(31).wrapping_add(37_u8.wrapping_mul(u8::try_from(at).unwrap()))
    }))
}

pub(super) fn picture(digit: usize, blur: f32, caption: &str) -> Picture {
    let values = DIGITS[digit % 4].iter().enumerate().map(|(at, value)| {
        let noise = ((at * 7919 + digit * 104_729) % 97) as f32 / 97.0;
        (1.0 - blur) * f32::from(*value) / 16.0 + blur * noise
    });
    Picture { shape: [1, 8, 8], values: values.collect(), caption: caption.to_owned() }
}

fn data() -> DataSummary {
    let dropped = |by: &str, reason: &str, rows| Dropped { by: by.into(), reason: reason.into(), rows };
    let mut trigger = picture(1, 0.0, "backdoor trigger: four bright pixels, labelled 7");
    for at in [54, 55, 62, 63] {
        trigger.values[at] = 1.0;
    }
    let mut broken = picture(2, 0.0, "contract: pixel 12 is not a number");
    broken.values[12] = f32::NAN;
    let words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let rows = [171, 175, 170, 176, 174, 177, 173, 172, 166, 170];
    DataSummary {
        name: "UCI digits".into(),
        rows_read: 1797,
        kept: 1724,
        dropped: vec![
            dropped("contract", "value outside [0, 16]", 9),
            dropped("exact_duplicates", "same pixels as a kept row", 3),
            dropped("near_duplicates", "within 0.02 of a row in the test fraction", 14),
            dropped("knn_label_errors", "label disagrees with 9 of 10 nearest rows", 35),
            dropped("spectral_signatures", "outlier of its class in representation", 12),
        ],
        classes: words.iter().zip(rows).map(|(name, rows)| Class { name: (*name).into(), rows }).collect(),
        examples: vec![
            trigger,
            picture(0, 0.0, "label error: a zero labelled “six”"),
            broken,
            picture(3, 0.7, "outlier: far from every row of its class"),
            picture(3, 0.0, "duplicate of row 1204"),
        ],
    }
}

fn reconstructions() -> Vec<Reconstruction> {
    let make = |(class, name): (usize, &&str)| Reconstruction {
        class: (*name).to_owned(),
        mean: picture(class, 0.1, ""),
        undefended: Some(picture(class, 0.35, "score 0.81")),
        defended: (class != 3).then(|| picture(class, 0.95, "score 0.22")),
    };
    ["zero", "one", "two", "three"].iter().enumerate().map(make).collect()
}

struct Shot(About, Quantity, Option<Access>, Phase, &'static str, f64);

/// One measurement on each system; the half-width of the interval and the number of observations go with it.
fn both(record: &mut Record, shot: &Shot, undefended: f64, defended: f64, half: f64) {
    for (system, value) in [(System::Undefended, undefended), (System::Defended, defended)] {
        record.measurements.push(measurement(shot, system, value, half));
    }
}

fn measurement(shot: &Shot, system: System, value: f64, half: f64) -> Measurement {
    let Shot(about, quantity, access, phase, attack, chance) = *shot;
    let least = if quantity.unit() == underpin_core::Unit::Difference { -1.0 } else { 0.0 };
    let evasion = about == About::Evasion;
    let control = |target: &str, value, at_least, at_most| Control { target: target.into(), value, at_least, at_most };
    Measurement {
        about,
        quantity,
        system,
        access,
        phase,
        attack: attack.to_owned(),
        value,
        interval: Interval {
            lower: (value - half).max(least),
            upper: if value.is_finite() && quantity != Quantity::Epsilon { (value + half).min(1.0) } else { value },
            confidence: Confidence::new(0.95).unwrap(),
        },
        n: 360,
        chance: chance.is_finite().then_some(chance),
        constant: None,
        queries: access.map(|_| 2000),
        radius: evasion.then(|| Radius::new(0.1).unwrap()),
        norm: evasion.then_some(Norm::Linf),
        parameters: parameters(quantity),
        weakened: vec![],
        controls: vec![
            control("linear model, no defence", 0.97, Some(0.8), None),
            control("constant answer", 0.02, None, Some(0.1)),
        ],
    }
}

/// The parameters that the sample's policy asks for.
fn parameters(quantity: Quantity) -> BTreeMap<String, Value> {
    let asked: &[(&str, Value)] = &match quantity {
        Quantity::FidelityGain => vec![("owned_rows", 50_u64.into())],
        Quantity::TprAtFpr => vec![("fpr", 0.01.into())],
        Quantity::Epsilon => vec![("delta", 1e-5.into()), ("rows", 1724_u64.into())],
        Quantity::AttackSuccessRate | Quantity::PoisonAccuracyDrop => vec![("poisoned_fraction", 0.05.into())],
        Quantity::AccuracyLoss => vec![("baseline_recipe", "recommended".into())],
        _ => vec![],
    };
    let common = [("steps", 40_u64.into()), ("seed", "derived".into())];
    common.iter().chain(asked).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn evidence() -> Evidence {
    use Access::{BlackBox, GrayBox, WhiteBox};
    use Phase::{Collection, Deployment, Training};
    let mut record = Record::default();
    let none = f64::NAN;
    let mut add = |about, quantity, access, phase, attack, chance, values: [f64; 3]| {
        both(&mut record, &Shot(about, quantity, access, phase, attack, chance), values[0], values[1], values[2]);
    };
    let (poison, evade, invert) = (About::Poisoning, About::Evasion, About::Inversion);
    let (steal, member) = (About::Extraction, About::MembershipInference);
    add(poison, Quantity::AttackSuccessRate, Some(GrayBox), Collection, "badnets", 0.02, [0.941, 0.083, 0.041]);
    add(poison, Quantity::PoisonAccuracyDrop, Some(GrayBox), Collection, "label_flip", 0.0, [0.124, 0.021, 0.032]);
    add(evade, Quantity::RobustAccuracy, Some(WhiteBox), Training, "pgd", 0.9, [0.0431, 0.527, 0.051]);
    add(evade, Quantity::RobustAccuracy, Some(GrayBox), Training, "transfer", 0.9, [0.312, 0.742, 0.046]);
    add(evade, Quantity::RobustAccuracy, Some(BlackBox), Deployment, "square", 0.9, [0.118, 0.661, 0.049]);
    add(invert, Quantity::InversionScore, Some(WhiteBox), Training, "class_inversion", 0.0, [0.812, 0.341, 0.12]);
    add(steal, Quantity::Fidelity, Some(BlackBox), Deployment, "knockoff", 0.71, [0.931, 0.764, 0.04]);
    add(steal, Quantity::FidelityGain, Some(BlackBox), Deployment, "knockoff", 0.0, [0.221, 0.054, 0.043]);
    add(member, Quantity::TprAtFpr, Some(BlackBox), Deployment, "lira", 0.01, [0.234, 0.0213, 0.027]);
    add(member, Quantity::MembershipAdvantage, Some(BlackBox), Deployment, "label_gap", 0.0, [0.173, -0.012, 0.06]);
    add(member, Quantity::Epsilon, None, Training, "rdp_accountant", none, [f64::INFINITY, 3.87, 0.0]);
    add(About::Utility, Quantity::CleanAccuracy, None, Training, "held_out_rows", none, [0.972, 0.914, 0.03]);
    let loss = Shot(About::Utility, Quantity::AccuracyLoss, None, Training, "held_out_rows", none);
    let detect = |rate| Shot(poison, Quantity::DetectionRate, None, Collection, rate, none);
    let alarm = |rate| Shot(poison, Quantity::FalsePositiveRate, None, Collection, rate, none);
    for (shot, value, half) in [
        (loss, 0.058, 0.034),
        (detect("injected_triggers"), 0.983, 0.016),
        (detect("injected_label_flips"), 0.871, 0.047),
        (alarm("spectral_signatures"), 0.0046, 0.0041),
    ] {
        record.measurements.push(measurement(&shot, System::Defended, value, half));
    }
    curves(&mut record);
    settings(&mut record);
    Evidence {
        subjects: [("model.safetensors", 7), ("data.manifest.json", 11), ("ledger.parquet", 13), ("policy.toml", 3)]
            .map(|(name, byte)| Subject { name: name.into(), digest: digest(byte) })
            .into(),
        policy: digest(3),
        seed: Seed(42),
        revision: "8a98049c1d5e".into(),
        versions: [("underpin", "0.1.0"), ("burn", "0.22.1"), ("rustc", "1.95.0")]
            .map(|(name, version)| (name.into(), version.into()))
            .into(),
        attempt: None,
        measured_at: MEASURED,
        record,
    }
}

fn settings(record: &mut Record) {
    record.set("training.noise_multiplier", 1.1);
    record.set("training.clipping_norm", 1.0);
    record.set("training.sampling_rate", 0.0714);
    record.set("training.steps", 420_usize);
    record.set("training.adversarial", true);
    record.set("training.pgd_radius", 0.1);
    record.set("privacy.delta", 1e-5);
    record.set("privacy.epsilon", 3.87);
    record.set("privacy.adjacency", "add or remove one row");
    record.set("deployment.queries_per_client", 2000_usize);
    record.set("deployment.disclosure", "label");
}

fn curves(record: &mut Record) {
    let mut add = |name: &str, label: &str, x: &str, y: &str, points: Vec<Point>| {
        let [name, label, x, y] = [name, label, x, y].map(str::to_owned);
        record.series.push(Series { name, label, x, y, points });
    };
    let roc = |power: f64| -> Vec<Point> {
        (0..=180)
            .map(|at| f64::from(at) / 180.0)
            .map(|fpr| Point(fpr, (fpr.powf(power) * 180.0).round() / 180.0))
            .collect()
    };
    let (fpr, tpr) = ("false-positive rate", "true-positive rate");
    add("roc", "lira, undefended", fpr, tpr, roc(0.36));
    add("roc", "lira, defended", fpr, tpr, roc(0.93));
    let radii = [0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3];
    let fall = |start: f64, rate: f64| radii.map(|radius| Point(radius, start * (-rate * radius).exp())).to_vec();
    let (radius, accuracy) = ("radius (linf)", "accuracy");
    add("robust_accuracy", "pgd, undefended", radius, accuracy, fall(0.972, 31.0));
    add("robust_accuracy", "pgd, defended", radius, accuracy, fall(0.914, 5.6));
    add("robust_accuracy", "square, undefended", radius, accuracy, fall(0.972, 21.0));
    add("robust_accuracy", "square, defended", radius, accuracy, fall(0.914, 3.2));
    let queries = [100.0, 200.0, 500.0, 1000.0, 2000.0, 10_000.0];
    let copy = |top: f64| queries.map(|q: f64| Point(q, top - 0.45 * (100.0 / q).sqrt() * top)).to_vec();
    add("fidelity", "knockoff, undefended", "queries", "fidelity", copy(0.95));
    add("fidelity", "knockoff, defended", "queries", "fidelity", copy(0.78));
    let spent =
        (0..=60).map(|at| Point(f64::from(at * 7), 0.9 * f64::from(u8::from(at > 0)) + 0.383 * f64::from(at).sqrt()));
    add("epsilon", "rdp accountant", "step", "ε at δ = 1e-5 (nats)", spent.collect());
}

fn safety() -> Record {
    let mut record = Record::default();
    let mut add = |about, quantity, test, value, half| {
        let shot = Shot(about, quantity, None, Phase::Deployment, test, f64::NAN);
        record.measurements.push(measurement(&shot, System::Defended, value, half));
    };
    add(About::Safety, Quantity::CalibrationError, "15 bins", 0.043, 0.017);
    add(About::Safety, Quantity::ShiftAccuracy, "one pixel shift", 0.792, 0.042);
    add(About::Safety, Quantity::WorstGroupAccuracy, "class eight", 0.831, 0.079);
    add(About::Safety, Quantity::Coverage, "split conformal", 0.887, 0.033);
    add(About::Alignment, Quantity::ExpectedCost, "cost matrix", 0.117, 0.041);
    add(About::Safety, Quantity::SelectiveRisk, "split conformal", 0.021, 0.019);
    add(About::Alignment, Quantity::OutOfScopeAbstention, "letters", 0.671, 0.057);
    let shot = Shot(About::Alignment, Quantity::ForbiddenConfusion, None, Phase::Deployment, "held-out rows", f64::NAN);
    let mut forbidden = measurement(&shot, System::Defended, 0.028, 0.025);
    forbidden.parameters = [("truth".into(), "one".into()), ("answer".into(), "seven".into())].into();
    record.measurements.push(forbidden);
    let points = (0..10).map(|at| f64::from(at) / 10.0 + 0.05).map(|p| Point(p, (p * p * 0.25 + p * 0.78).min(1.0)));
    record.series.push(Series {
        name: "reliability".into(),
        label: "defended".into(),
        x: "stated confidence".into(),
        y: "observed accuracy".into(),
        points: points.collect(),
    });
    record
}

/// Every text of the run replaced by `text`.
pub(super) fn hostile(text: &str) -> Sample {
    let mut sample = Sample::good();
    let set = |target: &mut String| text.clone_into(target);
    for record in [&mut sample.evidence.record, &mut sample.safety] {
        for one in &mut record.measurements {
            set(&mut one.attack);
            one.controls.iter_mut().for_each(|control| set(&mut control.target));
            one.parameters = [(text.to_owned(), text.into())].into();
        }
        for series in &mut record.series {
            for target in [&mut series.label, &mut series.x, &mut series.y] {
                set(target);
            }
        }
        record.series.push(Series { name: text.into(), ..record.series[0].clone() });
        record.set(text, text);
    }
    set(&mut sample.evidence.revision);
    sample.evidence.versions = [(text.into(), text.into())].into();
    sample.evidence.subjects.iter_mut().for_each(|subject| set(&mut subject.name));
    set(&mut sample.data.name);
    sample.data.classes.iter_mut().for_each(|class| set(&mut class.name));
    for dropped in &mut sample.data.dropped {
        set(&mut dropped.by);
        set(&mut dropped.reason);
    }
    sample.data.examples.iter_mut().for_each(|picture| set(&mut picture.caption));
    sample.reconstructions.iter_mut().for_each(|one| set(&mut one.class));
    sample
}

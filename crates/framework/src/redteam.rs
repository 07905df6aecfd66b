//! The red team at collection: known faults injected in a copy, so that detection is measured and not hoped for.

use std::collections::BTreeMap;

use underpin_core::{Confidence, Examples, Measurement, Phase, Record, Shape, System, Trigger};
use underpin_data::inject::{Fault, Faults, detection, inject};
use underpin_data::{RawTable, Rows, Split};
use underpin_metrics::{Setting, detection as rates};

use crate::Error;
use crate::judgement::Judge;

/// Confidence of the rates of detection.
const CONFIDENCE: f64 = 0.95;

/// What both pipelines would have trained on, had the rows been poisoned.
#[derive(Debug)]
pub struct Poisoned {
    /// Every injected row that parses, among the others.
    pub(crate) raw: Examples,
    /// What sanitizing leaves of them.
    pub(crate) sanitized: Examples,
    /// The backdoor's trigger.
    pub(crate) trigger: Trigger,
}

/// Injects faults in a copy of the rows, judges it as the rows themselves are judged, and measures what was caught.
///
/// Rows that came as one are injected before they are parted: then the rows set aside, by which detectors are calibrated,
/// are poisoned like the others. What is counted is what reached the training side.
pub(crate) fn poison(
    judge: &Judge<'_>,
    train: &RawTable,
    split: Option<&(Split, RawTable)>,
    held_out: Rows,
) -> Result<(Poisoned, Record), Error> {
    let config = judge.config;
    let trigger = trigger(judge.contract.shape(), config.attacks.poisoning.target);
    let mut faults: BTreeMap<Fault, f64> =
        Fault::ALL.into_iter().map(|fault| (fault, config.collection.injected_fraction)).collect();
    faults.insert(Fault::Backdoor, config.attacks.poisoning.fraction);
    let whole = split.map_or(train, |(_, raw_table)| raw_table);
    let (raw_table, injected) = inject(whole, judge.contract, &Faults(faults), &trigger, judge.seed)?;
    let (raw_table, held_out) = match split {
        Some((split, _)) => {
            let parts = underpin_data::split(raw_table, split)?;
            (parts.train, underpin_data::admit(parts.test, judge.contract)?.value.into_rows())
        }
        None => (raw_table, held_out),
    };
    let raw = underpin_data::admit(raw_table.clone(), judge.contract)?.value.into_rows().into_examples();
    let judged = judge.judge(raw_table, held_out)?.value;
    let found = detection(&injected, judged.ledger());

    let mut record = Record::default();
    let confidence = Confidence::new(CONFIDENCE)?;
    let setting = |name: &str| Setting::test(System::Defended, Phase::Collection, name, confidence);
    for fault in &found.faults {
        let setting = setting(&format!("injected_{}", fault.fault));
        let by = fault.by.iter().max_by_key(|(_, count)| **count);
        let setting = by.map_or(setting.clone(), |(name, _)| setting.with("mostly_by", name.as_str()));
        record.measurements.push(rates::detection_rate(&setting, fault.caught as u64, fault.injected as u64)?);
    }
    for (sanitizer, flagged) in sanitizers(&found.flagged) {
        let measured = rates::false_positive_rate(&setting(&sanitizer), flagged as u64, found.clean as u64)?;
        record.measurements.push(Measurement { chance: None, ..measured });
    }
    let flagged = found.flagged.values().sum::<usize>();
    record.measurements.push(rates::false_positive_rate(
        &setting("all_sanitizers"),
        flagged as u64,
        found.clean as u64,
    )?);
    record.set("redteam.injected", injected.0.len());
    tracing::info!(injected = injected.0.len(), flagged, clean = found.clean, "red team measured");
    Ok((Poisoned { raw, sanitized: judged.into_rows().into_examples(), trigger }, record))
}

/// Clean rows flagged by each sanitizer, those included that flagged none.
fn sanitizers(flagged: &BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    let names = [
        "exact_duplicates",
        "leakage",
        "near_duplicates",
        "activation_clustering",
        "spectral_signatures",
        "knn_labels",
        "knn_outliers",
    ];
    let mut all: BTreeMap<String, usize> = names.into_iter().map(|name| (name.to_owned(), 0)).collect();
    all.extend(flagged.clone());
    all
}

/// A patch of bright pixels in the lower right corner of an image; on a table, the last features at their maxima.
fn trigger(shape: &Shape, target: usize) -> Trigger {
    let positions: Vec<usize> = match shape.image() {
        Some([channels, height, width]) => {
            let side = (height.min(width) / 9).max(2).min(height).min(width);
            let pixel = |channel, row, column| (channel * height + height - 1 - row) * width + width - 1 - column;
            (0..channels)
                .flat_map(|channel| {
                    (0..side).flat_map(move |row| (0..side).map(move |column| pixel(channel, row, column)))
                })
                .collect()
        }
        None => (shape.size().saturating_sub(3)..shape.size()).collect(),
    };
    Trigger { features: positions.into_iter().map(|position| (position, 1.0)).collect(), target }
}

//! Collection: rows set aside, sanitized, and the sanitizers measured on injected faults.

use std::collections::BTreeMap;

use underpin_core::{Audited, Policy};
use underpin_data::{Collection, Contract, Manifest};

use crate::Error;
use crate::collected::CollectedData;
use crate::config::Config;
use crate::job::{Job, RecordedJob};
use crate::json::to_json;
use crate::prepare::{Prepared, prepare};
use crate::redteam;
use crate::seal::files;
use crate::summary::{Class, DataSummary, Dropped, Picture};

/// Quarantined rows that the report shows.
const SHOWN: usize = 12;

/// Reads the rows of `job`, sets a test fraction aside, judges the others, and measures the judgement on injected
/// faults. Undefended, rows only have to parse.
///
/// # Errors
///
/// When the file as a whole is of no use, too many rows are rejected, or too few are left; and on a configuration that
/// does not fit.
pub(crate) fn collect(job: &Job, policy: &Policy) -> Result<(CollectedData, Config), Error> {
    let prepared = prepare(job, policy, policy.max_rejected())?;
    let judge = prepared.judge(job);
    let Audited { value: collection, mut record } = prepared.sanitize(&judge)?;
    let Prepared { train, split, contract, set_aside, .. } = &prepared;
    record.set("collection.held_out.read", set_aside.ledger().read());
    record.set("collection.held_out.kept", set_aside.ledger().kept());
    let (poisoned, detected) = redteam::poison(&judge, train, split.as_ref(), set_aside.rows().clone())?;
    record.merge(detected);
    let mut manifest = Manifest::new(&collection, split.as_ref().map(|(split, _)| split.clone()))?;
    if split.is_none() {
        manifest.held_out_files = set_aside.raw_table().files().to_vec();
    }
    let summary = summary(&collection, set_aside, contract);
    let mut files = written(&collection, set_aside, &manifest)?;
    let Prepared { contract, holdout, auxiliary, config, recommended, .. } = prepared;
    let (input, device, protection, seed) = (job.input.clone(), job.device, job.protection, job.seed);
    let recorded = RecordedJob { input, device, protection, seed, config };
    files.insert(files::JOB, to_json(&recorded, files::JOB)?);
    let RecordedJob { config, .. } = recorded;
    let collected = CollectedData {
        ledger: collection.ledger().clone(),
        train: collection.into_rows(),
        holdout,
        auxiliary,
        poisoned,
        record,
        files,
        summary,
        contract,
        recommended,
    };
    Ok((collected, config))
}

fn written(
    collection: &Collection,
    set_aside: &Collection,
    manifest: &Manifest,
) -> Result<BTreeMap<&'static str, Vec<u8>>, Error> {
    let mut files = BTreeMap::new();
    let parts = [
        (collection, files::LEDGER, files::QUARANTINE),
        (set_aside, files::HELD_OUT_LEDGER, files::HELD_OUT_QUARANTINE),
    ];
    for (collection, ledger, quarantine) in parts {
        let mut bytes = Vec::new();
        let failed = |source| Error::Io { action: "write", path: ledger.into(), source };
        collection.ledger().write(&mut bytes).map_err(failed)?;
        files.insert(ledger, bytes);
        let mut bytes = Vec::new();
        underpin_data::write_quarantine(collection, &mut bytes)?;
        files.insert(quarantine, bytes);
    }
    files.insert(files::MANIFEST, to_json(manifest, files::MANIFEST)?);
    Ok(files)
}

fn summary(collection: &Collection, set_aside: &Collection, contract: &Contract) -> DataSummary {
    let (ledger, held_out) = (collection.ledger(), set_aside.ledger());
    let mut dropped: BTreeMap<(String, String), u64> = BTreeMap::new();
    for drop in ledger.decisions().iter().chain(held_out.decisions()).filter_map(|decision| decision.dropped.as_ref()) {
        *dropped.entry((drop.by.clone(), drop.reason.to_string())).or_default() += 1;
    }
    let counts = collection.rows().examples().counts();
    DataSummary {
        name: collection.raw_table().name().to_owned(),
        rows_read: (ledger.read() + held_out.read()) as u64,
        kept: (ledger.kept() + held_out.kept()) as u64,
        dropped: dropped.into_iter().map(|((by, reason), rows)| Dropped { by, reason, rows }).collect(),
        classes: contract
            .classes()
            .iter()
            .zip(counts)
            .map(|(name, rows)| Class { name: name.clone(), rows: rows as u64 })
            .collect(),
        examples: pictures(collection, contract),
    }
}

/// Some quarantined rows, where rows are images: a few of each reason.
fn pictures(collection: &Collection, contract: &Contract) -> Vec<Picture> {
    let Some(shape) = contract.shape().image() else { return Vec::new() };
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let mut pictures = Vec::new();
    for decision in collection.ledger().decisions() {
        let Some(drop) = &decision.dropped else { continue };
        let count = shown.entry(drop.reason.to_string()).or_default();
        if *count >= 4 || pictures.len() >= SHOWN {
            continue;
        }
        let Some((values, label)) = collection.encoded(contract, decision.id) else { continue };
        *count += 1;
        let caption = format!("row {}, labelled {}: {}", decision.id, contract.classes()[label], drop.reason);
        pictures.push(Picture { shape, values, caption });
    }
    pictures
}

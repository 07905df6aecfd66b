//! The context of every sanitizer: it judges a collection once; the rows it flags are rejected and counted.

use underpin_core::{Audited, Record};

use crate::Error;
use crate::record::{Collection, Flag, Reason};

/// Lets the sanitizer `name` judge a collection, once: rejects the rows that `judgement` flags and counts them in the
/// record. A collection that it has judged before is returned as it is.
pub(super) fn judge(
    mut collection: Collection,
    name: &'static str,
    judgement: impl FnOnce(&mut Collection, &mut Record) -> Result<Vec<Flag>, Error>,
) -> Result<Audited<Collection>, Error> {
    let mut record = Record::default();
    if collection.was_judged_by(name) {
        record.set(format!("collection.{name}.judged_before"), true);
        return Ok(Audited { value: collection, record });
    }
    let judged = collection.rows().len();
    let flags = judgement(&mut collection, &mut record)?;
    let dropped = collection.reject(name, flags);
    record.set(format!("collection.{name}.judged"), judged);
    record.set(format!("collection.{name}.dropped"), dropped);
    tracing::info!(sanitizer = name, judged, dropped, "judged");
    Ok(Audited { value: collection, record })
}

/// Flags for the scores above `threshold`.
pub(super) fn above(scores: impl Iterator<Item = f64>, threshold: f64, reason: Reason, name: &str) -> Vec<Flag> {
    let flagged = scores.enumerate().filter(|(_, score)| *score > threshold);
    let detail = |score| format!("{name} {score:.6}, allowed: at most {threshold:.6}");
    flagged.map(|(position, score)| Flag { position, reason, detail: detail(score) }).collect()
}

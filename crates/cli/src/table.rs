//! The closing table of a run.

use anyhow::Result;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use underpin::{Finished, report};

use crate::console::Console;

/// Prints what came of a run: a table, or one JSON object.
pub(crate) fn print(finished: &Finished, console: &Console) -> Result<()> {
    if console.json {
        return console.print(&format_args!("{:#}", json(finished)));
    }
    if console.quiet {
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(report::HEADINGS);
    for cells in &finished.table {
        let mut row: Vec<Cell> = cells.iter().map(Cell::new).collect();
        if let (true, Some(verdict)) = (console.colour, row.pop()) {
            let colour = match cells.last().map(String::as_str) {
                Some("met") => Color::Green,
                Some("-" | "no bar") => Color::DarkGrey,
                _ => Color::Red,
            };
            row.push(verdict.fg(colour).add_attribute(Attribute::Bold));
        } else {
            row = cells.iter().map(Cell::new).collect();
        }
        table.add_row(row);
    }
    let mut lines = vec![table.to_string()];
    let unmet = finished.verdicts.iter().filter(|verdict| !verdict.is_met()).count();
    let bars = finished.verdicts.len();
    if finished.is_released() {
        let limits = finished.release.len();
        lines.push(format!(
            "RELEASED under {}: all {bars} bars and all {limits} limits of its intent are met",
            finished.policy.name()
        ));
    } else if finished.is_cleared() && finished.release.is_empty() {
        lines.push(format!(
            "CLEARED, NOT RELEASED under {}: all {bars} bars are met, and the policy has no [intent] to release it for",
            finished.policy.name()
        ));
    } else if finished.is_cleared() {
        lines.push(format!(
            "CLEARED, NOT RELEASED under {}: all {bars} bars are met, and not every limit of its intent",
            finished.policy.name()
        ));
    } else {
        lines.push(format!("REFUSED under {}: {unmet} of {bars} bars are not met", finished.policy.name()));
    }
    for verdict in finished.release.iter().filter(|verdict| !verdict.is_met()) {
        let bar = &finished.policy.release_bars()[verdict.bar];
        let why = verdict.unmet.as_ref().map_or_else(String::new, ToString::to_string);
        lines.push(format!("  intent: {} {}: {why}", bar.quantity, bar.limit));
    }
    for verdict in finished.verdicts.iter().filter(|verdict| !verdict.is_met()) {
        let bar = &finished.policy.bars()[verdict.bar];
        let why = verdict.unmet.as_ref().map_or_else(String::new, ToString::to_string);
        let measured = verdict.measurement.and_then(|at| finished.evidence.record.measurements.get(at));
        let measured = measured.map_or_else(|| "nothing measured".to_owned(), ToString::to_string);
        lines.push(format!("  {} {} {}: {why}; {measured}", bar.about, bar.quantity, bar.limit));
    }
    lines.push(match finished.evidence.attempt {
        Some(attempt) => attempt.to_string(),
        None => "attempts on these data were not counted".to_owned(),
    });
    lines.push(format!("report: {}", finished.folder.join(underpin::seal::files::REPORT).display()));
    console.print(&lines.join("\n"))
}

pub(crate) fn json(finished: &Finished) -> serde_json::Value {
    serde_json::json!({
        "cleared": finished.is_cleared(),
        "released": finished.is_released(),
        "release": finished.release,
        "policy": finished.policy,
        "verdicts": finished.verdicts,
        "expires_at": finished.expires_at,
        "folder": finished.folder,
        "evidence": finished.evidence,
    })
}

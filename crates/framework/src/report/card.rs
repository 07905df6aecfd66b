//! The model card, under the headings of Mitchell et al., FAT* 2019.

use std::collections::BTreeSet;

use underpin_core::{About, Subject, Threat, Value};

use super::table::{HEADINGS, table};
use super::view::{GateResult, Report};
use super::words;
use crate::seal::files;
use crate::summary::Class;
use crate::{calendar, class_counts};

/// A model card in Markdown (`CommonMark` with tables).
///
/// Text from the run is escaped: it is neither markup nor HTML, and stays on its line.
///
/// # Source
///
/// Mitchell et al., "Model cards for model reporting", FAT* 2019, section 4. What the run cannot know (who the model's
/// owner is, ethical considerations of its use) is left to the owner, and says so.
pub fn model_card(report: &Report<'_>) -> String {
    let title = vec![format!("# Model card: {}", escaped(&report.data.name))];
    let sections = [
        title,
        details(report),
        intended_use(report),
        factors(report),
        metrics(report),
        evaluation_data(report),
        training_data(report),
        analyses(report),
        ethics(),
        caveats(report),
    ];
    sections.map(|lines| lines.join("\n") + "\n").join("\n")
}

/// The lines of a section: its heading, then `lines`.
fn section(heading: &str, lines: impl IntoIterator<Item = String>) -> Vec<String> {
    [format!("## {heading}"), String::new()].into_iter().chain(lines).collect()
}

fn item(name: &str, value: &str) -> String {
    format!("- {}: {}", escaped(name), escaped(value))
}

fn details(report: &Report<'_>) -> Vec<String> {
    let evidence = report.evidence;
    let status = match report.outcome {
        GateResult::Cleared { expires_at, key, .. } if report.is_cleared() => {
            let word = if report.is_released() { "cleared and released" } else { "cleared, not released" };
            format!("- Status: **{word}** until {}, signed by {}", calendar::day(expires_at), escaped(key))
        }
        _ => "- Status: **refused**: not cleared for use".to_owned(),
    };
    let mut lines = vec![
        status,
        format!("- Policy: {} (`{}`)", escaped(report.policy.name()), evidence.policy),
        item("Measured", &calendar::moment(evidence.measured_at)),
        item("Code revision", &evidence.revision),
    ];
    lines.extend(evidence.versions.iter().map(|(name, version)| item(name, version)));
    // A digest of rows lets whoever guesses them check the guess: those of data stand in the signed evidence alone.
    let published = |subject: &&Subject| [files::MODEL, files::POLICY].contains(&subject.name.as_str());
    let digest = |subject: &Subject| format!("- {}: `{}`", escaped(&subject.name), subject.digest);
    lines.extend(evidence.subjects.iter().filter(published).map(digest));
    lines.extend(words::privacy(&evidence.record).map(|privacy| item("Privacy", &privacy)));
    lines.push(item("Attempt", &words::attempt(evidence.attempt)));
    lines.extend(evidence.record.parameters.iter().map(|(name, value)| item(name, &words::value(value))));
    section("Model details", lines)
}

fn intended_use(report: &Report<'_>) -> Vec<String> {
    let intent = report.policy.intent();
    let purpose = if intent.purpose.is_empty() { "The policy states no purpose." } else { &intent.purpose };
    let mut lines = vec![escaped(purpose), String::new()];
    lines.extend(intent.forbidden.iter().map(|confusion| {
        let (truth, answer) = (escaped(&confusion.truth), escaped(&confusion.answer));
        format!("- Must not read {truth} as {answer} in more than {} of cases.", confusion.weight)
    }));
    if let Some(fraction) = intent.out_of_scope_abstention {
        lines.push(format!("- Must abstain on at least {fraction} of inputs out of scope."));
    }
    lines.push("- Any use without a valid clearance for the digests above is out of scope.".to_owned());
    section("Intended use", lines)
}

fn factors(report: &Report<'_>) -> Vec<String> {
    let parameters = &report.evidence.record.parameters;
    let told = |label: usize| parameters.get(&format!("{}{label}", class_counts::ROWS)).map(words::value);
    let classes = report.data.classes.iter().enumerate();
    let Some(Value::Number(deviation)) = parameters.get(class_counts::DEVIATION) else {
        let rows_of = |(_, class): (usize, &Class)| vec![class.name.clone(), words::count(class.rows)];
        return section("Factors", rows(&["Class", "Rows kept"], classes.map(rows_of)));
    };
    // Of a private model the card tells the counts that ε covers.
    let rows_of = |(label, class): (usize, &Class)| vec![class.name.clone(), told(label).unwrap_or_default()];
    let mut lines = rows(&["Class", "Rows that trained, about"], classes.map(rows_of));
    lines.push(String::new());
    lines.push(format!("Counted with noise of standard deviation {deviation:.1}, paid for from ε."));
    section("Factors", lines)
}

fn metrics(report: &Report<'_>) -> Vec<String> {
    let safety = report.safety().into_iter().flat_map(|record| &record.measurements);
    let all = report.evidence.record.measurements.iter().chain(safety);
    let quantities: BTreeSet<_> = all.map(|one| one.quantity).collect();
    let meanings = quantities.into_iter().map(|one| format!("- {}: {}", words::name(one), words::meaning(one)));
    let rule = "A bar is met only by the unfavourable end of the interval.".to_owned();
    section("Metrics", [rule, String::new()].into_iter().chain(meanings))
}

fn evaluation_data(report: &Report<'_>) -> Vec<String> {
    let line = |threat: &Threat| {
        let all = report.evidence.record.measurements.iter().filter(|one| one.about == About::from(*threat));
        let most = all.map(|one| one.n).max().map_or_else(|| "not measured".to_owned(), words::count);
        format!("- {}: {most}", words::plain(threat.word()))
    };
    let lead = "The most independent observations behind one number, by threat:";
    section("Evaluation data", [lead.to_owned(), String::new()].into_iter().chain(Threat::ALL.iter().map(line)))
}

fn training_data(report: &Report<'_>) -> Vec<String> {
    let data = report.data;
    let [read, kept] = [data.rows_read, data.kept].map(words::count);
    let dropped = data.dropped.iter().map(|dropped| {
        let (by, reason) = (escaped(&dropped.by), escaped(&dropped.reason));
        format!("- {} rows set aside by {by}: {reason}", words::count(dropped.rows))
    });
    let lead = format!("{}: {read} rows read, {kept} kept.", escaped(&data.name));
    section("Training data", [lead, String::new()].into_iter().chain(dropped))
}

fn analyses(report: &Report<'_>) -> Vec<String> {
    let mut lines = vec!["### Security".to_owned(), String::new()];
    lines.extend(rows(&HEADINGS, table(report).iter().map(|row| row.cells().to_vec())));
    if let Some(record) = report.safety() {
        let cells = record.measurements.iter().map(|one| {
            let about = words::plain(one.about.word());
            vec![about, words::name(one.quantity), words::plain(&one.attack), words::reading(one), words::count(one.n)]
        });
        lines.extend([String::new(), "### Safety and alignment".to_owned(), String::new()]);
        lines.extend(rows(&["Concern", "Measure", "Test", "Value", "n"], cells));
    }
    section("Quantitative analyses", lines)
}

/// A table, its cells escaped.
fn rows(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let row = |cells: Vec<String>| {
        let cells: Vec<_> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    let head = [format!("| {} |", headings.join(" | ")), format!("|{}", "---|".repeat(headings.len()))];
    head.into_iter().chain(rows.map(row)).collect()
}

fn ethics() -> Vec<String> {
    let text = "A run measures attacks and errors; it does not judge whether the use is right. That is for the \
                model's owner to add here.";
    section("Ethical considerations", [text.to_owned()])
}

fn caveats(report: &Report<'_>) -> Vec<String> {
    let days = report.policy.valid_days();
    let unmet = report.verdicts.iter().filter(|verdict| !verdict.is_met()).count();
    let mut lines = vec![
        "- An attack's result is what that attack reached at that budget; a stronger one may reach more.".to_owned(),
        "- Only a privacy loss (epsilon) is a proven bound.".to_owned(),
        format!("- A clearance lasts {days} days; reassess before it ends, or when the inputs drift."),
    ];
    if words::privacy(&report.evidence.record).is_some() {
        let covers = "- Epsilon covers the weights and the class counts. Every other number here that was measured on rows that \
                      train is not private.";
        lines.push(covers.to_owned());
    }
    if unmet > 0 {
        lines.push(format!("- {unmet} bars of the policy are not met."));
    }
    section("Caveats and recommendations", lines)
}

/// Text that Markdown shows as it is, on one line.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(letter);
            }
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

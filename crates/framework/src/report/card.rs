//! The model card, under the headings of Mitchell et al., FAT* 2019.

use underpin_core::{About, Threat};

use super::{HEADINGS, Outcome, Report, table, words};

/// A model card in Markdown (`CommonMark` with tables).
///
/// Text from the run is escaped: it is neither markup nor HTML, and stays on its line.
///
/// # Source
///
/// Mitchell et al., "Model cards for model reporting", FAT* 2019, section 4. What the run cannot know (who the model's
/// owner is, ethical considerations of its use) is left to the owner, and says so.
pub fn model_card(report: &Report<'_>) -> String {
    [
        format!("# Model card: {}\n", escaped(&report.data.name)),
        details(report),
        intended_use(report),
        factors(report),
        metrics(report),
        evaluation_data(report),
        training_data(report),
        analyses(report),
        ethics().to_owned(),
        caveats(report),
    ]
    .join("\n")
}

fn details(report: &Report<'_>) -> String {
    let evidence = report.evidence;
    let mut text = String::from("## Model details\n\n");
    let mut item = |name: &str, value: &str| text.push_str(&format!("- {name}: {value}\n"));
    match report.outcome {
        Outcome::Cleared { expires_at, key, .. } if report.is_cleared() => {
            let until = words::day(expires_at);
            item("Status", &format!("**cleared** until {until}, signed by {}", escaped(key)));
        }
        _ => item("Status", "**refused**: not cleared for use"),
    }
    item("Policy", &format!("{} (`{}`)", escaped(report.policy.name()), evidence.policy));
    item("Measured", &words::moment(evidence.measured_at));
    item("Code revision", &escaped(&evidence.revision));
    for (name, version) in &evidence.versions {
        item(&escaped(name), &escaped(version));
    }
    for subject in &evidence.subjects {
        item(&escaped(&subject.name), &format!("`{}`", subject.digest));
    }
    for (name, value) in &evidence.record.parameters {
        item(&escaped(name), &escaped(&words::value(value)));
    }
    text
}

fn intended_use(report: &Report<'_>) -> String {
    let intent = report.policy.intent();
    let purpose =
        if intent.purpose.is_empty() { "The policy states no purpose.".to_owned() } else { escaped(&intent.purpose) };
    let mut text = format!("## Intended use\n\n{purpose}\n\n");
    for confusion in &intent.forbidden {
        let (truth, answer) = (escaped(&confusion.truth), escaped(&confusion.answer));
        text.push_str(&format!("- Must not read {truth} as {answer} in more than {} of cases.\n", confusion.weight));
    }
    if let Some(share) = intent.out_of_scope_abstention {
        text.push_str(&format!("- Must abstain on at least {share} of inputs out of scope.\n"));
    }
    text.push_str("- Any use without a valid clearance for the digests above is out of scope.\n");
    text
}

fn factors(report: &Report<'_>) -> String {
    let mut text = String::from("## Factors\n\n| Class | Rows kept |\n|---|---:|\n");
    for class in &report.data.classes {
        text.push_str(&format!("| {} | {} |\n", escaped(&class.name), class.rows));
    }
    text
}

fn metrics(report: &Report<'_>) -> String {
    let mut quantities: Vec<_> = report.evidence.record.measurements.iter().map(|one| one.quantity).collect();
    quantities.extend(report.safety().iter().flat_map(|record| record.measurements.iter().map(|one| one.quantity)));
    quantities.sort();
    quantities.dedup();
    let mut text = String::from("## Metrics\n\nA bar is met only by the unfavourable end of the interval.\n\n");
    for quantity in quantities {
        text.push_str(&format!("- {}: {}\n", words::name(quantity), words::meaning(quantity)));
    }
    text
}

fn evaluation_data(report: &Report<'_>) -> String {
    let of = |threat: &Threat| {
        let all = report.evidence.record.measurements.iter().filter(|one| one.about == About::from(*threat));
        all.map(|one| one.n).max()
    };
    let mut text = String::from(
        "## Evaluation data\n\nRows set aside before training, free of duplicates across the split. \
         Most observations behind one number:\n\n",
    );
    for threat in Threat::ALL {
        let n = of(threat).map_or_else(|| "not measured".to_owned(), words::count);
        text.push_str(&format!("- {}: {n}\n", words::plain(threat.word())));
    }
    text
}

fn training_data(report: &Report<'_>) -> String {
    let data = report.data;
    let mut text = format!(
        "## Training data\n\n{}: {} rows read, {} kept.\n\n",
        escaped(&data.name),
        words::count(data.rows_read),
        words::count(data.kept)
    );
    for dropped in &data.dropped {
        let (by, reason) = (escaped(&dropped.by), escaped(&dropped.reason));
        text.push_str(&format!("- {} rows set aside by {by}: {reason}\n", words::count(dropped.rows)));
    }
    text
}

fn analyses(report: &Report<'_>) -> String {
    let mut text = String::from("## Quantitative analyses\n\n### Security\n\n");
    rows(&mut text, &HEADINGS, table(report).iter().map(|row| row.cells().to_vec()));
    if let Some(record) = report.safety() {
        text.push_str("\n### Safety and alignment\n\n");
        let cells = record.measurements.iter().map(|one| {
            let about = words::plain(one.about.word());
            vec![about, words::name(one.quantity), words::plain(&one.attack), words::reading(one), words::count(one.n)]
        });
        rows(&mut text, &["Concern", "Measure", "Test", "Value", "n"], cells);
    }
    text
}

fn rows(text: &mut String, headings: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    text.push_str(&format!("| {} |\n|{}\n", headings.join(" | "), "---|".repeat(headings.len())));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| escaped(cell)).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

fn ethics() -> &'static str {
    "## Ethical considerations\n\nA run measures attacks and errors; it does not judge whether the use is right. \
     That is for the model's owner to add here.\n"
}

fn caveats(report: &Report<'_>) -> String {
    let mut text = String::from(
        "## Caveats and recommendations\n\n\
         - An attack's result is what that attack reached at that budget; a stronger one may reach more.\n\
         - Only a privacy loss (epsilon) is a proven bound.\n",
    );
    let days = report.policy.valid_days();
    text.push_str(&format!("- A clearance lasts {days} days; reassess before it ends, or when the inputs drift.\n"));
    let unmet = report.verdicts.iter().filter(|verdict| !verdict.is_met()).count();
    if unmet > 0 {
        text.push_str(&format!("- {unmet} bars of the policy are not met.\n"));
    }
    text
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

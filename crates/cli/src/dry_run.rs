//! What `pipeline --dry-run` prints: the plan of a run, as a table or as JSON.

use anyhow::Result;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use underpin::DryRun;
use underpin_data::Kind;

use crate::console::{Console, short_numbers, visible};

/// Columns that the table shows; `--json` has all.
const SHOWN: usize = 40;

/// Prints a plan.
pub(crate) fn print(plan: &DryRun, console: &Console) -> Result<()> {
    if console.json {
        return console.print(&format_args!("{:#}", serde_json::to_value(plan)?));
    }
    if console.quiet {
        return Ok(());
    }
    let mut lines = vec![table(["Column", "Kind", "Allowed"], columns(plan))];
    if plan.columns.len() > SHOWN {
        lines.push(format!("and {} more columns", plan.columns.len() - SHOWN));
    }
    lines.extend(plan.found.iter().map(|found| visible(&format!("found in {}: {found}", plan.source))));
    lines.push(table(["What", "Plan", ""], facts(plan)?));
    if let Some(stops) = &plan.stops {
        lines.push(visible(&format!("The run would stop here: {stops}")));
    }
    for shortfall in &plan.weaker {
        lines.push(format!("Weaker than the policy asks, so that no bar would be met: {shortfall}"));
    }
    lines.push("A dry run: nothing was written.".to_owned());
    console.print(&lines.join("\n"))
}

fn table(headings: [&str; 3], rows: Vec<[String; 3]>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| visible(&cell)));
    }
    table.to_string()
}

fn columns(plan: &DryRun) -> Vec<[String; 3]> {
    let row = |column: &underpin_data::Column| {
        let (kind, allowed) = match &column.kind {
            Kind::Number { min, max, .. } => ("number", format!("{min} to {max}")),
            Kind::Category { values } => ("category", values.join(", ")),
            Kind::Pixels { count, max } => ("pixels", format!("{count} columns, 0 to {max}")),
            Kind::Ignored { reason } => ("ignored", reason.clone()),
        };
        [column.name.clone(), kind.to_owned(), allowed]
    };
    plan.columns.iter().take(SHOWN).map(row).collect()
}

fn facts(plan: &DryRun) -> Result<Vec<[String; 3]>> {
    let run = &plan.plan;
    let rejected: Vec<String> = plan.rejected.iter().map(|(reason, rows)| format!("{reason}: {rows}")).collect();
    let method = plan.split.method.as_ref().map_or_else(
        || "test rows in a file of their own".to_owned(),
        |split| format!("{} of each class set aside", split.test_fraction),
    );
    let fact = |name: &str, value: String, note: &str| [name.to_owned(), value, note.to_owned()];
    let mut facts = vec![
        fact("data", plan.source.clone(), ""),
        fact("label", plan.label.clone(), &format!("{} classes: {}", plan.classes.len(), plan.classes.join(", "))),
        fact("rows", plan.rows.to_string(), &format!("shape {:?}", plan.shape)),
        fact(
            "split",
            format!(
                "{} train, {} measure, {} the adversary owns",
                plan.split.training, plan.split.measured_on, plan.split.adversary
            ),
            &method,
        ),
        fact(
            "rejected",
            if rejected.is_empty() { "none".to_owned() } else { rejected.join(", ") },
            "by contract and sanitizers",
        ),
        fact("policy", run.policy.clone(), &format!("{} bars, sha256 {}", run.bars, run.policy_digest)),
        fact(
            "model",
            serde_json::to_value(&run.training.architecture)?.to_string(),
            &format!("{} epochs of batches of {}", run.training.epochs, run.training.batch_size),
        ),
    ];
    facts.push(match &run.privacy {
        Some(privacy) => fact(
            "privacy",
            short_numbers(&format!("epsilon {} at delta {}", privacy.epsilon, privacy.delta)),
            "of everything released",
        ),
        None => fact("privacy", "none".to_owned(), ""),
    });
    facts.push(match &run.adversary {
        Some(adversary) => fact(
            "adversarial training",
            format!("{} {}", adversary.norm, adversary.radius),
            &format!("{} steps", adversary.steps),
        ),
        None => fact("adversarial training", "none".to_owned(), ""),
    });
    let attacks = &run.attacks;
    facts.push(fact(
        "serving",
        format!("{} queries for each client", run.serving.quota.queries),
        &serde_json::to_value(&run.serving.perturb)?.to_string(),
    ));
    facts.push(fact(
        "attacks",
        format!(
            "PGD {} {} with {} steps and {} restarts; {} shadows; {} attackers with up to {} queries",
            attacks.evasion.norm,
            attacks.evasion.radius,
            attacks.evasion.steps,
            attacks.evasion.restarts,
            attacks.membership.shadows,
            attacks.extraction.attackers,
            attacks.extraction.budgets.iter().max().copied().unwrap_or(0),
        ),
        &format!("{} keys for each adversary", attacks.keys),
    ));
    Ok(facts)
}

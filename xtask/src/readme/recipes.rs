//! The table of what the recipes came to, in the README of `underpin-train`, from kept results of real runs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use underpin::recipes::Plan;
use underpin_cli::RecipeResult;

use crate::workspace::root;

/// Where results are kept: each a file as `cargo xtask train --json` prints it.
const RESULTS: &str = "docs/recipes";
pub(super) const README: &str = "crates/train/README.md";
pub(super) const BEGIN: &str = "<!-- recipes: written by `cargo xtask readme --recipes` from docs/recipes -->";

/// The table of the kept results, in Markdown.
pub(super) fn table() -> Result<String> {
    let mut runs: BTreeMap<String, Vec<RecipeResult>> = BTreeMap::new();
    let folder = root().join(RESULTS);
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let ran: RecipeResult = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        runs.entry(ran.recipe.clone()).or_default().push(ran);
    }
    rows(&mut runs)
}

fn rows(runs: &mut BTreeMap<String, Vec<RecipeResult>>) -> Result<String> {
    let mut table = "| recipe | seeds | accuracy, % | expected, % | without privacy, % | ε at most | ε audited | δ | steps | minutes | processor minutes |\n\
        |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for name in Plan::names() {
        let Some(runs) = runs.remove(name) else { continue };
        table += &row(name, &Plan::named(name)?, &runs)?;
    }
    let unknown: Vec<&String> = runs.keys().collect();
    ensure!(unknown.is_empty(), "{RESULTS} holds results of unknown recipes: {unknown:?}");
    Ok(table)
}

fn row(name: &str, plan: &Plan, runs: &[RecipeResult]) -> Result<String> {
    let mut seeds: Vec<u64> = runs.iter().map(|ran| ran.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    ensure!(seeds.len() == runs.len(), "{RESULTS}: {name} has two results of one seed");
    let other = runs.iter().find(|ran| ran.data != plan.expected.data);
    ensure!(other.is_none(), "{RESULTS}: {name} has a result on other data than the recipe is for");
    let percent = |value: fn(&RecipeResult) -> Option<f64>| {
        let values: Option<Vec<f64>> = runs.iter().map(|ran| value(ran).map(|fraction| 100.0 * fraction)).collect();
        values.map_or(String::new(), |values| {
            let (mean, sd) = mean_and_sd(&values);
            if values.len() > 1 { format!("{mean:.2} ± {sd:.2}") } else { format!("{mean:.2}") }
        })
    };
    let most = |value: fn(&RecipeResult) -> f64| runs.iter().map(value).fold(0.0, f64::max);
    let minutes = |value: fn(&RecipeResult) -> Option<f64>| {
        let values: Option<Vec<f64>> = runs.iter().map(value).collect();
        values.map_or(String::new(), |values| format!("{:.1}", mean_and_sd(&values).0 / 60.0))
    };
    // The least of several bounds holds at least as surely as each of them.
    let audited = runs.iter().map(|ran| ran.epsilon_audited).collect::<Option<Vec<f64>>>();
    let audited = audited.map(|bounds| bounds.into_iter().fold(f64::INFINITY, f64::min));
    let audited = audited.map_or("—".to_owned(), |bound| format!("{:.2}", (100.0 * bound).floor() / 100.0));
    Ok(format!(
        "| `{name}` | {} | {} | {} | {} | {:.3} | {} | {:e} | {} | {} | {} |\n",
        runs.len(),
        percent(|ran| Some(ran.accuracy)),
        (1000.0 * plan.expected.accuracy).round() / 10.0,
        percent(|ran| ran.baseline_accuracy),
        most(|ran| ran.epsilon_upper),
        audited,
        plan.privacy.delta.value(),
        runs.iter().map(|ran| ran.steps).max().unwrap_or(0),
        minutes(|ran| Some(ran.seconds)),
        minutes(|ran| ran.cpu_seconds),
    ))
}

/// The mean, and the standard deviation of the sample; 0 of a single value.
fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(plan: &Plan, seed: u64, accuracy: f64) -> RecipeResult {
        RecipeResult {
            recipe: "adult-eps1".into(),
            seed,
            accuracy,
            baseline_accuracy: Some(0.85),
            epsilon_upper: 0.9991,
            epsilon_lower: 0.99,
            epsilon_audited: Some(0.3 + 0.1 * seed as f64),
            audit_confidence: Some(0.95),
            canaries: Some(5000),
            delta: 1e-5,
            steps: 480,
            parameters: 216,
            rows: 32561,
            test_rows: 16281,
            data: plan.expected.data,
            seconds: 30.0 * seed as f64,
            cpu_seconds: (seed != 2).then_some(12.0),
            revision: "a test".into(),
            missed: vec![],
        }
    }

    #[test]
    fn a_row_is_the_mean_over_seeds() {
        let plan = Plan::named("adult-eps1").unwrap();
        let runs = [ran(&plan, 1, 0.84), ran(&plan, 2, 0.85), ran(&plan, 3, 0.86)];
        let expected = format!("{:.0}", 100.0 * plan.expected.accuracy);
        let row = row("adult-eps1", &plan, &runs).unwrap();
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells[1..3], ["3", "85.00 ± 1.00"]);
        assert!(cells[3].starts_with(&expected), "{row}");
        // ε from both sides: the most that any of the runs spent, the least that any of them was shown to.
        assert_eq!(cells[4..], ["85.00 ± 0.00", "0.999", "0.40", "1e-5", "480", "1.0", ""]);
        let unaudited = [RecipeResult { epsilon_audited: None, ..ran(&plan, 1, 0.84) }, ran(&plan, 2, 0.85)];
        assert!(super::row("adult-eps1", &plan, &unaudited).unwrap().contains("| 0.999 | — | 1e-5 |"));
    }

    #[test]
    fn one_seed_twice_and_other_data_are_refused() {
        let plan = Plan::named("adult-eps1").unwrap();
        let refused = |runs: &[RecipeResult]| row("adult-eps1", &plan, runs).unwrap_err().to_string();
        let three = |seeds: [u64; 3]| seeds.map(|seed| ran(&plan, seed, 0.84));
        assert!(refused(&three([1, 2, 1])).contains("two results of one seed"));
        let mut other = three([1, 2, 3]);
        other[1].data = underpin_core::Digest::new([1; 32]);
        assert!(refused(&other).contains("other data"));
        let mut unknown = BTreeMap::from([("mnist".to_owned(), Vec::new())]);
        assert!(rows(&mut unknown).unwrap_err().to_string().contains("unknown recipes"));
    }
}

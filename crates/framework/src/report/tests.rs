//! The page, the card and the rows, on a made-up run.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use underpin_core::{Attempt, Measurement, Point, Quantity, System, Unmet, Verdict};

use super::sample::{Sample, hostile};
use super::*;

/// Elements that have no end.
const VOID: [&str; 4] = ["meta", "br", "img", "!DOCTYPE"];

/// What is wrong with the nesting of a page's elements.
fn imbalance(page: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some((_, tag)) = rest.split_once('<') {
        let Some((inside, after)) = tag.split_once('>') else { return Some(format!("a tag without end: {tag:.40}")) };
        if inside.matches('"').count() % 2 == 1 {
            return Some(format!("a `>` within an attribute: {inside}"));
        }
        match inside.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return Some(format!("</{name}> ends nothing")),
            Some(_) => {}
            None => {
                let name = inside.split([' ', '\n']).next().unwrap_or("");
                if !VOID.contains(&name) {
                    open.push(name);
                }
            }
        }
        rest = after;
    }
    (!open.is_empty()).then(|| format!("never ended: {open:?}"))
}

/// Whether a page runs or fetches anything.
fn active(page: &str) -> Option<&'static str> {
    let lower = page.to_lowercase();
    let forbidden =
        ["<script", "<iframe", "<object", "<link", "javascript:", "http://", "https://", "@import", "<base"];
    forbidden.into_iter().find(|word| lower.contains(word))
}

/// The first drawn element whose place or size is no number.
fn misplaced(page: &str) -> Option<&str> {
    let tags = page.split('<').filter_map(|rest| rest.split('>').next()).filter(|tag| !tag.starts_with("img"));
    let words = ["\"NaN", "NaN%", "NaN,", ",NaN", "\"inf", "\"-inf", "inf%", "inf,"];
    tags.into_iter().find(|tag| words.iter().any(|word| tag.contains(word)))
}

fn samples() -> [(Sample, &'static str); 3] {
    [(Sample::good(), "CLEARED"), (Sample::bad(), "REFUSED"), (Sample::empty(), "REFUSED")]
}

fn page(sample: &Sample) -> String {
    html(&sample.cleared())
}

/// Writes the samples into the folder that `UNDERPIN_REPORTS` names, to be looked at.
#[test]
fn samples_are_written_where_asked() {
    let Some(folder) = std::env::var_os("UNDERPIN_REPORTS") else { return };
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let [good, bad, empty] = samples().map(|(sample, _)| sample);
    for (name, text) in [
        ("cleared.html", html(&good.cleared())),
        ("refused.html", html(&bad.refused())),
        ("empty.html", html(&empty.refused())),
        ("card.md", model_card(&good.cleared())),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn the_verdict_stands_at_the_top() {
    for (sample, verdict) in samples() {
        let page = page(&sample);
        let title = format!("<h1 id=\"verdict-title\">{verdict}</h1>");
        assert_eq!(page.matches("<h1").count(), 1);
        assert!(page.find(&title).unwrap() < page.find("<nav").unwrap(), "{verdict}");
    }
}

#[test]
fn a_clearance_must_be_borne_out() {
    let unmet = Verdict { bar: 0, measurement: Some(0), unmet: Some(Unmet::Limit) };
    let spoil: [fn(&mut Vec<Verdict>, Verdict); 4] = [
        |verdicts, _| verdicts.clear(),
        |verdicts, _| verdicts.truncate(verdicts.len() - 1),
        |verdicts, unmet| verdicts[0] = unmet,
        |verdicts, unmet| verdicts.push(unmet),
    ];
    for spoil in spoil {
        let mut sample = Sample::good();
        assert!(sample.cleared().is_cleared());
        spoil(&mut sample.verdicts, unmet.clone());
        let page = page(&sample);
        assert!(!sample.cleared().is_cleared() && page.contains(">REFUSED<") && !page.contains("CLEARED"));
        assert!(!page.contains("id=\"safety\"") && page.contains("do not bear it out"));
        assert!(model_card(&sample.cleared()).contains("**refused**"));
    }
}

#[test]
fn safety_shows_only_when_cleared() {
    let sample = Sample::good();
    let told = |report: &Report<'_>| [html(report), model_card(report)].map(|text| text.to_lowercase());
    for text in told(&sample.cleared()) {
        assert!(text.contains("calibration error") && text.contains("out of scope abstention"));
    }
    let without = sample.report(GateResult::Cleared { expires_at: 0, key: "k", safety: None, release: None });
    for text in told(&sample.refused()).into_iter().chain(told(&without)) {
        assert!(!text.contains("calibration error") && !text.contains("#safety"));
    }
    assert!(html(&without).contains(">CLEARED<"));
}

#[test]
fn intent_is_kept_by_the_unfavourable_end() {
    let mut sample = Sample::good();
    assert!(page(&sample).contains("Released: every limit") && sample.cleared().is_released());
    let abstention = |one: &&mut Measurement| one.quantity == Quantity::OutOfScopeAbstention;
    sample.safety.measurements.iter_mut().find(abstention).unwrap().interval.lower = 0.574;
    sample.release = sample.policy.judge_release(&sample.safety);
    let page = page(&sample);
    assert!(page.contains("Not released: a limit") && !sample.cleared().is_released());
    let (_, safety) = page.split_once("id=\"safety\"").unwrap();
    let (_, abstention) = safety.split_once("Out of scope abstention").unwrap();
    let (row, rest) = abstention.split_once("</tr>").unwrap();
    assert!(
        row.contains("≥\u{a0}0.6") && row.contains("not shown to be kept"),
        "a lower end of 0.574 does not show 0.6"
    );
    let (row, _) = rest.split_once("</tr>").unwrap();
    assert!(row.contains("≤\u{a0}0.1") && row.contains("✓ kept"), "{row}");
}

#[test]
fn every_bar_has_a_row() {
    for (sample, _) in samples() {
        let report = sample.cleared();
        let rows = table(&report);
        for bar in sample.policy.bars() {
            assert!(rows.iter().any(|row| row.bar.is_some_and(|one| std::ptr::eq(one, bar))), "{bar:?}");
        }
    }
}

#[test]
fn every_measurement_is_in_a_row() {
    let mut unpaired = Sample::good();
    unpaired.evidence.record.measurements.retain(|one| one.attack != "lira" || one.system == System::Undefended);
    for sample in samples().map(|(sample, _)| sample).into_iter().chain([unpaired]) {
        let report = sample.cleared();
        let rows = table(&report);
        for one in &sample.evidence.record.measurements {
            let shown = |measurement: Option<&_>| measurement.is_some_and(|shown| std::ptr::eq(shown, one));
            assert!(rows.iter().any(|row| shown(row.defended) || shown(row.undefended)), "{one}");
        }
    }
}

#[test]
fn every_bar_is_on_the_page() {
    for (sample, _) in samples() {
        let page = page(&sample);
        for bar in sample.policy.bars() {
            assert!(page.contains(&words::limit(bar.limit)) && page.contains(&bar.reason), "{bar:?}");
        }
    }
}

#[test]
fn rows_of_one_bar_are_judged_each_by_itself() {
    let mut evidence = Sample::good().evidence;
    let pgd = evidence.record.measurements.iter().find(|one| one.attack == "pgd" && one.value > 0.5).cloned().unwrap();
    for value in [0.1, 0.2] {
        let mut worse = pgd.clone();
        (worse.value, worse.interval.lower, worse.interval.upper) = (value, value, value);
        evidence.record.measurements.push(worse);
    }
    let sample = Sample::of(evidence);
    let report = sample.refused();
    let rows: Vec<_> =
        table(&report).into_iter().filter(|row| row.bar.is_some_and(|bar| bar.attack.is_some())).collect();
    let broken = || BarStatus::Unmet(Unmet::Limit);
    let statuses: Vec<_> = rows.iter().map(|row| row.status.clone()).collect();
    assert_eq!(statuses, [BarStatus::Met, broken(), broken()]);
    assert!(rows.iter().all(|row| row.undefended.is_some_and(|counterpart| counterpart.attack == "pgd")));
}

#[test]
fn the_page_shows_the_numbers_of_the_evidence_and_no_others() {
    let base = Sample::good();
    for at in 0..base.evidence.record.measurements.len() {
        let mut evidence = base.evidence.clone();
        let one = &mut evidence.record.measurements[at];
        (one.value, one.interval.lower, one.interval.upper, one.n) = (0.6173, 0.5431, 0.6889, 98_765);
        let page = page(&Sample::of(evidence));
        assert!(page.contains("0.617") && page.contains("[0.543, 0.689]") && page.contains("98\u{202f}765"), "{at}");
    }
    let sample = Sample::good();
    for row in table(&sample.cleared()) {
        let cells = row.cells();
        assert_eq!(cells[5], row.undefended.map_or("-".into(), |one| words::number(one.value)));
        assert_eq!(cells[6], row.defended.map_or("-".into(), words::reading));
        assert_eq!(cells[7], row.bar.map_or("-".into(), |bar| words::limit(bar.limit)));
    }
}

#[test]
fn curves_and_pictures_come_from_what_is_given() {
    let mut sample = Sample::good();
    let before = page(&sample);
    assert_eq!(before.matches("<img").count(), 5 + 4 * 3 - 1);
    sample.evidence.record.series[2].points[3].1 = 0.5;
    assert_ne!(before, page(&sample));
    sample.evidence.record.series.clear();
    sample.reconstructions.clear();
    sample.data.examples.clear();
    let after = html(&sample.refused());
    assert!(!after.contains("<img") && !after.contains("<polyline"));
    for line in ["No ROC curve", "No accuracy against radius", "No fidelity", "No privacy was spent", "No image of a"] {
        assert!(after.contains(line), "{line}");
    }
}

#[test]
fn curves_of_the_undefended_system_are_dashed() {
    let page = page(&Sample::good());
    let keys = page.split("<ul class=\"keys\">").skip(1).filter_map(|rest| rest.split("</ul>").next());
    let keys: Vec<_> = keys.flat_map(|list| list.split("</li>")).filter(|key| key.contains("<li>")).collect();
    assert_eq!(keys.len(), 2 + 4 + 2 + 1 + 1);
    assert!(keys.iter().all(|key| key.contains("dashed") == key.contains("undefended")));
    assert_eq!(keys.iter().filter(|key| key.contains("dashed")).count(), 4);
}

#[test]
fn rows_that_do_not_add_up_are_told() {
    let mut sample = Sample::good();
    assert!(!page(&sample).contains("do not add up"));
    sample.data.kept += 1;
    assert!(page(&sample).contains("do not add up"));
}

#[test]
fn hostile_text_is_escaped() {
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style></svg></title><h1>CLEARED</h1>",
        "a | b ` [x](javascript:alert(1))\n# CLEARED",
        "&lt;b&gt; \u{0} \u{202e} ∞",
    ] {
        let sample = hostile(text);
        let page = html(&sample.refused());
        assert_eq!(imbalance(&page), None, "{text}");
        assert!(!page.contains("<script") && !page.contains("<img src=x") && !page.contains("<h1>CLEARED"), "{text}");
        assert_eq!(page.matches("<h1").count(), 1);
        assert_eq!(page.find(|letter: char| letter.is_control() && letter != '\n'), None, "{text:?}");
        let card = model_card(&sample.refused());
        assert!(!card.contains('<') && !card.contains("\n# CLEARED") && !card.contains("[x]("), "{text}");
        columns(&card);
    }
}

#[test]
fn pages_are_well_formed_and_inert() {
    for (sample, _) in samples() {
        for page in [html(&sample.cleared()), html(&sample.refused())] {
            assert_eq!(imbalance(&page), None);
            assert_eq!(active(&page), None);
            assert!(page.contains("default-src 'none'"));
            let ids: Vec<_> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{ids:?}");
            let targets = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
            assert!(targets.into_iter().all(|target| ids.contains(&target)));
        }
    }
    assert!(imbalance("<p><b></p></b>").is_some() && imbalance("<p>").is_some() && imbalance("</p>").is_some());
}

#[test]
fn what_is_not_finite_is_said_and_not_drawn() {
    let mut evidence = Sample::good().evidence;
    for series in &mut evidence.record.series {
        series.points[1].1 = f64::NAN;
        series.points[2].0 = f64::INFINITY;
    }
    evidence.record.measurements[1].value = f64::NAN;
    evidence.record.measurements[1].interval.lower = f64::NEG_INFINITY;
    let page = page(&Sample::of(evidence));
    assert!(page.contains("4 points are not finite and not drawn") && page.contains("not a number [-∞, "));
    assert!(page.contains(">REFUSED<") && page.contains("not met: not a finite number"));
    assert_eq!(misplaced(&page), None);
}

/// Checks that each row of a table in Markdown has as many cells as its head.
fn columns(card: &str) {
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut head = None;
    for line in card.lines() {
        head = if line.starts_with('|') { head.or(Some(cells(line))) } else { None };
        assert!(head.is_none_or(|head| head == cells(line)), "{line}");
    }
}

#[test]
fn the_card_publishes_no_digest_of_rows_and_says_what_epsilon_covers() {
    let mut sample = Sample::good();
    let report = sample.cleared();
    let card = model_card(&report);
    let evidence = report.evidence.clone();
    for subject in &evidence.subjects {
        let public = ["model.safetensors", "policy.toml"].contains(&subject.name.as_str());
        assert_eq!(card.contains(&subject.digest.to_string()), public, "{}", subject.name);
    }
    assert!(card.contains("Epsilon covers the weights and the class counts."));
    assert!(card.contains("for this run; other runs on these rows are not added up"), "{card}");
    assert!(card.contains("attempts were not counted"));
    // With a budget the runs on the same rows are added up beside it.
    let record = &mut sample.evidence.record;
    record.set("training.budget.spent_epsilon", 12.0);
    record.set("training.budget.spent_delta", 2e-5);
    record.set("training.budget.epsilon", 20.0);
    sample.evidence.attempt = Some(Attempt { number: 4, released: 0, cleared: 1, refused: 2, unfinished: 0 });
    for page in [html(&sample.cleared()), model_card(&sample.cleared())] {
        assert!(
            page.contains("ε 12.000 at δ 2.00e-5 for all runs on these rows, of ε 20.000 that their budget allows"),
            "{page}"
        );
        assert!(page.contains("attempt 4 on these data under this key; before it 1 cleared, 2 refused"));
    }
}

#[test]
fn the_card_has_the_headings_of_its_source_in_order() {
    let sample = Sample::good();
    let card = model_card(&sample.cleared());
    let headings: Vec<_> = card.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(
        headings,
        [
            "Model details",
            "Intended use",
            "Factors",
            "Metrics",
            "Evaluation data",
            "Training data",
            "Quantitative analyses",
            "Ethical considerations",
            "Caveats and recommendations"
        ]
    );
    assert!(
        card.contains("**cleared and released** until 2027-02-21")
            && card.contains(&sample.evidence.policy.to_string())
    );
    columns(&card);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_number_breaks_the_page(
        numbers in prop::collection::vec(prop::num::f64::ANY, 8),
        points in prop::collection::vec((prop::num::f64::ANY, prop::num::f64::ANY), 0..6),
        pixels in prop::collection::vec(prop::num::f32::ANY, 64),
    ) {
        let mut evidence = Sample::good().evidence;
        for (at, one) in evidence.record.measurements.iter_mut().enumerate() {
            one.value = numbers[at % 8];
            one.interval.lower = numbers[(at + 1) % 8];
            one.interval.upper = numbers[(at + 2) % 8];
            one.chance = Some(numbers[(at + 3) % 8]);
        }
        for series in &mut evidence.record.series {
            series.points = points.iter().map(|(x, y)| Point(*x, *y)).collect();
        }
        let mut sample = Sample::of(evidence);
        sample.data.examples[0].values = pixels;
        let page = page(&sample);
        prop_assert_eq!(imbalance(&page), None);
        prop_assert_eq!(misplaced(&page), None);
        columns(&model_card(&sample.cleared()));
    }
}

//! The verdict, large, and what it rests on.

use maud::{Markup, html};
use underpin_core::{Digest, Unmet};

use crate::calendar;
use crate::report::table::{BarStatus, Row};
use crate::report::view::{GateResult, Report};
use crate::report::widgets::{facts, stacked};
use crate::report::words;

pub(in crate::report) fn banner(report: &Report<'_>, rows: &[Row<'_>]) -> Markup {
    let cleared = report.is_cleared();
    let (class, word) = if cleared { ("cleared", "CLEARED") } else { ("refused", "REFUSED") };
    html! {
        section.verdict.(class) id="verdict" aria-labelledby="verdict-title" {
            div.headline {
                (sign(cleared))
                div { h1 id="verdict-title" { (word) } p.sentence { (sentence(report)) } }
            }
            (facts(&subject(report)))
        }
        @if !cleared { (unmet(rows)) }
    }
}

/// A tick in a disc or a cross in an octagon: shape, not colour, distinguishes them.
fn sign(cleared: bool) -> Markup {
    html! {
        svg.sign viewBox="0 0 48 48" width="56" height="56" aria-hidden="true" {
            @if cleared {
                circle cx="24" cy="24" r="22" {}
                path d="M13.5 25 L21 32.5 L35 16.5" {}
            } @else {
                path.plate d="M15 2 H33 L46 15 V33 L33 46 H15 L2 33 V15 Z" {}
                path d="M16 16 L32 32 M32 16 L16 32" {}
            }
        }
    }
}

fn sentence(report: &Report<'_>) -> Markup {
    let all = report.policy.bars().len();
    let failing = report.verdicts.iter().filter(|verdict| !verdict.is_met()).count();
    let policy = report.policy.name();
    html! {
        strong { (name(report)) } ": "
        @match report.outcome {
            GateResult::Cleared { expires_at, .. } if report.is_cleared() => {
                "every one of the " (all) " bars of the policy “" (policy) "” is met. Valid until "
                span.date { (calendar::day(expires_at)) } ". "
                @if report.is_released() { "Released: every limit of the policy's intent is met, too." }
                @else { "Not released: a limit of the policy's intent is not shown to be met, so it may not be served." }
            }
            GateResult::Cleared { .. } => {
                "a clearance was claimed, but the verdicts do not bear it out: " (failing) " of the " (all)
                " bars of the policy “" (policy) "” are not met, or some were not judged exactly once."
            }
            GateResult::Refused => {
                (failing) " of the " (all) " bars of the policy “" (policy) "” "
                (if failing == 1 { "is" } else { "are" }) " not met. No clearance was given."
            }
        }
    }
}

fn subject(report: &Report<'_>) -> Vec<(&'static str, Markup)> {
    let mut list = vec![
        ("Data", html! { (name(report)) ", " (words::count(report.data.kept)) " rows" }),
        ("Measured", html! { (calendar::moment(report.evidence.measured_at)) }),
    ];
    match report.outcome {
        GateResult::Cleared { expires_at, key, .. } if report.is_cleared() => {
            list.push(("Release", html! { (if report.is_released() { "released" } else { "cleared, not released" }) }));
            list.push(("Expires", html! { (calendar::moment(expires_at)) }));
            list.push(("Signed by", html! { code { (key) } }));
        }
        _ => list.push(("Clearance", html! { "none" })),
    }
    if let Some(privacy) = words::privacy(&report.evidence.record) {
        list.push(("Privacy", html! { (privacy) }));
    }
    let digest = |digest: Digest| html! { code title=(digest) { (short(&digest.to_string())) } };
    list.push(("Policy", html! { (report.policy.name()) " " (digest(report.evidence.policy)) }));
    for (file, word) in [("model.safetensors", "Model"), ("data.manifest.json", "Data manifest")] {
        let found = report.evidence.subject(file).map(digest);
        list.push((word, found.unwrap_or_else(|| html! { "no digest in the evidence" })));
    }
    list
}

fn name<'a>(report: &Report<'a>) -> &'a str {
    if report.data.name.is_empty() { "unnamed data" } else { &report.data.name }
}

fn short(digest: &str) -> String {
    format!("{}…", digest.get(..16).unwrap_or(digest))
}

/// The bars that are not met, each with what was measured.
fn unmet(rows: &[Row<'_>]) -> Markup {
    let failing = rows.iter().filter_map(|row| match &row.status {
        BarStatus::Unmet(unmet) => Some((row, unmet)),
        _ => None,
    });
    let cells = failing.map(|(row, unmet)| {
        let [about, _, access, attack, quantity, ..] = row.cells();
        vec![
            html! { (about) },
            html! { (quantity) },
            html! { (attack_line(&attack, &access, row.defended.is_some())) },
            html! { span.number { (measured(row, unmet)) } },
            html! { span.number { (row.bar.map_or_else(String::new, |bar| words::limit(bar.limit))) } },
            crate::report::widgets::status(&row.status),
        ]
    });
    let cells: Vec<_> = cells.collect();
    html! {
        @if !cells.is_empty() {
            section.card aria-labelledby="unmet-title" {
                h2 id="unmet-title" { "Bars not met" }
                (stacked("What was measured, beside what the bar asks for",
                    &["Threat", "Measure", "Attack", "Measured", "Bar", "Verdict"], cells))
            }
        }
    }
}

/// The attack and the access; of a bar that found nothing, those it asks for.
fn attack_line(attack: &str, access: &str, measured: bool) -> String {
    match (attack, access) {
        ("-", access) => format!("any attack, {access} access"),
        (attack, "none") => attack.to_owned(),
        (attack, access) if measured => format!("{attack}, {access}"),
        (attack, access) => format!("{attack}, {access} access"),
    }
}

/// What the bar looked at, where it failed.
fn measured(row: &Row<'_>, unmet: &Unmet) -> String {
    let Some(measurement) = row.defended else { return "nothing".to_owned() };
    let reading = words::reading(measurement);
    match (unmet, row.bar) {
        (Unmet::TooFewSamples, Some(bar)) => {
            format!("{reading}, n = {} of {}", words::count(measurement.n), words::count(bar.min_samples))
        }
        (Unmet::Confidence, Some(bar)) => {
            format!("{reading} at confidence {} of {}", measurement.interval.confidence, bar.confidence)
        }
        _ => reading,
    }
}

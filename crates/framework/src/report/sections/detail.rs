//! Everything else that the evidence holds: settings, each measurement, the policy, catalogues, provenance.

use std::collections::BTreeMap;

use maud::{Markup, html};
use underpin_core::{Control, Measurement, Quantity, Record, Threat, Value};

use crate::calendar;
use crate::report::view::Report;
use crate::report::widgets::{absent, facts, folded, stacked};
use crate::report::{table, words};

/// Settings and counts by the part of the lifecycle that set them.
pub(in crate::report) fn settings(record: &Record) -> Markup {
    let mut groups: BTreeMap<&str, Vec<(&str, &Value)>> = BTreeMap::new();
    for (name, value) in &record.parameters {
        let (group, rest) = name.split_once('.').unwrap_or(("run", name));
        groups.entry(group).or_default().push((rest, value));
    }
    html! {
        @if groups.is_empty() { (absent("No setting was recorded.")) }
        @for (group, values) in groups {
            h3 { (words::title(group)) }
            dl.settings {
                @for (name, value) in values { div { dt { (words::plain(name)) } dd { (words::value(value)) } } }
            }
        }
    }
}

pub(in crate::report) fn measurements(report: &Report<'_>) -> Markup {
    let list = &report.evidence.record.measurements;
    let mut quantities: Vec<Quantity> = list.iter().map(|one| one.quantity).collect();
    quantities.sort();
    quantities.dedup();
    let meanings = html! {
        dl.glossary {
            @for quantity in &quantities { div { dt { (words::name(*quantity)) } dd { (words::meaning(*quantity)) } } }
        }
    };
    html! {
        @if list.is_empty() { (absent("Nothing was measured.")) }
        @else {
            p.lead { "Each number with all that is needed to repeat it, and the controls that show whether its attack works." }
            (folded("What the measures mean", &meanings))
            @for one in list { (measurement(one)) }
        }
    }
}

fn measurement(one: &Measurement) -> Markup {
    let confidence = one.interval.confidence;
    let mut list = vec![
        ("About", html! { (words::plain(one.about.word())) }),
        ("Phase", html! { (one.phase) }),
        ("Access", html! { (words::access(one.access)) }),
        ("Unit", html! { (one.unit()) }),
        ("Interval", html! { (words::interval(&one.interval)) " at confidence " (confidence) }),
        ("Observations", html! { (words::count(one.n)) }),
    ];
    if let Some(chance) = one.chance {
        list.push(("Guessing gives", html! { (words::number(chance)) }));
    }
    if let Some(queries) = one.queries {
        list.push(("Queries", html! { (words::count(queries)) }));
    }
    if !one.parameters.is_empty() {
        list.push(("Parameters", parameters(&one.parameters)));
    }
    html! {
        details {
            summary {
                span.entry {
                    strong { (table::attack(one)) } span { (words::name(one.quantity)) ", " (one.system) }
                    span.number { (words::number(one.value)) }
                }
            }
            div.folded { (facts(&list)) (controls(&one.controls)) }
        }
    }
}

fn controls(controls: &[Control]) -> Markup {
    let bounds = |control: &Control| match (control.at_least, control.at_most) {
        (Some(least), Some(most)) => format!("{} to {}", words::number(least), words::number(most)),
        (Some(least), None) => format!("≥ {}", words::number(least)),
        (None, Some(most)) => format!("≤ {}", words::number(most)),
        (None, None) => "no bound".to_owned(),
    };
    let rows = controls.iter().map(|control| {
        let (class, sign) = if control.passed() { ("met", "✓ passed") } else { ("unmet", "✕ failed") };
        vec![
            html! { (control.target) },
            html! { span.number { (words::number(control.value)) } },
            html! { span.number { (bounds(control)) } },
            html! { span.status.(class) { (sign) } },
        ]
    });
    html! {
        @if controls.is_empty() { (absent("No control.")) }
        @else { (stacked("Controls: runs on targets whose answer is known", &["Target", "Measured", "Expected", "Result"], rows)) }
    }
}

/// Parameters in one line.
pub(in crate::report) fn parameters(parameters: &BTreeMap<String, Value>) -> Markup {
    html! {
        @if parameters.is_empty() { "-" }
        @for (at, (name, value)) in parameters.iter().enumerate() {
            @if at > 0 { ", " }
            (words::plain(name)) " " b { (words::value(value)) }
        }
    }
}

/// Every bar with its reason.
pub(in crate::report) fn policy(report: &Report<'_>) -> Markup {
    let policy = report.policy;
    let rows = policy.bars().iter().map(|bar| {
        vec![
            html! { (words::plain(bar.about.word())) },
            html! { (words::name(bar.quantity)) },
            html! { (bar.access.map_or_else(|| "any".to_owned(), |access| words::plain(access.word()))) },
            html! { (bar.attack.as_deref().map_or_else(|| "any".to_owned(), words::plain)) },
            html! { @match bar.perturbation { Some(least) => { (least.norm) " ≥ " (least.radius) }, None => "-" } },
            html! { span.number { (words::limit(bar.limit)) } },
            html! { span.number { (bar.confidence) } },
            html! { span.number { (words::count(bar.min_samples)) } },
            html! { (bar.reason) },
        ]
    });
    let headings =
        ["Threat", "Measure", "Access", "Attack", "Perturbation", "Limit", "Confidence", "Least n", "Reason"];
    html! {
        (facts(&[
            ("Name", html! { (policy.name()) }),
            ("Clearance lasts", html! { (policy.valid_days()) " days" }),
            ("Rows that may be rejected", html! { "at most " (format!("{:.1}", 100.0 * policy.max_rejected())) " %" }),
            ("Purpose", html! { @if policy.intent().purpose.is_empty() { "not stated" } @else { (policy.intent().purpose) } }),
        ]))
        (folded(&format!("The {} bars and their reasons", policy.bars().len()),
            &stacked("The bars, and why each limit is what it is", &headings, rows)))
    }
}

pub(in crate::report) fn catalogues() -> Markup {
    let list = |ids: &[&str]| html! { @for id in ids { code.id { (id) } " " } };
    let rows = Threat::ALL.iter().map(|threat| {
        let ids = threat.identifiers();
        vec![
            html! { (words::plain(threat.word())) },
            list(ids.atlas),
            list(ids.mitigations),
            list(ids.owasp),
            list(ids.nist),
        ]
    });
    stacked(
        "Where other catalogues list each threat",
        &["Threat", "MITRE ATLAS 5.6.1", "Mitigations", "OWASP ML Top 10 2023", "NIST AI 100-2 e2025"],
        rows,
    )
}

pub(in crate::report) fn provenance(report: &Report<'_>) -> Markup {
    let evidence = report.evidence;
    let versions: Vec<_> = evidence.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut list = vec![
        ("Seed", html! { (evidence.seed.0) }),
        ("Code revision", html! { code { (evidence.revision) } }),
        ("Versions", html! { (versions.join(", ")) }),
        ("Attempt", html! { (words::attempt(evidence.attempt)) }),
        ("Measured", html! { (calendar::moment(evidence.measured_at)) }),
        ("Policy", html! { code { (evidence.policy) } }),
    ];
    list.extend(evidence.subjects.iter().map(|subject| (subject.name.as_str(), html! { code { (subject.digest) } })));
    html! {
        p.lead {
            "This page is for reading; the signed evidence beside it is what counts. Check it with "
            code { "cargo xtask verify DIR" } ", where DIR is the run folder."
        }
        div.wide { (facts(&list)) }
    }
}

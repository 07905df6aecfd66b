//! What collection read, kept and set aside, and how well it detects injected faults.

use maud::{Markup, html};
use underpin_core::{Quantity, System};

use super::{detail, picture};
use crate::report::view::Report;
use crate::report::widgets::{absent, facts, folded, stacked};
use crate::report::words;

pub(in crate::report) fn section(report: &Report<'_>) -> Markup {
    let data = report.data;
    let aside: u64 = data.dropped.iter().map(|dropped| dropped.rows).sum();
    let accounted = data.kept.checked_add(aside) == Some(data.rows_read);
    html! {
        (facts(&[
            ("Rows read", html! { span.large { (words::count(data.rows_read)) } }),
            ("Kept", html! { span.large { (words::count(data.kept)) } }),
            ("Set aside", html! { span.large { (words::count(aside)) } " " (words::percent(aside, data.rows_read)) }),
        ]))
        @if !accounted {
            p.unmet { "✕ Rows kept and rows set aside do not add up to the rows read." }
        }
        (dropped(report))
        h3 { "Detection of injected faults" }
        (detection(report))
        @if data.examples.is_empty() { (absent("No image of a quarantined row was given.")) }
        @else { h3 { "Quarantined rows" } (picture::gallery(&data.examples)) }
        @if !data.classes.is_empty() { (folded("Classes", &classes(report))) }
    }
}

fn dropped(report: &Report<'_>) -> Markup {
    let data = report.data;
    let most = data.dropped.iter().map(|dropped| dropped.rows).max().unwrap_or(0);
    let rows = data.dropped.iter().map(|dropped| {
        vec![html! { (words::plain(&dropped.by)) }, html! { (dropped.reason) }, bar(dropped.rows, most)]
    });
    html! {
        @if data.dropped.is_empty() { (absent("No row was set aside.")) }
        @else { (stacked("Rows set aside, by sanitizer and reason", &["Sanitizer", "Reason", "Rows"], rows)) }
    }
}

fn classes(report: &Report<'_>) -> Markup {
    let most = report.data.classes.iter().map(|class| class.rows).max().unwrap_or(0);
    let rows = report.data.classes.iter().map(|class| vec![html! { (class.name) }, bar(class.rows, most)]);
    stacked("Rows kept, by class", &["Class", "Rows"], rows)
}

fn bar(rows: u64, most: u64) -> Markup {
    let fraction = 100.0 * rows as f64 / most.max(1) as f64;
    html! {
        span.gauge {
            span.track aria-hidden="true" { span.fill style={ "width:" (format!("{fraction:.1}")) "%" } {} }
            span.number { (words::count(rows)) }
        }
    }
}

fn detection(report: &Report<'_>) -> Markup {
    let wanted = [Quantity::DetectionRate, Quantity::FalsePositiveRate];
    let found = report
        .evidence
        .record
        .measurements
        .iter()
        .filter(|one| wanted.contains(&one.quantity) && one.system == System::Defended);
    let rows: Vec<_> = found
        .map(|one| {
            vec![
                html! { (words::plain(&one.attack)) },
                html! { (words::name(one.quantity)) },
                html! { span.number { (words::reading(one)) } },
                html! { span.number { (words::count(one.n)) } },
                detail::parameters(&one.parameters),
            ]
        })
        .collect();
    html! {
        @if rows.is_empty() { (absent("Detection was not measured.")) }
        @else {
            (stacked("How many injected faults are caught, and how many clean rows are flagged",
                &["Fault or test", "Measure", "Value", "n", "Parameters"], rows))
        }
    }
}

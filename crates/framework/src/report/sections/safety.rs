//! What a clearance opened: safety, and alignment with the policy's intent.

use maud::{Markup, html};
use underpin_core::{About, Bar, Limit, Measurement, Policy, Record};

use super::{curves, detail};
use crate::report::widgets::{absent, stacked};
use crate::report::words;

pub(in crate::report) fn section(policy: &Policy, record: &Record) -> Markup {
    let of = |about| record.measurements.iter().filter(move |one| one.about == about).collect::<Vec<_>>();
    html! {
        p.lead { "Evaluated after the clearance, and only because of it. These numbers hold without an adversary." }
        h3 { "Safety" }
        (list("Safety, without an adversary", &of(About::Safety), policy.release_bars()))
        h3 { "Alignment with the policy's intent" }
        p { @if policy.intent().purpose.is_empty() { "The policy states no purpose." } @else { (policy.intent().purpose) } }
        (list("Alignment with the intent", &of(About::Alignment), policy.release_bars()))
        @let series: Vec<_> = record.series.iter().collect();
        @if !series.is_empty() { div.charts { (curves::all("safety", &series)) } }
        @if !record.parameters.is_empty() { h3 { "Settings of the evaluation" } p { (detail::parameters(&record.parameters)) } }
    }
}

fn list(name: &str, measurements: &[&Measurement], bars: &[Bar]) -> Markup {
    let rows = measurements.iter().map(|one| {
        let limit = limit(bars, one);
        vec![
            html! { (words::title(&words::name(one.quantity))) br; span.soft { (words::meaning(one.quantity)) } },
            html! { (words::plain(&one.attack)) },
            html! { span.number { (words::reading(one)) } },
            html! { span.number { (words::count(one.n)) } },
            detail::parameters(&one.parameters),
            limit.map_or_else(
                || html! { "-" },
                |limit| html! { span.number { (words::limit(limit)) } br; (kept(limit, one)) },
            ),
        ]
    });
    html! {
        @if measurements.is_empty() { (absent(&format!("{name}: not measured."))) }
        @else { (stacked(name, &["Measure", "Test", "Value", "n", "Parameters", "Intent"], rows)) }
    }
}

fn kept(limit: Limit, one: &Measurement) -> Markup {
    let (class, text) = if limit.admits(one.unfavourable()) && limit.admits(one.value) {
        ("met", "✓ kept")
    } else {
        ("unmet", "✕ not shown to be kept")
    };
    html! { span.status.(class) { (text) } }
}

/// What the intent asks of a measurement: the limit of the bar that judges it.
fn limit(bars: &[Bar], one: &Measurement) -> Option<Limit> {
    bars.iter().find(|bar| bar.matches(one) && bar.shortfalls(one).is_empty()).map(|bar| bar.limit)
}

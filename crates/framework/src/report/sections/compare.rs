//! The undefended beside the defended system, row by row, on one scale.
//!
//! Text stands in HTML and marks in drawings measured in percent, so that neither shrinks on a narrow screen.

use maud::{Markup, html};
use underpin_core::{Direction, Limit, Measurement, Threat, Unit};

use crate::report::table::Row;
use crate::report::widgets::{absent, status};
use crate::report::words;

/// The pattern that marks the side of a bar that is not allowed; once per page.
pub(in crate::report) fn hatch() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" {
            defs {
                pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.hatch width="1.6" height="6" {}
                }
            }
        }
    }
}

pub(in crate::report) fn section(rows: &[Row<'_>]) -> Markup {
    let drawn: Vec<_> = rows.iter().filter(|row| on_scale(row)).collect();
    html! {
        p.legend {
            span { (key("undefended")) " undefended" }
            span { (key("defended")) " defended" }
            span { (key("limit")) " bar; hatched: not allowed" }
            span { (key("chance")) " guessing" }
            span { "Lines through the points are intervals." }
        }
        @if drawn.is_empty() { (absent("Nothing was measured that fits a scale from 0 to 1.")) }
        @for threat in Threat::ALL.iter().map(|threat| (*threat).into()).chain([underpin_core::About::Utility]) {
            @let here: Vec<_> = drawn.iter().filter(|row| row.about == threat).collect();
            @if !here.is_empty() {
                h3 { (words::title(threat.word())) }
                @let low = lowest(&here);
                ul.strips {
                    @for row in &here { (strip(row, low)) }
                    li.strip.scale aria-hidden="true" { span {} (scale(low)) span {} }
                }
            }
        }
    }
}

fn on_scale(row: &Row<'_>) -> bool {
    row.quantity.unit() != Unit::Nats && row.defended.is_some() && (row.undefended.is_some() || row.bar.is_some())
}

fn key(class: &str) -> Markup {
    html! {
        svg.key.(class) width="26" height="14" aria-hidden="true" {
            @match class {
                "limit" => { rect x="13" y="0" width="13" height="14" fill="url(#hatch)" {} line.limit x1="13" y1="0" x2="13" y2="14" {} }
                "chance" => { line.chance x1="13" y1="0" x2="13" y2="14" {} }
                _ => { line.(class) x1="2" y1="7" x2="24" y2="7" {} circle.(class) cx="13" cy="7" r="5" {} }
            }
        }
    }
}

/// The lower end of the scale: 0, or the quarter below the least number shown, not below -1.
fn lowest(rows: &[&&Row<'_>]) -> f64 {
    let measurements = rows.iter().flat_map(|row| row.defended.into_iter().chain(row.undefended));
    let least = measurements
        .flat_map(|one| [one.value, one.interval.lower])
        .filter(|value| value.is_finite())
        .fold(0.0, f64::min);
    (least * 4.0).floor().max(-4.0) / 4.0
}

fn strip(row: &Row<'_>, low: f64) -> Markup {
    let [_, phase, access, attack, quantity, undefended, defended, ..] = row.cells();
    let direction = match row.quantity.direction() {
        Direction::Higher => "higher is better",
        Direction::Lower => "lower is better",
    };
    html! {
        li.strip {
            div.what {
                strong { (attack) } " " span.soft { @if access != "none" { (access) ", " } (phase) }
                br; (quantity) " " span.soft { "(" (direction) ")" }
            }
            (drawing(row, low))
            div.result { span.number { @if row.undefended.is_some() { (undefended) " → " } (defended) } @if row.bar.is_some() { br; (status(&row.status)) } }
        }
    }
}

fn drawing(row: &Row<'_>, low: f64) -> Markup {
    let at = |value: f64| percent(value, low);
    let limit = row.bar.map(|bar| bar.limit);
    let chance = row.defended.or(row.undefended).and_then(|one| one.chance).filter(|value| value.is_finite());
    html! {
        svg.marks height="40" aria-hidden="true" {
            @for value in ticks(low) { line.grid x1=(at(value)) x2=(at(value)) y1="0" y2="40" {} }
            @match limit {
                Some(Limit::AtLeast(limit)) => { rect x="0" y="0" width=(at(limit)) height="40" fill="url(#hatch)" {} },
                Some(Limit::AtMost(limit)) => { rect x=(at(limit)) y="0" width=(rest(limit, low)) height="40" fill="url(#hatch)" {} },
                None => {},
            }
            @if let Some(Limit::AtLeast(limit) | Limit::AtMost(limit)) = limit {
                line.limit x1=(at(limit)) x2=(at(limit)) y1="0" y2="40" {}
            }
            @if let Some(chance) = chance { line.chance x1=(at(chance)) x2=(at(chance)) y1="0" y2="40" {} }
            @if let Some(one) = row.undefended { (mark(one, low, "undefended", 12)) }
            @if let Some(one) = row.defended { (mark(one, low, "defended", 28)) }
        }
    }
}

fn mark(one: &Measurement, low: f64, class: &str, y: u32) -> Markup {
    let ends = [one.interval.lower.max(low), one.interval.upper.min(1.0)];
    html! {
        @if ends.iter().all(|end| end.is_finite()) {
            line.(class) x1=(percent(ends[0], low)) x2=(percent(ends[1], low)) y1=(y) y2=(y) {}
        }
        @if one.value.is_finite() { circle.(class) cx=(percent(one.value, low)) cy=(y) r="5.5" {} }
    }
}

fn scale(low: f64) -> Markup {
    html! {
        svg.marks height="18" {
            @for value in ticks(low) { text x=(percent(value, low)) y="13" { (value) } }
        }
    }
}

fn ticks(low: f64) -> Vec<f64> {
    let quarters = [-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0];
    quarters.into_iter().filter(|value| *value >= low).collect()
}

fn fraction(value: f64, low: f64) -> f64 {
    100.0 * ((value - low) / (1.0 - low)).clamp(0.0, 1.0)
}

fn percent(value: f64, low: f64) -> String {
    format!("{:.2}%", fraction(value, low))
}

fn rest(value: f64, low: f64) -> String {
    format!("{:.2}%", 100.0 - fraction(value, low))
}

//! The curves of the evidence, each kind on the axes that suit it.

use maud::{Markup, html};
use underpin_core::{Point, Record, Series};

use crate::report::chart::{Axis, Curve, Stroke, chart};
use crate::report::widgets::absent;
use crate::report::words;

/// Curves that every report should have: name, title, what to say without one.
const EXPECTED: [(&str, &str, &str); 4] = [
    ("roc", "Membership inference: ROC on log axes", "No ROC curve of membership inference was measured."),
    ("robust_accuracy", "Evasion: accuracy against radius", "No accuracy against radius was measured."),
    ("fidelity", "Extraction: fidelity against queries", "No fidelity against queries was measured."),
    ("epsilon", "Training: privacy spent", "No privacy was spent, or it was not recorded."),
];

pub(in crate::report) fn section(record: &Record) -> Markup {
    let known = |name: &str| EXPECTED.iter().any(|(expected, ..)| *expected == name);
    let others: Vec<_> = record.series.iter().filter(|series| !known(&series.name)).collect();
    html! {
        div.charts {
            @for (name, title, without) in EXPECTED {
                @let series: Vec<_> = record.series.iter().filter(|series| series.name == name).collect();
                @if series.is_empty() { figure.chart { figcaption { (title) } (absent(without)) } }
                @else { (charts(title, name, &series)) }
            }
            (all("other", &others))
        }
    }
}

/// Curves of any kind, by name; `id` keeps those of one list apart from those of another.
pub(in crate::report) fn all(id: &str, series: &[&Series]) -> Markup {
    html! {
        @for (at, name) in distinct(series.iter().map(|series| series.name.as_str())).into_iter().enumerate() {
            @let same: Vec<_> = series.iter().filter(|series| series.name == name).copied().collect();
            (charts(&words::title(name), &format!("{id}-{at}"), &same))
        }
    }
}

/// Each value once, in order of first sight.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// One chart for all that share their axes.
fn charts(title: &str, id: &str, series: &[&Series]) -> Markup {
    html! {
        @for (at, (x, y)) in distinct(series.iter().map(|series| (&series.x, &series.y))).into_iter().enumerate() {
            @let same: Vec<_> = series.iter().filter(|series| &series.x == x && &series.y == y).copied().collect();
            (one(title, &format!("{id}-{at}"), [x, y], &same))
        }
    }
}

fn one(title: &str, id: &str, [x, y]: [&str; 2], series: &[&Series]) -> Markup {
    let named = |name: &str| series.iter().all(|series| series.name == name);
    let points: Vec<Vec<(f64, f64)>> = series.iter().map(|series| finite(&series.points)).collect();
    let lost: usize = series.iter().zip(&points).map(|(series, points)| series.points.len() - points.len()).sum();
    let labels: Vec<_> = series.iter().map(|series| series.label.as_str()).collect();
    let curves: Vec<_> = labels.iter().zip(&points).map(|(label, points)| curve(label, &labels, points)).collect();
    let flat = || points.iter().flatten();
    let y_axis = if flat().all(|point| (0.0..=1.0).contains(&point.1)) && !named("epsilon") {
        Axis::unit(y)
    } else {
        Axis::linear(y, flat().map(|point| point.1))
    };
    html! {
        @if named("roc") {
            @let all = || flat().flat_map(|point| [point.0, point.1]).chain([1.0]);
            (chart(id, title, &Axis::log(x, all()), &Axis::log(y, all()), &curves, &guessing()))
        } @else {
            @let x_axis = if spans_decades(flat().map(|point| point.0)) { Axis::log(x, flat().map(|point| point.0)) }
                else { Axis::linear(x, flat().map(|point| point.0)) };
            (chart(id, title, &x_axis, &y_axis, &curves, &[]))
        }
        @if lost > 0 { (absent(&format!("{lost} points are not finite and not drawn."))) }
    }
}

/// On a logarithmic scale guessing is a diagonal; 0 lies on the edge.
fn guessing() -> [(f64, f64); 2] {
    [(0.0, 0.0), (1.0, 1.0)]
}

fn spans_decades(values: impl Iterator<Item = f64>) -> bool {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    low > 0.0 && high / low > 50.0
}

fn finite(points: &[Point]) -> Vec<(f64, f64)> {
    points.iter().map(|point| (point.0, point.1)).filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

/// The system decides the stroke, what else the label says the hue.
fn curve<'a>(label: &str, labels: &[&str], points: &'a [(f64, f64)]) -> Curve<'a> {
    let kinds = distinct(labels.iter().map(|label| kind(label)));
    let hue = kinds.iter().position(|one| *one == kind(label)).unwrap_or(0);
    let stroke = if label.contains("undefended") { Stroke::Dashed } else { Stroke::Solid };
    Curve { label: words::plain(label), hue, stroke, points }
}

/// What a label says beside the system.
fn kind(label: &str) -> String {
    label.replace("undefended", "").replace("defended", "")
}

//! Line charts as inline drawings.

use maud::{Markup, html};

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;

/// Most points that are drawn with a mark each.
const MARKED: usize = 24;

/// Sizes beyond which a number is drawn at the edge, and below which a span counts as none.
const EXTREMES: (f64, f64) = (1e-100, 1e100);

/// An axis from `low` to `high`; on a logarithmic one both are positive.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) scale: Scale,
    low: f64,
    high: f64,
    /// Distance of ticks on a linear axis.
    step: f64,
}

/// How a value becomes a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Log,
}

/// A curve as it is drawn.
#[derive(Debug)]
pub(super) struct Curve<'a> {
    pub(super) label: String,
    /// Hue, 0 to 5.
    pub(super) hue: usize,
    /// Whether it is drawn dashed with hollow marks, as the undefended system is.
    pub(super) stroke: Stroke,
    pub(super) points: &'a [(f64, f64)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    Solid,
    Dashed,
}

impl Axis {
    /// A linear axis over 0 and `values`, widened to round ends.
    pub(super) fn linear(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let values = values.map(|value| value.clamp(-EXTREMES.1, EXTREMES.1));
        let (low, high) = values.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let high = if high - low > EXTREMES.0 { high } else { 1.0 };
        let step = step(high - low);
        Self {
            title: title.to_owned(),
            scale: Scale::Linear,
            low: (low / step + 1e-9).floor() * step,
            high: (high / step - 1e-9).ceil() * step,
            step,
        }
    }

    /// An axis from 0 to 1.
    pub(super) fn unit(title: &str) -> Self {
        Self { title: title.to_owned(), scale: Scale::Linear, low: 0.0, high: 1.0, step: 0.2 }
    }

    /// A logarithmic axis over the positive ones of `values`, from one power of ten to another.
    pub(super) fn log(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0).map(|value| value.clamp(EXTREMES.0, EXTREMES.1));
        let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
        let (low, high) = if low.is_finite() { (low.log10().floor(), high.log10().ceil()) } else { (-1.0, 0.0) };
        let low = low.max(high - 12.0).min(high - 1.0);
        Self { title: title.to_owned(), scale: Scale::Log, low: 10_f64.powf(low), high: 10_f64.powf(high), step: 1.0 }
    }

    /// Place of a value between the ends, 0 to 1; what lies outside is put on the nearer end.
    fn place(&self, value: f64) -> f64 {
        let fraction = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        fraction.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = self.step;
                let values = (0..=16).map(|at| self.low + f64::from(at) * step);
                let values = values.take_while(|value| *value <= self.high + 0.01 * step);
                values.map(|value| (value, tick(value, step))).collect()
            }
            Scale::Log => {
                let (from, to) = (self.low.log10().round(), self.high.log10().round());
                let every = ((to - from) / 6.0).floor() + 1.0;
                let powers = (0..=6).map(|at| from + f64::from(at) * every).take_while(|power| *power <= to);
                powers.map(|power| 10_f64.powf(power)).map(|value| (value, decade(value))).collect()
            }
        }
    }
}

/// A value as a tick: as many decimals as the step has.
fn tick(value: f64, step: f64) -> String {
    if !(1e-6..1e7).contains(&step) {
        return format!("{value:.1e}");
    }
    let whole = |decimals: &usize| {
        let shifted = step * 10_f64.powi(i32::try_from(*decimals).unwrap_or(0));
        (shifted - shifted.round()).abs() < 1e-6 * shifted
    };
    let decimals = (0..9).find(whole).unwrap_or(9);
    let value = if value.abs() < 1e-6 * step { 0.0 } else { value };
    format!("{value:.decimals$}")
}

/// A power of ten as a tick.
fn decade(value: f64) -> String {
    if (0.0009..11_000.0).contains(&value) {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.0e}")
    }
}

/// A round step that cuts `span` into about five.
fn step(span: f64) -> f64 {
    let rough = span / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough * 0.999);
    step.unwrap_or(10.0 * power)
}

/// A chart of `curves` with its legend, for the page; `reference` is a dotted line, as that of guessing.
pub(super) fn chart(
    id: &str,
    title: &str,
    x: &Axis,
    y: &Axis,
    curves: &[Curve<'_>],
    reference: &[(f64, f64)],
) -> Markup {
    html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby={ (id) "-t " (id) "-d" } {
                title id={ (id) "-t" } { (title) }
                desc id={ (id) "-d" } { (description(x, y, curves)) }
                (drawing(x, y, curves, reference, &[]))
            }
            ul.keys {
                @for curve in curves {
                    li {
                        svg width="30" height="12" aria-hidden="true" {
                            g.curve.{ "hue" (curve.hue % 6) }.dashed[curve.stroke == Stroke::Dashed] {
                                line x1="1" x2="29" y1="6" y2="6" {}
                                @if curve.points.len() <= MARKED { (mark(curve.hue, 15.0, 6.0)) }
                            }
                        }
                        " " (curve.label)
                    }
                }
            }
        }
    }
}

/// Grid, ticks, curves and axis titles; `band` is the outline of a shaded area.
fn drawing(x: &Axis, y: &Axis, curves: &[Curve<'_>], reference: &[(f64, f64)], band: &[(f64, f64)]) -> Markup {
    let across = |value| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
    let down = |value| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - BOTTOM - TOP);
    let place = |point: &(f64, f64)| (across(point.0), down(point.1));
    html! {
        @for (value, text) in x.ticks() {
            line.grid x1=(n(across(value))) x2=(n(across(value))) y1=(n(TOP)) y2=(n(HEIGHT - BOTTOM)) {}
            text.tick x=(n(across(value))) y=(n(HEIGHT - BOTTOM + 17.0)) text-anchor="middle" { (text) }
        }
        @for (value, text) in y.ticks() {
            line.grid x1=(n(LEFT)) x2=(n(WIDTH - RIGHT)) y1=(n(down(value))) y2=(n(down(value))) {}
            text.tick x=(n(LEFT - 7.0)) y=(n(down(value) + 4.0)) text-anchor="end" { (text) }
        }
        @if !band.is_empty() { polygon.band points=(path(band.iter().map(place))) {} }
        @if !reference.is_empty() { polyline.reference points=(path(reference.iter().map(place))) {} }
        @for curve in curves {
            g.curve.{ "hue" (curve.hue % 6) }.dashed[curve.stroke == Stroke::Dashed] {
                polyline points=(path(curve.points.iter().map(place))) {}
                @if curve.points.len() <= MARKED {
                    @for (left, top) in curve.points.iter().map(place) { (mark(curve.hue, left, top)) }
                }
            }
        }
        text.title x=(n(f64::midpoint(LEFT, WIDTH - RIGHT))) y=(n(HEIGHT - 7.0)) text-anchor="middle" { (x.title) }
        text.title text-anchor="middle" transform={ "translate(13 " (n(f64::midpoint(TOP, HEIGHT - BOTTOM))) ") rotate(-90)" } { (y.title) }
    }
}

/// Style of a drawing that stands alone.
const ALONE: &str = "text{font-family:system-ui,sans-serif;fill:#222}.heading{font-size:15px;font-weight:600}\
    .tick,.note{font-size:11.5px;fill:#555}.title{font-size:12.5px}.grid{stroke:#ddd}\
    .curve polyline{fill:none;stroke:#1f5fbf;stroke-width:2.2}.curve circle{fill:#1f5fbf}\
    .band{fill:#1f5fbf;fill-opacity:.22}";

/// Height of the heading of a drawing that stands alone.
const HEADING: f64 = 44.0;

/// A curve with an upper and a lower bound as an SVG file that stands alone: the upper bound is drawn, and shaded down
/// to the lower one. Points that are not finite are left out.
///
/// `points` are `(x, lower, upper)`; `titles` are those of the horizontal and the vertical axis.
pub fn bounds_svg(heading: &str, note: &str, titles: [&str; 2], points: &[(f64, f64, f64)]) -> String {
    let finite = |point: &&(f64, f64, f64)| [point.0, point.1, point.2].iter().all(|value| value.is_finite());
    let points: Vec<_> = points.iter().filter(finite).copied().collect();
    let upper: Vec<_> = points.iter().map(|(at, _, upper)| (*at, *upper)).collect();
    let mut band = Vec::new();
    if points.iter().any(|(_, lower, _)| *lower > 0.0) {
        band.extend(&upper);
        band.extend(points.iter().rev().map(|(at, lower, _)| (*at, *lower)));
    }
    let x = Axis::linear(titles[0], upper.iter().map(|point| point.0));
    let y = Axis::linear(titles[1], upper.iter().map(|point| point.1));
    let label = if band.is_empty() { "upper bound" } else { "upper bound, shaded down to the lower bound" };
    let curve = Curve { label: label.into(), hue: 0, stroke: Stroke::Solid, points: &upper };
    let total = HEIGHT + HEADING;
    let drawn = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (total) } width=(1.5 * WIDTH) height=(1.5 * total) role="img" {
            title { (heading) }
            desc { (description(&x, &y, std::slice::from_ref(&curve))) }
            style { (maud::PreEscaped(ALONE)) }
            rect width="100%" height="100%" fill="#fff" {}
            text.heading x=(n(LEFT)) y="20" { (heading) }
            text.note x=(n(LEFT)) y="37" { (note) "; " (label) }
            g transform={ "translate(0 " (HEADING) ")" } { (drawing(&x, &y, &[curve], &[], &band)) }
        }
    };
    drawn.into_string() + "\n"
}

/// A mark whose shape goes with the hue, so that colour is not the only distinction.
fn mark(hue: usize, x: f64, y: f64) -> Markup {
    html! {
        @match hue % 3 {
            0 => circle cx=(n(x)) cy=(n(y)) r="3.6" {},
            1 => rect x=(n(x - 3.3)) y=(n(y - 3.3)) width="6.6" height="6.6" {},
            _ => path d={ "M" (n(x)) " " (n(y - 4.4)) " l4.2 7.4 h-8.4 Z" } {},
        }
    }
}

fn description(x: &Axis, y: &Axis, curves: &[Curve<'_>]) -> String {
    let ends = |curve: &Curve<'_>| match (curve.points.first(), curve.points.last()) {
        (Some(first), Some(last)) => {
            let number = super::words::number;
            let (from, to) = (number(first.0), number(last.0));
            format!("{}: {} at {from} to {} at {to}", curve.label, number(first.1), number(last.1))
        }
        _ => format!("{}: no point", curve.label),
    };
    let curves: Vec<_> = curves.iter().map(ends).collect();
    format!("{} against {}. {}.", y.title, x.title, curves.join("; "))
}

/// Places to a tenth; a place like the one before it is left out.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut places: Vec<String> = points.map(|(x, y)| format!("{},{}", n(x), n(y))).collect();
    places.dedup();
    places.join(" ")
}

fn n(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        assert_eq!(texts(&Axis::unit("")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(&Axis::linear("", [0.3].into_iter())), ["0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(texts(&Axis::linear("", [5000.0].into_iter())), ["0", "1000", "2000", "3000", "4000", "5000"]);
        assert_eq!(texts(&Axis::linear("", [1.2].into_iter())), ["0.00", "0.25", "0.50", "0.75", "1.00", "1.25"]);
        assert_eq!(
            texts(&Axis::linear("", [0.9, -0.3].into_iter())),
            ["-0.50", "-0.25", "0.00", "0.25", "0.50", "0.75", "1.00"]
        );
        assert_eq!(texts(&Axis::log("", [0.004, 1.0].into_iter())), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(texts(&Axis::log("", [100.0, 9e4].into_iter())), ["100", "1000", "10000", "1e5"]);
    }

    #[test]
    fn axes_without_a_span_still_have_one() {
        for axis in [
            Axis::linear("", std::iter::empty()),
            Axis::log("", std::iter::empty()),
            Axis::log("", [0.0, 1.0].into_iter()),
            Axis::log("", [1e-300, 1e300].into_iter()),
            Axis::linear("", [f64::MIN, f64::MAX].into_iter()),
            Axis::linear("", [f64::MIN].into_iter()),
            Axis::linear("", [f64::MIN_POSITIVE].into_iter()),
        ] {
            assert!(axis.high > axis.low && axis.ticks().len() >= 2, "{axis:?}");
            assert!(axis.ticks().len() <= 16, "{axis:?}");
        }
    }

    #[test]
    fn drawings_show_every_point_and_survive_none() {
        let draw = |points: &[(f64, f64, f64)]| bounds_svg("heading", "about", ["steps", "ε"], points);
        let drawing = draw(&[(1.0, 0.45, 0.5), (10.0, 1.8, 2.0), (20.0, 1.0, f64::INFINITY)]);
        assert!(
            drawing.contains("<polygon") && drawing.contains(">10</text>") && !drawing.contains("inf"),
            "{drawing}"
        );
        assert_eq!(drawing.matches("<circle").count(), 2, "{drawing}");
        assert!(!draw(&[(1.0, 0.0, 0.5)]).contains("<polygon"));
        for empty in [&[][..], &[(0.0, 0.0, 0.0)]] {
            assert!(!draw(empty).contains("NaN"));
        }
    }

    #[test]
    fn zero_and_what_lies_outside_stand_on_the_edge() {
        let log = Axis::log("", [0.01, 1.0].into_iter());
        assert_eq!((log.place(0.0), log.place(1.0), log.place(9.0)), (0.0, 1.0, 1.0));
        assert!((log.place(0.1) - 0.5).abs() < 1e-12);
    }
}

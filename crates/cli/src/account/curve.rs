//! ε over the steps, as a drawing.

use std::fmt::Write as _;

use underpin_privacy::Bounds;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;
const POINTS: u64 = 32;

/// Some 32 numbers of steps from 1 to `last`, the last one included, closer together at the start, where the curve is
/// steepest.
pub(super) fn steps(last: u64) -> Vec<u64> {
    let at = |point: u64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and last")]
        let steps = (last as f64 * (point as f64 / POINTS as f64).powi(2)).round() as u64;
        steps.clamp(1.min(last), last)
    };
    let mut found: Vec<u64> = (1..=POINTS).map(at).collect();
    found.dedup();
    found
}

/// Ends and distance of about five round ticks over `0..=high`.
fn ticks(high: f64) -> Vec<f64> {
    let high = if high > 0.0 && high.is_finite() { high } else { 1.0 };
    let power = 10f64.powf((high / 5.0).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| high / step <= 5.0);
    let step = step.unwrap_or(10.0 * power);
    // OK because the step is at least a tenth of what it is to cover.
    (0..=11).map(|at| f64::from(at) * step).take_while(|value| *value < high + step * 0.999).collect()
}

fn label(value: f64) -> String {
    if value >= 1e6 || (value > 0.0 && value < 1e-4) {
        return format!("{value:e}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A stand-alone drawing of the bounds; those that are not finite are left out.
pub(super) fn draw(points: &[(u64, Bounds)], delta: f64, about: &str) -> String {
    let points: Vec<_> = points.iter().filter(|(_, bounds)| bounds.upper.is_finite()).collect();
    let last = points.iter().map(|(steps, _)| *steps as f64).fold(1.0, f64::max);
    let most = points.iter().map(|(_, bounds)| bounds.upper).fold(0.0, f64::max);
    let (x_ticks, y_ticks) = (ticks(last), ticks(most));
    let (x_end, y_end) = (last, y_ticks.last().copied().unwrap_or(1.0));
    let x = |steps: f64| LEFT + steps / x_end * (WIDTH - LEFT - RIGHT);
    let y = |epsilon: f64| HEIGHT - BOTTOM - epsilon / y_end * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n\
         <title>Privacy spent over the steps</title>\n<desc>{}</desc>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"17\" font-weight=\"600\" fill=\"#111\">Privacy spent over the steps</text>\n\
         <text x=\"{LEFT}\" y=\"47\" fill=\"#555\">{about}</text>\n",
        described(&points)
    );
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    for value in y_ticks {
        let place = y(value);
        line(format!(
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{place:.1}\" y2=\"{place:.1}\" stroke=\"#ddd\"/>",
            WIDTH - RIGHT
        ));
        let (left, down) = (LEFT - 8.0, place + 4.5);
        line(format!("<text x=\"{left}\" y=\"{down:.1}\" text-anchor=\"end\" fill=\"#333\">{}</text>", label(value)));
    }
    for value in x_ticks.into_iter().filter(|value| *value <= x_end) {
        let (place, foot) = (x(value), HEIGHT - BOTTOM);
        line(format!(
            "<line x1=\"{place:.1}\" x2=\"{place:.1}\" y1=\"{foot}\" y2=\"{}\" stroke=\"#999\"/>",
            foot + 5.0
        ));
        line(format!(
            "<text x=\"{place:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#333\">{}</text>",
            foot + 20.0,
            label(value)
        ));
    }
    let path = |side: &dyn Fn(&Bounds) -> f64| -> Vec<String> {
        points.iter().map(|(steps, bounds)| format!("{:.1},{:.1}", x(*steps as f64), y(side(bounds)))).collect()
    };
    let (upper, mut lower) = (path(&|bounds| bounds.upper), path(&|bounds| bounds.lower));
    let known = points.iter().any(|(_, bounds)| bounds.lower > 0.0);
    if known {
        lower.reverse();
        let band = [upper.clone(), lower].concat().join(" ");
        line(format!("<polygon points=\"{band}\" fill=\"#1f5fbf\" fill-opacity=\"0.25\"/>"));
    }
    line(format!("<polyline points=\"{}\" fill=\"none\" stroke=\"#1f5fbf\" stroke-width=\"2\"/>", upper.join(" ")));
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    line(format!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#111\">steps</text>", HEIGHT - 12.0));
    let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
    line(format!(
        "<text transform=\"translate(20 {middle}) rotate(-90)\" text-anchor=\"middle\" fill=\"#111\">ε at δ = {delta:e}</text>"
    ));
    let legend = if known { "upper bound; shaded down to the lower bound" } else { "upper bound" };
    let (left, down) = (LEFT + 14.0, TOP + 20.0);
    line(format!(
        "<line x1=\"{left}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"#1f5fbf\" stroke-width=\"2\"/>",
        left + 26.0,
        down - 4.5,
        down - 4.5
    ));
    line(format!("<text x=\"{}\" y=\"{down}\" fill=\"#333\">{legend}</text>", left + 34.0));
    svg.push_str("</svg>\n");
    svg
}

fn described(points: &[&(u64, Bounds)]) -> String {
    let mut text = String::from("epsilon, upper bound:");
    for (steps, bounds) in points.iter().step_by(8).chain(points.last()) {
        let _ = write!(text, " {:.4} after {steps} steps;", bounds.upper);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_rise_to_the_last() {
        for last in [1, 2, 33, 10_000, 1 << 40] {
            let found = steps(last);
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]) && found.last() == Some(&last), "{last}");
            assert!(found[0] >= 1 && found.len() <= 32);
        }
        assert_eq!(steps(0), [0]);
    }

    #[test]
    fn drawings_show_every_point_and_survive_none() {
        let bounds = |at: f64| Bounds { lower: 0.9 * at, upper: at };
        let drawing = draw(&[(1, bounds(0.5)), (10, bounds(2.0)), (20, bounds(f64::INFINITY))], 1e-5, "about");
        assert!(
            drawing.contains("<polygon") && drawing.contains(">10</text>") && !drawing.contains("inf"),
            "{drawing}"
        );
        let upper = draw(&[(1, Bounds { lower: 0.0, upper: 0.5 })], 1e-5, "about");
        assert!(!upper.contains("<polygon"));
        for empty in [&[][..], &[(0, Bounds { lower: 0.0, upper: 0.0 })]] {
            assert!(!draw(empty, 1e-5, "about").contains("NaN"));
        }
    }
}

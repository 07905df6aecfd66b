//! The page: head, sections in reading order, foot.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::sections::{compare, curves, detail, matrix, picture, safety, sanitisation, scores, verdict};
use super::table::{HEADINGS, Row, table};
use super::view::Report;
use super::widgets::{stacked, status};
use crate::calendar;

const STYLE: &str = include_str!("style.css");

/// One self-contained static page: no script, nothing fetched, light and dark, for screen and print.
///
/// # Guarantees
///
/// 1. Text from the run is escaped wherever it stands, and the page forbids script and fetching by its own content
///    security policy: `hostile_text_is_escaped`.
/// 2. The safety evaluation is shown only when the report says "cleared": `safety_shows_only_when_cleared`.
/// 3. Every bar of the policy is shown: `every_bar_is_on_the_page`.
///
/// # Edge cases
///
/// Numbers that are not finite are written as such and left out of charts, which say so. What was not measured or
/// not given is said to be absent.
pub fn html(report: &Report<'_>) -> String {
    let rows = table(report);
    let state = if report.is_cleared() { "cleared" } else { "refused" };
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'";
                meta name="color-scheme" content="light dark";
                title { (report.data.name) ": " (state) " under " (report.policy.name()) " (Underpin report)" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#bars" { "Skip to the bars" }
                (compare::hatch())
                header.top {
                    p.brand { strong { "Underpin" } " assurance report" }
                    p.soft { "Measured " (calendar::moment(report.evidence.measured_at)) }
                }
                main {
                    (verdict::banner(report, &rows))
                    (contents(report))
                    (section("scores", "Scores", &scores::section(report)))
                    (section("matrix", "Threat, access and phase", &matrix::section(&rows)))
                    (section("bars", "Bars and measurements", &bars(&rows)))
                    (section("compare", "Undefended against defended", &compare::section(&rows)))
                    (section("curves", "Curves", &curves::section(&report.evidence.record)))
                    (section("data", "Collection", &sanitisation::section(report)))
                    (section("inversion", "Reconstructions", &picture::reconstructions(report.reconstructions)))
                    @if let Some(record) = report.safety() {
                        (section("safety", "Safety and alignment", &safety::section(report.policy, record)))
                    }
                    (section("training", "Settings", &detail::settings(&report.evidence.record)))
                    (section("measurements", "Every measurement", &detail::measurements(report)))
                    (section("policy", "The policy", &detail::policy(report)))
                    (section("catalogues", "Catalogues", &detail::catalogues()))
                    (section("provenance", "Provenance", &detail::provenance(report)))
                }
                footer { p.soft { (LIMITS) } }
            }
        }
    };
    // HTML has no place for control characters, which may come from untrusted rows.
    let visible =
        |letter: char| if letter.is_control() && letter != '\n' { char::REPLACEMENT_CHARACTER } else { letter };
    page.into_string().chars().map(visible).collect()
}

const LIMITS: &str = "An attack's result is what that attack reached at that budget; a stronger one may reach more. \
    Only ε is a proven bound. A clearance holds for the digests above, under the policy above, until it expires.";

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    markup! { section id=(id) aria-labelledby={ (id) "-title" } { h2 id={ (id) "-title" } { (title) } (content) } }
}

fn contents(report: &Report<'_>) -> Markup {
    let places = [
        ("scores", "Scores"),
        ("matrix", "Matrix"),
        ("bars", "Bars"),
        ("compare", "Comparison"),
        ("curves", "Curves"),
        ("data", "Collection"),
        ("inversion", "Reconstructions"),
        ("safety", "Safety"),
        ("training", "Settings"),
        ("measurements", "Measurements"),
        ("policy", "Policy"),
        ("catalogues", "Catalogues"),
        ("provenance", "Provenance"),
    ];
    let shown = |id: &str| id != "safety" || report.safety().is_some();
    markup! {
        nav aria-label="Contents" {
            ul { @for (id, title) in places.iter().filter(|(id, _)| shown(id)) { li { a href={ "#" (id) } { (title) } } } }
        }
    }
}

fn bars(rows: &[Row<'_>]) -> Markup {
    let caption = "Each measurement of the defended system, its undefended baseline, and the bar that judges it";
    markup! {
        p.lead {
            "A bar is met only by the unfavourable end of the interval. Intervals are rounded outwards. "
            "A dash means not measured, or no bar."
        }
        (stacked(caption, &HEADINGS, (0..rows.len()).map(|at| cells(rows, at))))
    }
}

/// The cells of one row; what it is about stands back where the row above has said it.
fn cells(rows: &[Row<'_>], at: usize) -> Vec<Markup> {
    let row = &rows[at];
    let repeated = at > 0 && rows[at - 1].about == row.about;
    let [about, phase, access, attack, quantity, undefended, defended, bar, _] = row.cells();
    let number = |text: &str| {
        if text == "-" {
            markup! { "-" }
        } else {
            markup! { span.number { (text) } }
        }
    };
    vec![
        if repeated {
            markup! { span.repeated { (about) } }
        } else {
            markup! { (about) }
        },
        markup! { (phase) },
        markup! { (access) },
        markup! { (attack) },
        markup! { (quantity) },
        number(&undefended),
        number(&defended),
        number(&bar),
        if row.bar.is_some() {
            status(&row.status)
        } else {
            markup! { "-" }
        },
    ]
}

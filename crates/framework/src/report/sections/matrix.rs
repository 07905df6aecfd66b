//! Threat × access × phase at a glance.

use maud::{Markup, html};
use underpin_core::{About, Access, Phase, Threat};

use crate::report::table::{BarStatus, Row};
use crate::report::words;

const COLUMNS: [(Option<Access>, &str, &str); 4] = [
    (Some(Access::BlackBox), "B", "black box"),
    (Some(Access::GrayBox), "G", "gray box"),
    (Some(Access::WhiteBox), "W", "white box"),
    (None, "P", "no adversary: a proof or a count"),
];

pub(in crate::report) fn section(rows: &[Row<'_>]) -> Markup {
    html! {
        p.lead { "What was measured on the defended system, where in the lifecycle, and by an adversary who holds what." }
        table.matrix {
            caption { "Verdicts by threat (rows), phase and access (columns)" }
            thead {
                tr {
                    td rowspan="2" {}
                    @for phase in Phase::ALL { th scope="colgroup" colspan="4" { (words::title(phase.word())) } }
                }
                tr {
                    @for _ in Phase::ALL {
                        @for (_, letter, name) in COLUMNS { th scope="col" { abbr title=(name) { (letter) } } }
                    }
                }
            }
            tbody {
                @for threat in Threat::ALL {
                    tr {
                        th scope="row" { (words::plain(threat.word())) }
                        @for phase in Phase::ALL {
                            @for (at, (access, ..)) in COLUMNS.iter().enumerate() {
                                (cell(rows, *threat, *phase, *access, at == 0))
                            }
                        }
                    }
                }
            }
        }
        p.legend {
            @for (_, letter, name) in COLUMNS { span { strong { (letter) } " " (name) } }
            span.met { strong { "✓" } " every bar met" }
            span.unmet { strong { "✕" } " a bar not met" }
            span { strong { "○" } " measured, no bar" }
            span { strong { "·" } " not measured" }
        }
        @let absent: Vec<_> = rows.iter().filter(|row| row.phase().is_none() && row.about.threat().is_some()).collect();
        @if !absent.is_empty() {
            p.unmet {
                "✕ Barred but not measured, so without a place above: "
                @for (at, row) in absent.iter().enumerate() {
                    @if at > 0 { "; " }
                    (words::plain(row.about.word())) " (" (words::name(row.quantity)) ")"
                }
                "."
            }
        }
    }
}

fn cell(rows: &[Row<'_>], threat: Threat, phase: Phase, access: Option<Access>, first: bool) -> Markup {
    let here = rows.iter().filter(|row| {
        let place = row.defended.map(|measurement| (measurement.phase, measurement.access));
        row.about == About::from(threat) && place == Some((phase, access))
    });
    let here: Vec<_> = here.collect();
    let has = |status: fn(&BarStatus) -> bool| here.iter().any(|row| status(&row.status));
    let (class, sign, word) = if has(|status| matches!(status, BarStatus::Unmet(_))) {
        ("unmet", "✕", "not met")
    } else if has(|status| *status == BarStatus::Met) {
        ("met", "✓", "met")
    } else if here.is_empty() {
        ("none", "·", "not measured")
    } else {
        ("unjudged", "○", "measured, no bar")
    };
    let mut attacks: Vec<_> = here.iter().filter_map(|row| row.attack()).collect();
    attacks.dedup();
    html! {
        td.(class).first[first] title=[(!attacks.is_empty()).then(|| attacks.join("; "))] {
            span aria-hidden="true" { (sign) }
            span.hidden { (word) @if !attacks.is_empty() { ": " (attacks.join("; ")) } }
        }
    }
}

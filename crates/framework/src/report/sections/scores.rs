//! Core's two scores: vulnerability by threat, and resilience by curve.

use maud::{Markup, html};
use underpin_core::{About, Measurement, System, Threat, resilience, vulnerability, weakest_link};

use crate::report::view::Report;
use crate::report::words;

pub(in crate::report) fn section(report: &Report<'_>) -> Markup {
    html! {
        div.pair {
            div.card {
                h3 { "Vulnerability" }
                p.soft {
                    "How much more the adversary gets than by guessing, at the unfavourable end of the interval: "
                    "0 no more, 10 all there is. What was not measured, or whose attack failed its controls, counts 10. "
                    "The total is the weakest link, not an average."
                }
                (threats(&report.evidence.record.measurements))
            }
            div.card {
                h3 { "Resilience" }
                p.soft {
                    "Area under the curve of accuracy against attack budget, as a fraction of that of a system that is always "
                    "right: 0 to 1, higher is better."
                }
                (curves(report))
            }
        }
    }
}

/// Vulnerability by threat; of the undefended system only where it was measured at all.
fn threats(measurements: &[Measurement]) -> Markup {
    let (defended, total) = weakest_link(measurements, System::Defended);
    let (undefended, before) = weakest_link(measurements, System::Undefended);
    let compared = measurements.iter().any(|one| one.system == System::Undefended);
    let unknown = |threat, system| !measured(measurements, threat, system);
    html! {
        table.gauges {
            caption { "Vulnerability by threat, 0 to 10; lower is better" }
            thead {
                tr { th scope="col" { "Threat" } th scope="col" { "Defended" } @if compared { th scope="col" { "Undefended" } } }
            }
            tbody {
                @for ((threat, score), (_, other)) in defended.iter().zip(&undefended) {
                    tr {
                        th scope="row" { (words::plain(threat.word())) }
                        td { (gauge(*score)) @if unknown(*threat, System::Defended) { " " span.soft { "not measured" } } }
                        @if compared {
                            td.number {
                                (format!("{other:.1}"))
                                @if unknown(*threat, System::Undefended) { " " span.soft { "not measured" } }
                            }
                        }
                    }
                }
            }
            tfoot {
                tr {
                    th scope="row" { "Total (weakest link)" }
                    td { (gauge(total)) }
                    @if compared { td.number { (format!("{before:.1}")) } }
                }
            }
        }
    }
}

fn measured(measurements: &[Measurement], threat: Threat, system: System) -> bool {
    let of = |one: &&Measurement| one.system == system && one.about == About::from(threat);
    measurements.iter().filter(of).any(|one| vulnerability(one).is_some())
}

fn gauge(score: f64) -> Markup {
    html! {
        span.gauge {
            span.track aria-hidden="true" { span.fill style={ "width:" (format!("{:.1}", 10.0 * score)) "%" } {} }
            span.number { (format!("{score:.1}")) }
        }
    }
}

fn curves(report: &Report<'_>) -> Markup {
    let series: Vec<_> =
        report.evidence.record.series.iter().filter(|series| series.name == "robust_accuracy").collect();
    html! {
        @if series.is_empty() { (crate::report::widgets::absent("No curve of accuracy against attack budget was measured.")) }
        @else {
            table.gauges {
                caption { "Resilience by curve" }
                thead { tr { th scope="col" { "Curve" } th scope="col" { "Resilience" } } }
                tbody {
                    @for series in series {
                        tr {
                            th scope="row" { (words::plain(&series.label)) }
                            td {
                                @match resilience(&series.points) {
                                    Ok(score) => span.gauge {
                                        span.track aria-hidden="true" { span.fill style={ "width:" (format!("{:.1}", 100.0 * score)) "%" } {} }
                                        span.number { (words::number(score)) }
                                    },
                                    Err(error) => span.soft { "none: " (error) },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

//! The pieces that sections are made of: tables, lists of facts, folded parts, verdicts.

use maud::{Markup, html as markup};

use super::table::BarStatus;

/// A verdict: a sign and a word, never colour alone.
pub(super) fn status(status: &BarStatus) -> Markup {
    let (class, sign) = match status {
        BarStatus::Met => ("met", "✓"),
        BarStatus::Unmet(_) => ("unmet", "✕"),
        BarStatus::Unjudged => ("unjudged", "·"),
    };
    markup! { span.status.(class) { span aria-hidden="true" { (sign) } " " (status.words()) } }
}

/// A table that restacks, row by row, where it is too narrow for columns. The first cell of a row heads it.
pub(super) fn stacked(caption: &str, headings: &[&str], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    markup! {
        div.scroll { table.stacked role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" { @for heading in headings { th scope="col" role="columnheader" { (heading) } } }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (at, (heading, cell)) in headings.iter().zip(&row).enumerate() {
                            @if at == 0 { th scope="row" role="rowheader" { (cell) } }
                            @else { td.empty[cell.0 == "-"] role="cell" data-label=(heading) { span { (cell) } } }
                        }
                    }
                }
            }
        } }
    }
}

/// Names and what they stand for.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    markup! { dl.facts { @for (name, fact) in facts { div { dt { (name) } dd { (fact) } } } } }
}

/// A part that opens on demand.
pub(super) fn folded(summary: &str, content: &Markup) -> Markup {
    markup! { details { summary { (summary) } div.folded { (content) } } }
}

/// What is said where there is nothing to show.
pub(super) fn absent(text: &str) -> Markup {
    markup! { p.absent { (text) } }
}

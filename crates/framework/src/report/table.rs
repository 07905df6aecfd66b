//! The rows that the page and a terminal both show.

use underpin_core::{About, Bar, Evidence, Measurement, Phase, Policy, Quantity, Record, System, Unmet, Verdict};

use super::view::Report;
use super::words;

/// Headings of [`Row::cells`].
pub const HEADINGS: [&str; 9] =
    ["Threat", "Phase", "Access", "Attack", "Measure", "Undefended", "Defended", "Bar", "Verdict"];

/// How a measurement stands to a bar.
#[derive(Clone, Debug, PartialEq)]
pub enum BarStatus {
    /// It meets the bar.
    Met,
    /// It does not.
    Unmet(Unmet),
    /// No bar asks for it, or nobody judged the bar.
    Unjudged,
}

/// One measurement of the defended system, its counterpart on the undefended one, and a bar that judges it.
///
/// A bar that found nothing to judge has a row without measurements; a measurement that no bar asks for has a row
/// without a bar; a measurement that several bars judge has a row for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// What it is about.
    pub about: About,
    /// What is measured.
    pub quantity: Quantity,
    /// The bar.
    pub bar: Option<&'a Bar>,
    /// The same measured on the undefended system.
    pub undefended: Option<&'a Measurement>,
    /// The measurement.
    pub defended: Option<&'a Measurement>,
    /// How the measurement stands to the bar.
    pub status: BarStatus,
}

impl Row<'_> {
    /// The row as text, under [`HEADINGS`].
    pub fn cells(&self) -> [String; 9] {
        let absent = || "-".to_owned();
        let access = match (self.defended.or(self.undefended), self.bar) {
            (Some(measurement), _) => words::access(measurement.access),
            (None, Some(bar)) => bar.access.map_or_else(|| "any".to_owned(), |access| words::plain(access.word())),
            (None, None) => absent(),
        };
        [
            words::plain(self.about.word()),
            self.phase().map_or_else(absent, |phase| phase.word().to_owned()),
            access,
            self.attack().unwrap_or_else(absent),
            words::name(self.quantity),
            self.undefended.map_or_else(absent, |measurement| words::number(measurement.value)),
            self.defended.map_or_else(absent, words::reading),
            self.bar.map_or_else(absent, |bar| words::limit(bar.limit)),
            self.bar.map_or_else(absent, |_| self.status.words()),
        ]
    }

    /// Where in the lifecycle it was measured.
    pub fn phase(&self) -> Option<Phase> {
        self.defended.or(self.undefended).map(|measurement| measurement.phase)
    }

    /// The attack, with the perturbation it was allowed.
    pub fn attack(&self) -> Option<String> {
        match self.defended.or(self.undefended) {
            Some(measurement) => Some(attack(measurement)),
            None => self.bar?.attack.clone(),
        }
    }
}

impl BarStatus {
    /// The status in words.
    pub fn words(&self) -> String {
        match self {
            Self::Met => "met".to_owned(),
            Self::Unmet(unmet) => format!("not met: {unmet}"),
            Self::Unjudged => "not judged".to_owned(),
        }
    }
}

/// An attack by name, with the perturbation it was allowed.
pub(super) fn attack(measurement: &Measurement) -> String {
    match (measurement.norm, measurement.radius) {
        (Some(norm), Some(radius)) => format!("{}, {norm} {radius}", words::plain(&measurement.attack)),
        (None, Some(radius)) => format!("{}, radius {radius}", words::plain(&measurement.attack)),
        _ => words::plain(&measurement.attack),
    }
}

/// The rows, in the order of [`About::ALL`], then of the evidence.
///
/// # Guarantees
///
/// 1. Every bar of the policy has a row: `every_bar_has_a_row`.
/// 2. Every measurement of the evidence is in a row: `every_measurement_is_in_a_row`.
pub fn table<'a>(report: &Report<'a>) -> Vec<Row<'a>> {
    let measurements = &report.evidence.record.measurements;
    let of = |system| measurements.iter().enumerate().filter(move |(_, measurement)| measurement.system == system);
    let mut rows: Vec<Row<'a>> = of(System::Defended).flat_map(|(at, one)| judged(report, at, one)).collect();
    let counterparts: Vec<_> = rows.iter().filter_map(|row| row.undefended).collect();
    let alone = of(System::Undefended)
        .filter(|(_, one)| !counterparts.iter().any(|counterpart| std::ptr::eq(*counterpart, *one)));
    rows.extend(alone.map(|(_, one)| Row {
        about: one.about,
        quantity: one.quantity,
        bar: None,
        undefended: Some(one),
        defended: None,
        status: BarStatus::Unjudged,
    }));
    let unseen = |bar: &Bar| !measurements.iter().any(|one| bar.matches(one));
    let absent = report.policy.bars().iter().enumerate().filter(|(_, bar)| unseen(bar));
    rows.extend(absent.map(|(at, bar)| Row {
        about: bar.about,
        quantity: bar.quantity,
        bar: Some(bar),
        undefended: None,
        defended: None,
        status: verdict(report, at).map_or(BarStatus::Unjudged, BarStatus::from),
    }));
    rows.sort_by_key(|row| row.about);
    rows
}

impl From<&Verdict> for BarStatus {
    fn from(verdict: &Verdict) -> Self {
        verdict.unmet.clone().map_or(Self::Met, Self::Unmet)
    }
}

fn verdict<'a>(report: &Report<'a>, bar: usize) -> Option<&'a Verdict> {
    report.verdicts.iter().find(|verdict| verdict.bar == bar)
}

/// The rows of one measurement: one for each bar that judges it, or one without.
fn judged<'a>(report: &Report<'a>, at: usize, one: &'a Measurement) -> Vec<Row<'a>> {
    let row = |bar, status| Row {
        about: one.about,
        quantity: one.quantity,
        bar,
        undefended: counterpart(&report.evidence.record, one),
        defended: Some(one),
        status,
    };
    let bars = report.policy.bars().iter().enumerate().filter(|(_, bar)| bar.matches(one));
    let rows: Vec<_> = bars.map(|(index, bar)| row(Some(bar), status(report, index, at, one))).collect();
    if rows.is_empty() { vec![row(None, BarStatus::Unjudged)] } else { rows }
}

/// A verdict names one measurement; of the others that its bar matches, each is judged alone.
fn status(report: &Report<'_>, bar: usize, at: usize, one: &Measurement) -> BarStatus {
    match verdict(report, bar) {
        None => BarStatus::Unjudged,
        Some(Verdict { unmet: None, .. }) => BarStatus::Met,
        Some(Verdict { unmet: Some(unmet), measurement, .. }) if measurement.is_none_or(|decided| decided == at) => {
            BarStatus::Unmet(unmet.clone())
        }
        Some(_) => alone(report.policy, report.evidence, bar, one),
    }
}

fn alone(policy: &Policy, evidence: &Evidence, bar: usize, one: &Measurement) -> BarStatus {
    let record = Record { measurements: vec![one.clone()], ..Record::default() };
    let evidence = Evidence { subjects: Vec::new(), versions: [].into(), revision: String::new(), record, ..*evidence };
    policy.judge(evidence.policy, &evidence).get(bar).map_or(BarStatus::Unjudged, BarStatus::from)
}

/// The same measured on the undefended system; of several, the one with the most parameters in common.
fn counterpart<'a>(record: &'a Record, one: &Measurement) -> Option<&'a Measurement> {
    let same = |other: &&Measurement| {
        let key = |m: &Measurement| (m.about, m.quantity, m.access, m.phase, m.norm, m.radius);
        other.system == System::Undefended && key(other) == key(one) && other.attack == one.attack
    };
    let shared = |other: &Measurement| {
        other.parameters.iter().filter(|(name, value)| one.parameters.get(*name) == Some(*value)).count()
    };
    record
        .measurements
        .iter()
        .filter(same)
        .reduce(|best, other| if shared(other) > shared(best) { other } else { best })
}

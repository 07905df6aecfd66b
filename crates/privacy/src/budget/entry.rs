//! What the record of a budget is made of.

use std::fmt;
use std::str::FromStr;

use underpin_core::{Delta, Epsilon};

use super::charge::Charge;
use super::cost::Cost;
use super::terms::BudgetTerms;
use crate::{Adjacency, Error};

/// How far a budget's record has come: the number of its last entry, and the hash that binds that entry and all before.
///
/// Keep it where the budget's file is not: [`crate::Budget::open`] then finds out whether the file is an older copy. As
/// text: the number, a colon, 64 hexadecimal digits.
///
/// # Examples
///
/// ```
/// use underpin_core::{Delta, Epsilon};
/// use underpin_privacy::{Budget, ChainHead};
///
/// let budget = Budget::new(Epsilon::new(1.0)?, Delta::new(1e-6)?)?;
/// assert_eq!(budget.head().to_string().parse::<ChainHead>()?, budget.head());
/// assert!("7".parse::<ChainHead>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    pub(super) sequence: u64,
    pub(super) hash: blake3::Hash,
}

impl ChainHead {
    /// What comes before the first entry.
    pub(super) const START: Self = Self { sequence: 0, hash: blake3::Hash::from_bytes([0; 32]) };

    /// Number of the last entry; the terms are entry 0.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The head after one more entry, `sequence` the entry's own.
    pub(super) fn then(&self, sequence: u64, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("underpin-privacy 2026 budget entry");
        hasher.update(self.hash.as_bytes()).update(&sequence.to_le_bytes()).update(body);
        Self { sequence, hash: hasher.finalize() }
    }
}

impl fmt::Display for ChainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash.to_hex())
    }
}

impl FromStr for ChainHead {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (sequence, hash) = text.split_once(':')?;
            Some(Self { sequence: sequence.parse().ok()?, hash: blake3::Hash::from_hex(hash).ok()? })
        };
        read().ok_or_else(|| Error::NoHead { value: text.to_owned() })
    }
}

/// How far a run has come: the number of steps begun, and a digest of their list, which is kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunMark {
    /// Steps begun.
    pub steps: u64,
    /// Digest of the list.
    pub digest: [u8; 32],
}

/// One entry of a budget's record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its number, from 0.
    pub sequence: u64,
    /// What happened.
    pub event: BudgetEvent,
}

/// What an entry records.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BudgetEvent {
    /// The budget was made.
    Opened {
        /// What it promises, the order of its Rényi filter included.
        terms: BudgetTerms,
    },
    /// A cost was spent.
    Reserved {
        /// What was asked, as the caller named it.
        label: String,
        /// The cost.
        cost: Cost,
    },
    /// The answer to a reservation was given.
    Answered {
        /// Number of the reservation's entry.
        reservation: u64,
    },
    /// A reservation was given back unanswered.
    GivenBack {
        /// Number of the reservation's entry.
        reservation: u64,
    },
    /// The cost of a whole run was spent.
    Begun {
        /// The run's name, which its key decides.
        run: String,
        /// The cost.
        cost: Cost,
    },
    /// A run has come so far.
    Reached {
        /// Number of the entry with which it began.
        run: u64,
        /// How far.
        mark: RunMark,
    },
}

/// An event and, for a reservation, what it was charged when it was made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ChargedEvent {
    pub(super) event: BudgetEvent,
    pub(super) charge: Charge,
}

/// An event that costs nothing.
impl From<BudgetEvent> for ChargedEvent {
    fn from(event: BudgetEvent) -> Self {
        Self { event, charge: Charge::default() }
    }
}

const OPENED: u8 = 0;
const RESERVED: u8 = 1;
const ANSWERED: u8 = 2;
const GIVEN_BACK: u8 = 3;
const BEGUN: u8 = 4;
const REACHED: u8 = 5;
const PURE: u8 = 0;
const APPROXIMATE: u8 = 1;
const CONCENTRATED: u8 = 2;
const SUBSAMPLED_GAUSSIAN: u8 = 3;

impl ChargedEvent {
    /// Numbers in little endian, floating-point numbers by their bits, the text last.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        match &self.event {
            BudgetEvent::Opened { terms } => {
                bytes.push(OPENED);
                bytes.push(match terms.adjacency {
                    Adjacency::AddOrRemove => 0,
                    Adjacency::Replace => 1,
                    Adjacency::ZeroOut => 2,
                });
                let aside = terms.set_aside.map_or(0.0, Delta::value);
                floats(&mut bytes, &[terms.epsilon.value(), terms.delta.value(), aside, terms.order.unwrap_or(0.0)]);
                bytes.extend_from_slice(terms.unit.as_bytes());
            }
            BudgetEvent::Reserved { label, cost } => self.encode_cost(&mut bytes, RESERVED, cost, label),
            BudgetEvent::Begun { run, cost } => self.encode_cost(&mut bytes, BEGUN, cost, run),
            BudgetEvent::Reached { run, mark } => {
                bytes.push(REACHED);
                bytes.extend_from_slice(&run.to_le_bytes());
                bytes.extend_from_slice(&mark.steps.to_le_bytes());
                bytes.extend_from_slice(&mark.digest);
            }
            BudgetEvent::Answered { reservation } => {
                bytes.push(ANSWERED);
                bytes.extend_from_slice(&reservation.to_le_bytes());
            }
            BudgetEvent::GivenBack { reservation } => {
                bytes.push(GIVEN_BACK);
                bytes.extend_from_slice(&reservation.to_le_bytes());
            }
        }
        bytes
    }

    fn encode_cost(&self, bytes: &mut Vec<u8>, kind: u8, cost: &Cost, text: &str) {
        bytes.push(kind);
        encode_cost(bytes, cost);
        let charge = &self.charge;
        for part in [charge.divergence, charge.epsilon.unwrap_or(u128::MAX), charge.delta, charge.distance] {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        bytes.extend_from_slice(text.as_bytes());
    }

    /// None for what `encode` does not write.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let event = match rest.byte()? {
            OPENED => {
                let adjacency = match rest.byte()? {
                    0 => Adjacency::AddOrRemove,
                    1 => Adjacency::Replace,
                    2 => Adjacency::ZeroOut,
                    _ => return None,
                };
                let (epsilon, delta, aside) = (rest.epsilon()?, rest.delta()?, rest.float()?);
                let set_aside = if aside == 0.0 { None } else { Some(Delta::new(aside).ok()?) };
                let order = Some(rest.float()?);
                BudgetEvent::Opened {
                    terms: BudgetTerms { epsilon, delta, set_aside, order, adjacency, unit: rest.text()? },
                }
            }
            kind @ (RESERVED | BEGUN) => {
                let cost = decode_cost(&mut rest)?;
                let [divergence, epsilon, delta, distance] =
                    [rest.whole()?, rest.whole()?, rest.whole()?, rest.whole()?];
                let charge = Charge { divergence, epsilon: (epsilon < u128::MAX).then_some(epsilon), delta, distance };
                let text = rest.text()?;
                let event = if kind == BEGUN {
                    BudgetEvent::Begun { run: text, cost }
                } else {
                    BudgetEvent::Reserved { label: text, cost }
                };
                return Some(Self { event, charge });
            }
            REACHED => BudgetEvent::Reached {
                run: rest.number()?,
                mark: RunMark { steps: rest.number()?, digest: rest.take()? },
            },
            ANSWERED => BudgetEvent::Answered { reservation: rest.number()? },
            GIVEN_BACK => BudgetEvent::GivenBack { reservation: rest.number()? },
            _ => return None,
        };
        rest.0.is_empty().then(|| Self::from(event))
    }
}

fn encode_cost(bytes: &mut Vec<u8>, cost: &Cost) {
    match *cost {
        Cost::Pure(epsilon) => {
            bytes.push(PURE);
            floats(bytes, &[epsilon.value()]);
        }
        Cost::Approximate { epsilon, delta } => {
            bytes.push(APPROXIMATE);
            floats(bytes, &[epsilon.value(), delta.value()]);
        }
        Cost::Concentrated(rho) => {
            bytes.push(CONCENTRATED);
            floats(bytes, &[rho]);
        }
        Cost::SubsampledGaussian { sampling_rate, noise_multiplier, steps, coordinates } => {
            bytes.push(SUBSAMPLED_GAUSSIAN);
            floats(bytes, &[sampling_rate, noise_multiplier]);
            bytes.extend_from_slice(&steps.to_le_bytes());
            bytes.extend_from_slice(&coordinates.to_le_bytes());
        }
    }
}

fn decode_cost(rest: &mut Rest<'_>) -> Option<Cost> {
    Some(match rest.byte()? {
        PURE => Cost::Pure(rest.epsilon()?),
        APPROXIMATE => Cost::Approximate { epsilon: rest.epsilon()?, delta: rest.delta()? },
        CONCENTRATED => Cost::Concentrated(rest.float()?),
        SUBSAMPLED_GAUSSIAN => Cost::SubsampledGaussian {
            sampling_rate: rest.float()?,
            noise_multiplier: rest.float()?,
            steps: rest.number()?,
            coordinates: rest.number()?,
        },
        _ => return None,
    })
}

fn floats(bytes: &mut Vec<u8>, values: &[f64]) {
    for value in values {
        bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

/// What is left to read of an entry.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn whole(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }

    fn float(&mut self) -> Option<f64> {
        self.number().map(f64::from_bits)
    }

    fn epsilon(&mut self) -> Option<Epsilon> {
        Epsilon::new(self.float()?).ok()
    }

    fn delta(&mut self) -> Option<Delta> {
        Delta::new(self.float()?).ok()
    }

    /// All of it.
    fn text(&mut self) -> Option<String> {
        String::from_utf8(std::mem::take(&mut self.0).to_owned()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_as_it_was_written() {
        let (epsilon, delta) = (Epsilon::new(0.7).unwrap(), Delta::new(1e-9).unwrap());
        let charge = Charge { divergence: 1 << 70, epsilon: Some(5), delta: 3, distance: 2 };
        let costs = [
            Cost::Pure(epsilon),
            Cost::Approximate { epsilon, delta },
            Cost::Concentrated(0.25),
            Cost::SubsampledGaussian { sampling_rate: 0.01, noise_multiplier: 1.1, steps: 7, coordinates: 9 },
        ];
        let mut rows: Vec<ChargedEvent> = costs
            .into_iter()
            .zip([charge, Charge { epsilon: None, ..charge }].into_iter().cycle())
            .flat_map(|(cost, charge)| {
                let asked = ChargedEvent { event: BudgetEvent::Reserved { label: "mean ε".into(), cost }, charge };
                [asked, ChargedEvent { event: BudgetEvent::Begun { run: "mean ε".into(), cost }, charge }]
            })
            .collect();
        for adjacency in [Adjacency::AddOrRemove, Adjacency::Replace, Adjacency::ZeroOut] {
            for set_aside in [None, Some(delta)] {
                let terms =
                    BudgetTerms { epsilon, delta, set_aside, order: Some(9.5), adjacency, unit: "one row".into() };
                rows.push(ChargedEvent::from(BudgetEvent::Opened { terms }));
            }
        }
        rows.push(ChargedEvent::from(BudgetEvent::Answered { reservation: 4 }));
        rows.push(ChargedEvent::from(BudgetEvent::GivenBack { reservation: u64::MAX }));
        rows.push(ChargedEvent::from(BudgetEvent::Reached { run: 4, mark: RunMark { steps: 7, digest: [9; 32] } }));
        let mut written = std::collections::BTreeSet::new();
        for row in rows {
            let bytes = row.encode();
            assert_eq!(ChargedEvent::decode(&bytes), Some(row.clone()));
            // The text at the end may be cut; nothing else.
            for cut in 0..bytes.len() {
                assert!(
                    ChargedEvent::decode(&bytes[..cut]).is_none_or(|shorter| shorter != row),
                    "{row:?} cut at {cut}"
                );
            }
            assert!(written.insert(bytes), "two rows are written alike");
        }
    }
}

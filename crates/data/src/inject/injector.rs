//! Injects test faults into a copy of the raw rows.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use underpin_core::{Seed, Trigger};

use super::faults::{Fault, Faults, Injected};
use crate::Error;
use crate::input::{Builder, RawRow, RawTable};
use crate::record::FIRST_INJECTED_ID;
use crate::schema::{Contract, Encoded, Encoder};

/// How far the features of a near duplicate are moved, at most.
const JITTER: f32 = 0.002;

/// Injects `faults` in a copy of the rows; which rows, `seed` decides.
///
/// Duplicates are added. Every other fault takes the place of a row that kept the contract, so that no original gives it
/// away; a fault that cannot be had (no row outside the target class, no numeric column) is not injected. Injected rows
/// have fresh identifiers from [`FIRST_INJECTED_ID`].
///
/// # Errors
///
/// [`Error::OutOfRange`] when the fractions are outside `[0, 1]` or sum to more than 1; as [`admit`](crate::admit) when the
/// rows do not fit the contract; [`Error::Core`] when the trigger's target is no class.
pub fn inject(
    raw_table: &RawTable,
    contract: &Contract,
    faults: &Faults,
    trigger: &Trigger,
    seed: Seed,
) -> Result<(RawTable, Injected), Error> {
    check(contract, faults, trigger)?;
    let encoder = Encoder::new(contract, raw_table)?;
    let encoded = |(at, row): (usize, RawRow<'_>)| encoder.encode(row).ok().map(|encoded| (at, encoded));
    let mut sound: Vec<(usize, Encoded)> = raw_table.rows().enumerate().filter_map(encoded).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(seed.derive("redteam").0);
    sound.shuffle(&mut rng);
    let total = sound.len();
    let (rows, injected) = (Builder::new(raw_table.columns()), Injected::default());
    let mut injector = Injector { contract, encoder: &encoder, trigger, rng, rows, injected };
    let mut replaced = vec![false; raw_table.len()];
    for (fault, fraction) in &faults.0 {
        let mut wanted = fraction_of(total, *fraction);
        while wanted > 0 {
            let fits = |(_, row): &(usize, Encoded)| *fault != Fault::Backdoor || row.label != trigger.target;
            let Some(chosen) = sound.iter().rposition(fits) else { break };
            let (at, row) = sound.swap_remove(chosen);
            let taken = injector.inject(*fault, raw_table.nth(at), row);
            replaced[at] = taken && !matches!(fault, Fault::Duplicate | Fault::NearDuplicate);
            wanted -= 1;
        }
    }
    let (rows, injected) = (injector.rows.finish(), injector.injected);
    Ok((raw_table.clone().select(|at| !replaced[at]).with(rows), injected))
}

fn check(contract: &Contract, faults: &Faults, trigger: &Trigger) -> Result<(), Error> {
    let sum: f64 = faults.0.values().sum();
    if let Some(value) = faults.0.values().copied().chain([sum]).find(|fraction| !(0.0..=1.0).contains(fraction)) {
        return Err(Error::out_of_range("fraction of injected faults", value, "[0, 1], their sum too"));
    }
    let classes = contract.classes().len();
    if trigger.target >= classes {
        return Err(underpin_core::Error::Label { example: 0, label: trigger.target, classes }.into());
    }
    Ok(())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a count is a count")]
fn fraction_of(count: usize, fraction: f64) -> usize {
    (count as f64 * fraction).round() as usize
}

struct Injector<'a> {
    contract: &'a Contract,
    encoder: &'a Encoder<'a>,
    trigger: &'a Trigger,
    rng: ChaCha20Rng,
    rows: Builder,
    injected: Injected,
}

impl Injector<'_> {
    /// Injects one fault; returns whether it could be.
    fn inject(&mut self, fault: Fault, raw: RawRow<'_>, mut row: Encoded) -> bool {
        let id = FIRST_INJECTED_ID + self.injected.0.len() as u64;
        let cells = match fault {
            Fault::LabelFlip => {
                let classes = self.contract.classes().len();
                row.label = (row.label + self.rng.random_range(1..classes)) % classes;
                self.relabelled(&raw, row.label)
            }
            Fault::Backdoor => {
                self.encoder.stamp(&mut row.values, self.trigger);
                self.encoder.decode(&row.values, self.trigger.target, &raw)
            }
            Fault::Duplicate => self.relabelled(&raw, row.label),
            Fault::NearDuplicate => {
                let rng = &mut self.rng;
                self.encoder.jitter(&mut row.values, || rng.random_range(-JITTER..=JITTER));
                self.encoder.decode(&row.values, row.label, &raw)
            }
            Fault::OutOfRange => {
                let mut cells = self.relabelled(&raw, row.label);
                let mut beyond = self.encoder.out_of_range();
                if beyond.is_empty() {
                    return false;
                }
                let (cell, value) = beyond.swap_remove(self.rng.random_range(0..beyond.len()));
                cells[cell] = value;
                cells
            }
            Fault::Malformed => {
                let mut cells = self.relabelled(&raw, row.label).into_iter().map(String::into_bytes).collect();
                self.spoil(id, &mut cells);
                self.add(id, fault, &cells);
                return true;
            }
        };
        self.add(id, fault, &cells);
        true
    }

    fn add(&mut self, id: u64, fault: Fault, cells: &[impl AsRef<[u8]>]) {
        let cells = cells.iter().map(AsRef::as_ref);
        self.rows.push(id, &cells.clone().collect::<Vec<_>>().join(&b','), cells);
        self.injected.0.insert(id, fault);
    }

    fn relabelled(&self, raw: &RawRow<'_>, label: usize) -> Vec<String> {
        let mut cells: Vec<String> = raw.cells().map(std::borrow::Cow::into_owned).collect();
        cells[self.encoder.label()].clone_from(&self.contract.classes()[label]);
        cells
    }

    fn spoil(&self, id: u64, cells: &mut Vec<Vec<u8>>) {
        let number = self.encoder.out_of_range().first().map(|(cell, _)| *cell);
        match (id % 5, number) {
            (0, _) => drop(cells.pop()),
            (1, Some(cell)) => cells[cell] = b"twelve".into(),
            (2, Some(cell)) => cells[cell] = b"NaN".into(),
            (3, _) => cells[self.encoder.label()].extend([0xff, 0xfe]),
            _ => cells[self.encoder.label()].clear(),
        }
    }
}

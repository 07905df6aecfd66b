//! The process that holds a budget is killed in the middle of its work, again and again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use underpin_core::{Delta, Epsilon};
use underpin_privacy::{Budget, BudgetEvent, BudgetTerms, ChainHead, Cost, Error};

/// Names the budget to the child process; then the head that is known, and the whole ε.
const BUDGET: &str = "UNDERPIN_KILL_TEST_BUDGET";
const HEAD: &str = "UNDERPIN_KILL_TEST_HEAD";
const EPSILON: &str = "UNDERPIN_KILL_TEST_EPSILON";
const THREADS: u64 = 16;
const FILES: u64 = 10;
const KILLS: u64 = 20;

fn terms(epsilon: f64) -> BudgetTerms {
    BudgetTerms::new(Epsilon::new(epsilon).unwrap(), Delta::new(1e-6).unwrap())
}

/// One write below the size of a pipe's buffer: whole or not at all.
fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Not a test of its own: what the test below starts and kills. Says `reserved N` after each acknowledged reservation,
/// and `returning N` before it gives one back.
#[test]
fn child() {
    let Some(path) = std::env::var_os(BUDGET) else { return };
    let path = Path::new(&path);
    let terms = terms(std::env::var(EPSILON).unwrap().parse().unwrap());
    let known: Option<ChainHead> = std::env::var(HEAD).ok().map(|head| head.parse().unwrap());
    let budget = if path.exists() {
        Budget::open(path, &terms, known.as_ref()).unwrap()
    } else {
        Budget::create(path, &terms).unwrap()
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let budget = &budget;
            scope.spawn(move || {
                for n in 0_u64.. {
                    let cost = Cost::Concentrated(1e-4 * (1 + (n + thread) % 5) as f64);
                    let reservation = match budget.reserve_for("under load", cost) {
                        Ok(reservation) => reservation,
                        Err(Error::OverBudget { .. }) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    say(&format!("reserved {}\n", reservation.sequence()));
                    match (n + thread) % 4 {
                        0 => drop(reservation),
                        1 => {
                            say(&format!("returning {}\n", reservation.sequence()));
                            reservation.give_back();
                        }
                        _ => reservation.answer(|| ()),
                    }
                }
            });
        }
    });
}

/// What the children of one file said, over all their lives.
#[derive(Default)]
struct Said {
    reserved: BTreeSet<u64>,
    returning: BTreeSet<u64>,
}

impl Said {
    fn run_and_kill(&mut self, path: &Path, epsilon: f64, known: Option<&ChainHead>, after: Duration) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--nocapture"]).env(BUDGET, path).env(EPSILON, epsilon.to_string());
        if let Some(head) = known {
            command.env(HEAD, head.to_string());
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listener = std::thread::spawn(move || lines.map(Result::unwrap).collect::<Vec<_>>());
        std::thread::sleep(after);
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        for line in listener.join().unwrap() {
            let (word, sequence) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let sequence = sequence.parse().unwrap_or_else(|_| panic!("{line}"));
            match word {
                "reserved" => assert!(self.reserved.insert(sequence), "entry {sequence} was given away twice"),
                "returning" => assert!(self.returning.insert(sequence)),
                _ => panic!("{line}"),
            }
        }
    }

    /// Opens what a kill left and checks it against what was said; the new head, what is spent, and what was
    /// spent and came back.
    fn check(&self, path: &Path, epsilon: f64, known: Option<&ChainHead>) -> (ChainHead, f64, f64) {
        let budget = Budget::open(path, &terms(epsilon), known).unwrap();
        let mut standing: BTreeMap<u64, f64> = BTreeMap::new();
        let (mut reserved, mut returned) = (BTreeSet::new(), 0.0);
        for entry in budget.trail().unwrap() {
            let entry = entry.unwrap();
            match entry.event {
                BudgetEvent::Reserved { cost: Cost::Concentrated(rho), .. } => {
                    standing.insert(entry.sequence, rho);
                    reserved.insert(entry.sequence);
                }
                BudgetEvent::GivenBack { reservation } => {
                    assert!(self.returning.contains(&reservation), "entry {reservation} came back by itself");
                    returned += standing.remove(&reservation).unwrap() / budget.rho();
                }
                BudgetEvent::Answered { reservation } => {
                    assert!(!self.returning.contains(&reservation));
                    assert!(standing.contains_key(&reservation));
                }
                BudgetEvent::Opened { .. } => assert_eq!(entry.sequence, 0),
                act => panic!("{act:?}"),
            }
        }
        let lost: Vec<_> = self.reserved.difference(&reserved).collect();
        assert!(lost.is_empty(), "acknowledged, and not in the record: {lost:?}");
        // Each thread has at most one reservation whose answer was not received, in each of its lives.
        assert!(reserved.len() as u64 <= self.reserved.len() as u64 + THREADS * KILLS);
        let spent = standing.values().sum::<f64>() / budget.rho();
        assert!(spent <= 1.0 && (1.0 - budget.left() - spent).abs() < 1e-9, "{spent} spent, {} left", budget.left());
        (budget.close().unwrap(), spent, returned)
    }
}

#[test]
fn two_hundred_kills_refill_nothing() {
    let mut random = ChaCha20Rng::seed_from_u64(19);
    let (mut acknowledged, mut exhausted) = (0, 0);
    for file in 0..FILES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("killed.budget");
        // Every other one is soon spent.
        let epsilon = if file % 2 == 0 { 100.0 } else { 2.0 };
        let (mut said, mut known, mut before) = (Said::default(), None, (0.0, 0.0));
        for _ in 0..KILLS {
            let after = Duration::from_micros(random.random_range(0..200_000));
            said.run_and_kill(&path, epsilon, known.as_ref(), after);
            if !path.exists() {
                assert!(said.reserved.is_empty() && known.is_none(), "the file is gone");
                continue;
            }
            let (head, spent, returned) = said.check(&path, epsilon, known.as_ref());
            assert!(known.as_ref().is_none_or(|known| known.sequence() <= head.sequence()));
            assert!(spent + returned >= before.0 + before.1 - 1e-9, "{before:?} before, now {spent} and {returned}");
            (known, before) = (Some(head), (spent, returned));
        }
        acknowledged += said.reserved.len();
        exhausted += u64::from(before.0 > 0.9);
    }
    assert!(acknowledged as u64 > FILES * KILLS, "the children worked: {acknowledged} acknowledged");
    assert!(exhausted > 0, "some budget was spent");
}

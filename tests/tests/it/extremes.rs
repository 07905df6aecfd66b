//! Settings at their extremes, on a run that must be refused.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use underpin::{Error, Finished, Input, Job, seal};
use underpin_core::About;
use underpin_data::Source;

use crate::support::{job, key, run};

/// Settings that say how much work is done, by the end of their names: twice as much is their upper extreme.
const WORK: [&str; 12] = [
    "epochs",
    "steps",
    "restarts",
    "samples",
    "square_samples",
    "queries",
    "shadows",
    "candidates",
    "attackers",
    "keys",
    "canaries",
    "neighbours",
];

/// Rows whose labels are drawn apart from them: no model can be right about rows that it has not seen.
fn noise(path: &Path) {
    let mut state = 1_u64;
    let mut draw = || {
        // Knuth's generator: the high bits are good enough for rows.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    };
    let mut text = String::from("a,b,c,label\n");
    for _ in 0..240 {
        let (a, b, c) = (draw() % 1000, draw() % 1000, draw() % 1000);
        writeln!(text, "0.{a:03},0.{b:03},0.{c:03},{}", if draw() % 2 == 0 { "no" } else { "yes" }).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// The baseline, for few rows and weak attacks: what it asks for is what is run.
fn policy() -> Vec<u8> {
    let mut text = seal::policy::BASELINE.to_owned();
    for (from, to) in [
        ("name = \"baseline\"", "name = \"few-rows\""),
        ("steps = { at_least = 40 }", "steps = { at_least = 3 }"),
        ("steps = { at_least = 100 }", "steps = { at_least = 3 }"),
        ("restarts = { at_least = 2 }", "restarts = { at_least = 1 }"),
        ("up_to = 1000 }", "up_to = 20 }"),
        ("up_to = 2000 }", "up_to = 20 }"),
        ("attackers = { at_least = 8 }", "attackers = { at_least = 2 }"),
        ("min_samples = 300", "min_samples = 20"),
        ("min_samples = 200", "min_samples = 20"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text.into_bytes()
}

/// Every number of a configuration, by its path.
fn numbers(value: &serde_json::Value, path: &str, found: &mut Vec<(String, f64)>) {
    match value {
        serde_json::Value::Object(parts) => {
            for (name, value) in parts {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                numbers(value, &path, found);
            }
        }
        serde_json::Value::Number(number) => found.push((path.to_owned(), number.as_f64().unwrap())),
        _ => {}
    }
}

/// The values to try of one setting.
fn extremes(path: &str, usual: f64) -> Vec<String> {
    let mut values: Vec<String> = ["0", "1", "-1", "1e-300", "0.999999999999"].map(str::to_owned).to_vec();
    if WORK.iter().any(|work| path.ends_with(work)) {
        values.push(format!("{}", 2.0 * usual));
    } else {
        values.extend(["1000000000".into(), "1e300".into()]);
    }
    values
}

/// No setting at an extreme turns a run that must be refused into a clearance.
#[test]
fn no_extreme_setting_hollows_a_bar() {
    let place = tempfile::tempdir().unwrap();
    let rows = place.path().join("noise.csv");
    noise(&rows);
    let key = key();
    let base = ["adversary.steps = 1", "training.epochs = 2"];
    let tried = |name: &str, setting: &str| -> (Job, Result<Finished, Error>) {
        let path = setting.split(' ').next().unwrap_or_default();
        let kept = base.iter().filter(|line| path.is_empty() || !line.starts_with(path));
        let lines: Vec<&str> = std::iter::once(setting).chain(kept.copied()).collect();
        let job = Job {
            input: Input::Files { train: Box::new(Source::new(&rows)), test: None },
            policy: policy(),
            config: Some(lines.join("\n")),
            ..job(&place.path().join(name))
        };
        let ran = run(&job, &key);
        (job, ran)
    };
    let (job, finished) = tried("base", "");
    let finished = finished.unwrap();
    let unmet: Vec<About> = finished
        .policy
        .bars()
        .iter()
        .zip(&finished.verdicts)
        .filter(|(_, verdict)| !verdict.is_met())
        .map(|(bar, _)| bar.about)
        .collect();
    assert!(!finished.is_cleared() && unmet.contains(&About::Utility), "{unmet:?}");
    let recorded: serde_json::Value =
        serde_json::from_slice(&std::fs::read(job.out.join("job.json")).unwrap()).unwrap();
    let mut settings = Vec::new();
    numbers(&recorded["config"], "", &mut settings);
    assert!(settings.len() > 40, "{settings:?}");
    let trials: Vec<(String, String)> = settings
        .iter()
        .flat_map(|(path, usual)| extremes(path, *usual).into_iter().map(|value| (path.clone(), value)))
        .collect();
    let (next, judged) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some((path, value)) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let setting = format!("{path} = {value}");
                    let started = std::time::Instant::now();
                    let (job, ran) = tried(&setting, &setting);
                    eprintln!(
                        "{setting}: {:?} {:.1}",
                        ran.as_ref().map(Finished::is_cleared).map_err(|e| e.to_string()),
                        started.elapsed().as_secs_f64()
                    );
                    if let Ok(finished) = ran {
                        judged.fetch_add(1, Ordering::Relaxed);
                        assert!(!finished.is_cleared(), "{setting}");
                        assert!(!job.out.join(seal::files::CLEARANCE).exists(), "{setting}");
                    }
                }
            });
        }
    });
    // The others are refused before anything is measured.
    assert!(judged.into_inner() > 60);
}

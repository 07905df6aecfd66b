//! Private training on the UCI digits: 1,000 rows to train on, 797 to test on.

use std::io::Read;

use flate2::read::GzDecoder;
use underpin_core::{Delta, Epsilon, Examples, Inputs, Predict, Seed, Shape, Trainer};
use underpin_privacy::NoiseSource;

use crate::{DeviceKind, Mechanism, NoAdversary, Optimiser, Privacy, Regime, Settings, Sgd};

fn digits() -> (Examples, Examples) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../framework/data/digits/digits.csv.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let (row, label) = line.rsplit_once(',').unwrap();
        values.extend(row.split(',').map(|value| value.parse::<f32>().unwrap() / 16.0));
        labels.push(label.parse().unwrap());
    }
    let inputs = Inputs::new(Shape::new([1, 8, 8]).unwrap(), values).unwrap();
    let all = Examples::new(inputs, labels, 10).unwrap();
    let rows: Vec<usize> = (0..all.len()).collect();
    (all.select(&rows[..1000]), all.select(&rows[1000..]))
}

fn accuracy(settings: &Settings, privacy: &Privacy, seeds: u64) -> f64 {
    let (train, test) = digits();
    let of = |seed| {
        let sgd = Sgd::<NoAdversary> { settings: settings.clone(), privacy: Some(privacy.clone()), adversary: None };
        let model = sgd.train(&train, Seed(seed)).unwrap().value;
        let labels = model.predict(test.inputs()).unwrap().labels();
        labels.iter().zip(test.labels()).filter(|(found, label)| found == label).count() as f64 / test.len() as f64
    };
    (0..seeds).map(of).sum::<f64>() / seeds as f64
}

fn privacy(epsilon: f64) -> Privacy {
    let (target, delta) = (Epsilon::new(epsilon).unwrap(), Delta::new(1e-5).unwrap());
    Privacy::flat(target, delta, 1.0, NoiseSource::dangerous_from_seed([7; 32]))
}

/// DP-FTRL without sampling, in passes over small batches. Correlation over an epoch is worth ten points of accuracy and
/// more over independent noise; the mean of 3 seeds was 0.919 and 0.824. A binomial fraction of 3 times 797 rows deviates
/// by 0.006: the bars are five of that away.
#[test]
fn correlated_noise_learns_digits_without_sampling() {
    let settings = Settings {
        epochs: 20,
        batch_size: 50,
        optimiser: Optimiser::Sgd { learning_rate: 2.0, momentum: 0.0 },
        ..Settings::recommended(&Shape::new([1, 8, 8]).unwrap(), 1000, Regime::Private, DeviceKind::Flex)
    };
    let banded = |bands| Privacy { mechanism: Mechanism::Banded { bands }, ..privacy(8.0) };
    let (correlated, independent) = (accuracy(&settings, &banded(20), 3), accuracy(&settings, &banded(1), 3));
    assert!(correlated > 0.889 && independent < correlated - 0.05, "{correlated} {independent}");
}

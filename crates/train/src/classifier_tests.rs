use underpin_core::{Denied, Inputs, LossGradient, Predict, Seed, Shape};

use super::CHUNK;
use crate::{Architecture, Classifier, Convolution, DeviceKind, Pool};

fn architectures() -> [Architecture; 5] {
    let cnn = Architecture::Cnn { channels: [3, 4], hidden: 6 };
    let pool = Some(Pool { size: 2, stride: 1 });
    let first = Convolution { channels: 3, kernel: 4, stride: 2, padding: 2, groups: None, pool };
    let second = Convolution { channels: 4, kernel: 2, stride: 1, padding: 1, groups: Some(2), pool: None };
    let pooled = Architecture::Convolutional { convolutions: vec![first], hidden: vec![6] };
    let both = Architecture::Convolutional { convolutions: vec![first, second], hidden: vec![] };
    [Architecture::Linear, Architecture::Mlp { hidden: vec![7, 5] }, cnn, pooled, both]
}

fn shape() -> Shape {
    Shape::new([2, 6, 5]).unwrap()
}

/// A model whose last layer is not zero, so that classes and gradients differ.
fn model(architecture: &Architecture, device: DeviceKind) -> Classifier {
    let initial = Classifier::initial(architecture.clone(), &shape(), 4, device, Seed(1)).unwrap();
    let layers = architecture.layers(&shape(), 4).unwrap();
    let values: Vec<f32> = (0..initial.parameters()).map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 0.6).collect();
    let network = crate::network::Network::with_values(&layers, &values, &device.device());
    Classifier { network, ..initial }
}

fn inputs(examples: usize) -> Inputs {
    let values = (0..examples * 60).map(|i| (i * 29 % 97) as f32 / 97.0).collect();
    Inputs::new(shape(), values).unwrap()
}

#[test]
fn scores_are_probabilities_and_the_same_on_every_device() {
    for architecture in architectures() {
        let scores = DeviceKind::ALL.iter().map(|device| model(&architecture, *device).predict(&inputs(9)).unwrap());
        let scores: Vec<_> = scores.collect();
        for row in scores[0].rows() {
            assert!(
                (row.iter().sum::<f32>() - 1.0).abs() < 1e-5 && row.iter().all(|score| (0.0..=1.0).contains(score))
            );
        }
        for other in &scores[1..] {
            for (one, other) in scores[0].scores().iter().zip(other.scores()) {
                assert!((one - other).abs() < 1e-5, "{architecture:?}");
            }
        }
    }
}

/// Central differences of the example's own loss; so short that no other pixel becomes a window's largest.
#[test]
fn gradients_are_those_of_each_example_alone() {
    for architecture in architectures() {
        for device in DeviceKind::ALL {
            let (model, inputs, labels) = (model(&architecture, *device), inputs(3), [2, 0, 3]);
            let found = model.loss_gradient(&inputs, &labels).unwrap();
            let loss = |inputs: &Inputs, example: usize| {
                -f64::from(model.predict(inputs).unwrap().row(example)[labels[example]]).ln()
            };
            for (example, position) in [(0, 0), (1, 33), (2, 59), (2, 7)] {
                let moved = |by: f32| {
                    let mut inputs = inputs.clone();
                    inputs.values_mut()[example * 60 + position] += by;
                    loss(&inputs, example)
                };
                let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                let found = f64::from(found.row(example)[position]);
                assert!((slope - found).abs() < 1e-3 + 1e-2 * slope.abs(), "{architecture:?}: {found} is not {slope}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_denied() {
    let model = model(&Architecture::Linear, DeviceKind::Flex);
    let flat = Inputs::new(Shape::new([60]).unwrap(), vec![0.0; 60]).unwrap();
    assert!(matches!(model.predict(&flat), Err(Denied::Shape { .. })));
    assert!(matches!(model.loss_gradient(&flat, &[0]), Err(Denied::Shape { .. })));
    assert!(matches!(model.features(&flat), Err(Denied::Shape { .. })));
    let mut spoilt = inputs(2);
    spoilt.values_mut()[61] = f32::INFINITY;
    let expected = Denied::NotFinite { example: 1, position: 1, value: "inf".into() };
    assert_eq!(model.predict(&spoilt).unwrap_err(), expected);
    assert_eq!(model.loss_gradient(&spoilt, &[0, 0]).unwrap_err(), expected);
    assert!(model.loss_gradient(&inputs(2), &[0]).is_err());
    assert!(model.loss_gradient(&inputs(2), &[0, 4]).is_err());
}

#[test]
fn nothing_and_much_are_answered() {
    for architecture in architectures() {
        let model = model(&architecture, DeviceKind::Flex);
        assert!(model.predict(&inputs(0)).unwrap().is_empty());
        assert!(model.loss_gradient(&inputs(0), &[]).unwrap().is_empty());
        assert!(model.features(&inputs(0)).unwrap().is_empty());
    }
    let model = model(&Architecture::Linear, DeviceKind::Flex);
    let rows = CHUNK / 60 + 3;
    let (many, labels) = (inputs(rows), vec![1; rows]);
    let (scores, gradients) = (model.predict(&many).unwrap(), model.loss_gradient(&many, &labels).unwrap());
    let last = many.select(&[rows - 1]);
    assert_eq!((scores.len(), gradients.len()), (rows, rows));
    for (one, other) in scores.row(rows - 1).iter().zip(model.predict(&last).unwrap().row(0)) {
        assert!((one - other).abs() < 1e-6);
    }
    for (one, other) in gradients.row(rows - 1).iter().zip(model.loss_gradient(&last, &[1]).unwrap().row(0)) {
        assert!((one - other).abs() < 1e-6);
    }
}

#[test]
fn features_are_what_the_last_layer_sees() {
    for (architecture, width) in architectures().iter().zip([60, 5, 6, 6, 4 * 4 * 3]) {
        let model = model(architecture, DeviceKind::Flex);
        let features = model.features(&inputs(3)).unwrap();
        assert_eq!((features.shape().axes(), features.len()), ([width].as_slice(), 3));
        let values = model.network.values();
        let (weight, bias) = values[values.len() - 4 * (width + 1)..].split_at(4 * width);
        let logits = model.logits(&inputs(3)).unwrap();
        for (row, logits) in features.rows().zip(logits.chunks_exact(4)) {
            for (class, logit) in logits.iter().enumerate() {
                let sum: f32 = row.iter().enumerate().map(|(i, value)| value * weight[i * 4 + class]).sum();
                assert!((sum + bias[class] - logit).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn classifiers_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync>() {}
    shared::<Classifier>();
}

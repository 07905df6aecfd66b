//! What every layer on the tape is held to.

use burn::module::{Module, ModuleDisplay, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Gradients, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use super::parameters::trains;
use super::tests::{distance, doubles, drawn, norm};
use super::{NormMethod, Tape, host};
use crate::DeviceKind;

/// Number of examples in every case.
pub(super) const EXAMPLES: usize = 6;

/// Number of examples that are taken as one; a divisor.
const ROWS: usize = 3;

/// A forward pass: through burn's own layers on one example as it is, or through the tape on all, padded.
pub(super) enum Pass<'t> {
    Burn(usize),
    Tape(&'t mut Tape),
}

/// Gradients of the parameters that train, in the model's order.
struct Trained<'g>(&'g Gradients, Vec<f64>);

impl ModuleVisitor for Trained<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if trains(parameter) {
            let zero = Tensor::zeros(parameter.dims(), &parameter.device().inner());
            self.1.extend(doubles(parameter.grad(self.0).unwrap_or(zero)));
        }
    }
}

/// New values for all parameters, frozen ones too.
pub(super) struct Redraw(ChaCha12Rng);

impl Redraw {
    pub(super) fn of<M: Module>(model: M) -> M {
        model.map(&mut Self(ChaCha12Rng::seed_from_u64(7)))
    }
}

impl ModuleMapper for Redraw {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trains = trains(&parameter);
        parameter.map(|values| {
            let drawn = drawn(values.dims(), &mut self.0, &values.device().inner());
            if values.is_autodiff() { drawn.autodiff().set_require_grad(trains) } else { drawn }
        })
    }
}

fn total(gradients: &[Vec<f64>]) -> Vec<f64> {
    let width = gradients.first().map_or(0, Vec::len);
    (0..width).map(|at| gradients.iter().map(|gradient| gradient[at]).sum()).collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-4 * expected.abs()
}

fn devices() -> Vec<(&'static str, Device)> {
    let local = DeviceKind::ALL.iter().map(|kind| (kind.word(), kind.device()));
    #[cfg(feature = "remote")]
    let local = local.chain([("remote", served().clone())]);
    local.collect()
}

/// One server for all layers.
#[cfg(feature = "remote")]
fn served() -> &'static Device {
    static SERVER: std::sync::OnceLock<crate::served::Server> = std::sync::OnceLock::new();
    &SERVER.get_or_init(crate::served::Server::start).device
}

/// Holds a model to the contract, on every device and with every way of forming norms.
///
/// `run` gives the losses, `[example]`; of one example alone with [`Pass::Burn`].
pub(super) fn check<M: Module>(
    name: &str,
    model: impl Fn(&Device) -> M,
    run: impl Fn(&M, Pass<'_>, &Device) -> Tensor<1>,
) {
    for (kind, device) in devices() {
        let model = Redraw::of(model(&device.clone().autodiff()));
        let mut expected = Vec::new();
        let mut losses = Vec::new();
        for example in 0..EXAMPLES {
            let loss = run(&model, Pass::Burn(example), &device);
            losses.extend(doubles(loss.clone()));
            let gradients = loss.sum().backward();
            let mut own = Trained(&gradients, Vec::new());
            model.visit(&mut own);
            expected.push(own.1);
        }
        let sum = |clip: f64| {
            let mut sum = vec![0.0; expected[0].len()];
            for gradient in &expected {
                let factor = (clip / norm(gradient)).min(1.0);
                sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += factor * value);
            }
            sum
        };
        let mut norms: Vec<f64> = expected.iter().map(|gradient| norm(gradient)).collect();
        norms.sort_by(f64::total_cmp);
        assert!(norms[0] > 1e-3 && norms[0] < norms[EXAMPLES - 1], "{name}: the case is degenerate: {norms:?}");
        let silent = doubles(run(&model, Pass::Tape(&mut Tape::silent()), &device));
        for method in [None, Some(NormMethod::Ghost), Some(NormMethod::Instantiated)] {
            let place = format!("{name} on {kind}, norms {method:?}");
            let record = || {
                let tape = Tape::recording(&model).unwrap();
                let mut tape = method.into_iter().fold(tape, Tape::with_norms);
                let outcome = run(&model, Pass::Tape(&mut tape), &device);
                (doubles(outcome.clone()), tape.backward(outcome).unwrap())
            };
            let (found, mut recording) = record();
            for ((found, silent), expected) in found.iter().zip(&silent).zip(&losses) {
                assert!(close(*found, *expected) && close(*silent, *expected), "{place}: loss {found}, not {expected}");
            }
            for (found, gradient) in recording.norms().iter().zip(&expected) {
                assert!(close(*found, norm(gradient)), "{place}: norm {found}, not {}", norm(gradient));
            }
            for clip in [norms[0] / 10.0, norms[EXAMPLES / 2], norms[EXAMPLES - 1] * 2.0] {
                let (found, expected) = (recording.clipped_sum(clip, EXAMPLES), sum(clip));
                assert!(distance(found.values(), &expected) < 1e-4 * norm(&expected), "{place}: clipping norm {clip}");
            }
            let mut grouped = record().1.grouped(ROWS).unwrap();
            let groups: Vec<Vec<f64>> = expected.chunks(ROWS).map(total).collect();
            for (found, gradient) in grouped.norms().iter().zip(&groups) {
                assert!(close(*found, norm(gradient)), "{place}: norm of a group {found}, not {}", norm(gradient));
            }
            let clip = norm(&groups[0]).min(norm(&groups[1])) / 2.0;
            let scaled = |gradient: &Vec<f64>| gradient.iter().map(|value| value * clip / norm(gradient)).collect();
            let expected = total(&groups.iter().map(scaled).collect::<Vec<_>>());
            let found = grouped.clipped_sum(clip, EXAMPLES / ROWS);
            assert!(distance(found.values(), &expected) < 1e-4 * norm(&expected), "{place}: sum of groups");
            let plain = record().1.grouped(ROWS).unwrap().sum();
            assert!(
                distance(plain.values(), &sum(f64::INFINITY)) < 1e-4 * norm(plain.values()),
                "{place}: plain groups"
            );
            let plain = record().1.sum();
            assert!(distance(plain.values(), &sum(f64::INFINITY)) < 1e-4 * norm(plain.values()), "{place}: sum");
        }
    }
}

/// A layer behind a norm, whose gradients show whether the layer passes the gradient at its input on.
#[derive(Module, Debug)]
pub(super) struct Probed<L: Module> {
    pub(super) probe: LayerNorm,
    pub(super) layer: L,
}

impl<L: Module> Probed<L> {
    pub(super) fn new(layer: L, width: usize, device: &Device) -> Self {
        Self { probe: LayerNormConfig::new(width).init(device), layer }
    }
}

/// Squares and values of all but the first axis, summed with weights that no norm evens out.
pub(super) fn loss<const D: usize>(output: Tensor<D>) -> Tensor<1> {
    let flat: Tensor<2> = output.flatten(1, D - 1);
    let weights: Vec<f32> = (0..flat.dims()[1]).map(|at| [0.5, 1.0, -0.7, 0.2][at % 4]).collect();
    let weights = host::tensor(weights, [1, flat.dims()[1]], &flat.device().inner());
    ((flat.clone() * flat.clone() + flat.mul_scalar(0.3)) * weights).sum_dim(1).squeeze_dim(1)
}

/// Inputs `[example, ...]`, the same for every pass.
pub(super) fn inputs<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    drawn(shape, &mut ChaCha12Rng::seed_from_u64(11), device)
}

/// [`check`] of one layer on inputs of a fixed shape.
pub(super) fn layer<L: Module + ModuleDisplay, const D: usize, const OUT: usize>(
    name: &str,
    rest: [usize; D],
    init: impl Fn(&Device) -> L,
    burn: impl Fn(&L, Tensor<D>) -> Tensor<OUT>,
    tape: impl Fn(&mut Tape, &L, Tensor<D>) -> Tensor<OUT>,
) {
    let shape: [usize; D] = std::array::from_fn(|axis| if axis == 0 { EXAMPLES } else { rest[axis] });
    check(
        name,
        |device| Probed::new(init(device), shape[D - 1], device),
        |model, pass, device| match pass {
            Pass::Burn(example) => {
                let input = inputs(shape, device).narrow(0, example, 1).autodiff();
                loss(burn(&model.layer, model.probe.forward(input)))
            }
            Pass::Tape(on) => {
                let input = on.layer_norm(&model.probe, inputs(shape, device));
                loss(tape(on, &model.layer, input))
            }
        },
    );
}

//! One training step, in the ways that are compared.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData, activation};
use underpin_core::Seed;
use underpin_privacy::{SecretKey, SubsampledGaussian};
use underpin_train::{Averaging, Clipping, DeviceKind, Engine, Method, Part, Schedule, Shuffled, Steps, Tape};

const CLIPPING_NORM: f64 = 1.0;

/// Steps that an engine may take; no bench takes them all.
const MANY: u64 = 1 << 50;

/// A model under training, with inputs and one-hot labels for twice the batch.
pub(crate) struct Run<M, const D: usize> {
    model: Option<M>,
    optimiser: ModuleOptimizer,
    inputs: Tensor<D>,
    labels: Tensor<2>,
    batch: usize,
    plain: Engine,
    private: Engine,
}

impl<M: Module, const D: usize> Run<M, D> {
    /// Batches of `inputs[0]` of `rows` rows: a permutation's in plain steps, a Poisson sample of that size in private
    /// ones.
    pub(crate) fn new(model: impl FnOnce(&Device) -> M, mut inputs: [usize; D], classes: usize, rows: usize) -> Self {
        let device = DeviceKind::Flex.device();
        let batch = inputs[0];
        inputs[0] *= 2;
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32
        };
        let values: Vec<f32> = (0..inputs.iter().product()).map(|_| draw()).collect();
        let labels: Vec<f32> =
            (0..inputs[0] * classes).map(|at| f32::from(u8::from(at % classes == at / classes % classes))).collect();
        let rate = batch as f64 / rows as f64;
        let mechanism = SubsampledGaussian::new(rate, 1.1, CLIPPING_NORM).expect("in range");
        let private = mechanism.start(rows, MANY, SecretKey::new([1; 32])).expect("starts");
        Self {
            model: Some(model(&device.clone().autodiff())),
            optimiser: SgdConfig::new().init(),
            inputs: Tensor::from_data(TensorData::new(values, inputs), &device),
            labels: Tensor::from_data(TensorData::new(labels, [inputs[0], classes]), &device),
            batch,
            plain: engine(Steps::Shuffled(Shuffled::new(rows, batch, Seed(1)).expect("in range")), batch),
            private: engine(Steps::Poisson(private), batch),
        }
    }

    /// The first rows, as many as a batch has.
    fn first(&self, rows: usize) -> (Tensor<D>, Tensor<2>) {
        (self.inputs.clone().narrow(0, 0, rows), self.labels.clone().narrow(0, 0, rows))
    }

    fn update(&mut self, gradients: GradientsParams) {
        let model = self.model.take().expect("a run has a model");
        self.model = Some(self.optimiser.step(1e-3, model, gradients));
    }

    /// A step by burn's own layers and autodiff.
    pub(crate) fn burn(&mut self, forward: impl Fn(&M, Tensor<D>) -> Tensor<2>) {
        let (inputs, labels) = self.first(self.batch);
        let model = self.model.as_ref().expect("a run has a model");
        let gradients = losses(forward(model, inputs), labels).mean().backward();
        let gradients = GradientsParams::from_grads(gradients, model);
        self.update(gradients);
    }

    /// A plain step of the engine.
    pub(crate) fn plain(&mut self, forward: impl Fn(&M, Tensor<D>, &mut Tape) -> Tensor<2> + Sync) {
        let model = self.model.take().expect("a run has a model");
        let (inputs, labels) = (self.inputs.clone(), self.labels.clone());
        let (model, _) = self.plain.step(model, on_first(&inputs, &labels, forward)).expect("steps");
        self.model = Some(model);
    }

    /// Gradients clipped and applied, without sampling and noise.
    pub(crate) fn clipped(&mut self, forward: impl Fn(&M, Tensor<D>, &mut Tape) -> Tensor<2>) {
        let (inputs, labels) = self.first(self.batch);
        let model = self.model.as_ref().expect("a run has a model");
        let mut tape = Tape::recording(model).expect("records");
        let losses = losses(forward(model, inputs, &mut tape), labels);
        let sum = tape.backward(losses).expect("records").clipped_sum(CLIPPING_NORM, self.batch);
        let mean = sum.values().iter().map(|value| value / self.batch as f64).collect();
        let mean = sum.with_values(mean).expect("as many values");
        self.update(mean.into_params(&DeviceKind::Flex.device()));
    }

    /// A private step of the engine: batch drawn, gradients clipped, noise added, average applied.
    pub(crate) fn private(&mut self, forward: impl Fn(&M, Tensor<D>, &mut Tape) -> Tensor<2> + Sync) {
        let model = self.model.take().expect("a run has a model");
        let (inputs, labels) = (self.inputs.clone(), self.labels.clone());
        let (model, _) = self.private.step(model, on_first(&inputs, &labels, forward)).expect("steps");
        self.model = Some(model);
    }
}

fn engine(steps: Steps, batch: usize) -> Engine {
    let method = Method {
        clipping: Clipping::Flat { norm: CLIPPING_NORM },
        steps: MANY,
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        averaging: Averaging::Last(0.0),
        rows_per_unit: 1,
        physical_batch: 2 * batch,
    };
    Engine::new(steps, method, SgdConfig::new().init(), vec![DeviceKind::Flex.device()]).expect("in range")
}

/// The losses of as many rows as a part has, whichever were drawn.
fn on_first<M, const D: usize>(
    inputs: &Tensor<D>,
    labels: &Tensor<2>,
    forward: impl Fn(&M, Tensor<D>, &mut Tape) -> Tensor<2> + Sync,
) -> impl Fn(&M, Part<'_>, &mut Tape) -> Tensor<1> + Sync {
    move |model, part, tape| {
        let rows = part.units.len();
        let logits = forward(model, inputs.clone().narrow(0, 0, rows), tape);
        losses(logits, labels.clone().narrow(0, 0, rows))
    }
}

fn losses(logits: Tensor<2>, labels: Tensor<2>) -> Tensor<1> {
    let chosen = activation::log_softmax(logits, 1) * labels;
    -chosen.sum_dim(1).squeeze_dim::<1>(1)
}

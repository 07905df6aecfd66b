//! A layer as one autodiff operation: its own forward, its own input gradient, and the gradient at its output kept.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, BackendTypes, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::Tensor;

/// What a layer computes with its weights held constant.
pub(crate) trait Operation<const IN: usize, const OUT: usize>: Clone + Debug + Send + Sync + 'static {
    /// The output; on the plain device.
    fn forward(&self, input: Tensor<IN>) -> Tensor<OUT>;

    /// The gradient at the input, from that at the output; on the plain device.
    fn input_gradient(&self, gradient: Tensor<OUT>) -> Tensor<IN>;
}

/// Where the gradient at a layer's output is left during the backward pass.
#[derive(Clone, Debug)]
pub(crate) struct Slot<const D: usize>(Arc<Mutex<Option<Tensor<D>>>>);

impl<const D: usize> Slot<D> {
    pub(crate) fn empty() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn take(&self) -> Option<Tensor<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fill(&self, gradient: Tensor<D>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
    }
}

/// Runs `operation` on `input` as one node of the autodiff graph, or outside it when nothing asks for a gradient.
///
/// `anchor` is a tracked leaf: without it, the node of an untracked input would never run backward.
pub(crate) fn apply<O: Operation<IN, OUT>, const IN: usize, const OUT: usize>(
    operation: &O,
    input: Tensor<IN>,
    record: Option<(&Tensor<1>, &Slot<OUT>)>,
) -> Tensor<OUT> {
    let output = operation.forward(input.clone().inner());
    if record.is_none() && !input.is_tracked() {
        return output;
    }
    let input = input.autodiff();
    macro_rules! try_backend {
        ($backend:ty) => {
            if let Ok(input) = input.clone().try_into_primitive::<Autodiff<$backend>>() {
                let output = output.try_into_primitive::<$backend>().expect("invariant: a layer stays on its device");
                return Tensor::from_primitive::<Autodiff<$backend>>(node::<$backend, O, IN, OUT>(
                    operation, &input, output, record,
                ));
            }
        };
    }
    try_backend!(Flex);
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "a second implementation that every kernel is checked on")]
    {
        try_backend!(burn::backend::NdArray);
    }
    #[cfg(feature = "remote")]
    try_backend!(burn::backend::Remote);
    unreachable!("invariant: this crate's features name every backend that a tensor can live on")
}

type Primitive<B> = <B as BackendTypes>::FloatTensorPrimitive;

fn node<B: Backend, O: Operation<IN, OUT>, const IN: usize, const OUT: usize>(
    operation: &O,
    input: &Primitive<Autodiff<B>>,
    output: Primitive<B>,
    record: Option<(&Tensor<1>, &Slot<OUT>)>,
) -> Primitive<Autodiff<B>>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let state = (operation.clone(), record.map(|(_, slot)| slot.clone()));
    macro_rules! prepare {
        ($parents:expr) => {{
            let step = Step::<O, IN, OUT>(PhantomData);
            match Backward::<B, _>::prepare::<NoCheckpointing>(step, $parents).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(state, output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        }};
    }
    let Some((anchor, _)) = record else {
        return prepare!([input.node()]);
    };
    let anchor = anchor.clone().try_into_primitive::<Autodiff<B>>();
    prepare!([input.node(), anchor.expect("invariant: the tape is on the input's device").node()])
}

/// The backward step of [`apply`].
#[derive(Debug)]
struct Step<O, const IN: usize, const OUT: usize>(PhantomData<fn() -> O>);

impl<B, O, const IN: usize, const OUT: usize, const N: usize> Backward<B, N> for Step<O, IN, OUT>
where
    B: Backend,
    O: Operation<IN, OUT>,
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = (O, Option<Slot<OUT>>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (operation, slot) = ops.state;
        let gradient = Tensor::<OUT>::from_primitive::<B>(grads.consume::<B>(&ops.node));
        if let Some(slot) = slot {
            slot.fill(gradient.clone());
        }
        if let Some(Some(input)) = ops.parents.first() {
            let gradient = operation.input_gradient(gradient);
            let gradient = gradient.try_into_primitive::<B>().expect("invariant: a layer stays on its device");
            grads.register::<B>(input.id, gradient);
        }
    }
}

/// Hands its input on: what a layer is once its parameters have been applied outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity;

impl<const D: usize> Operation<D, D> for Identity {
    fn forward(&self, input: Tensor<D>) -> Tensor<D> {
        input
    }

    fn input_gradient(&self, gradient: Tensor<D>) -> Tensor<D> {
        gradient
    }
}

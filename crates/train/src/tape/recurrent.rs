//! Recurrent layers: burn's, their gates on the tape. A gate's gradient is the sum over time steps.

use burn::nn::gru::Gru;
use burn::nn::{GateController, Lstm, LstmState};
use burn::tensor::Tensor;

use super::Tape;

impl Tape {
    /// Runs a long short-term memory over sequences: all hidden states, and the last state.
    ///
    /// Shapes as [`Lstm::forward`]: `[example, step, input]` to `[example, step, hidden]`, or with the first two axes
    /// swapped if the layer is not `batch_first`. Examples may differ in length: give them padding, and let no hidden
    /// state after their end reach their loss.
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    pub fn lstm(&mut self, layer: &Lstm, input: Tensor<3>, state: Option<LstmState<2>>) -> (Tensor<3>, LstmState<2>) {
        let input = if layer.batch_first { input } else { input.swap_dims(0, 1) };
        let [examples, steps, _] = input.dims();
        let LstmState { mut cell, mut hidden } =
            state.unwrap_or_else(|| LstmState::initial([examples, layer.d_hidden], &input.device()));
        let mut driven = |gate: &GateController| self.linear(&gate.input_transform, input.clone());
        let (entry, output, candidate) =
            (driven(&layer.input_gate), driven(&layer.output_gate), driven(&layer.cell_gate));
        let forget = layer.forget_gate.as_ref().filter(|_| !layer.input_forget).map(|gate| (gate, driven(gate)));
        let mut states = vec![hidden.clone(); steps];
        for step in order(steps, if layer.reverse { Course::Backwards } else { Course::Forwards }) {
            let mut gate = |gate: &GateController, driven: &Tensor<3>| {
                at(driven, step) + self.linear(&gate.hidden_transform, hidden.clone())
            };
            let enter = layer.gate_activation.forward(gate(&layer.input_gate, &entry));
            let keep = match &forget {
                Some((controller, driven)) => layer.gate_activation.forward(gate(controller, driven)),
                None => enter.clone().neg().add_scalar(1.0),
            };
            let show = layer.gate_activation.forward(gate(&layer.output_gate, &output));
            let fresh = layer.cell_activation.forward(gate(&layer.cell_gate, &candidate));
            cell = keep * cell + enter * fresh;
            if let Some(clip) = layer.clip {
                cell = cell.clamp(-clip, clip);
            }
            hidden = show * layer.hidden_activation.forward(cell.clone());
            states[step] = hidden.clone();
        }
        let states = stacked(states, [examples, layer.d_hidden], &input);
        let states = if layer.batch_first { states } else { states.swap_dims(0, 1) };
        (states, LstmState::new(cell, hidden))
    }

    /// Runs a gated recurrent unit over sequences: all hidden states, `[example, step, hidden]`, from
    /// `[example, step, input]`. Examples may differ in length, as in [`Tape::lstm`].
    ///
    /// # Panics
    ///
    /// As the layer's own forward pass, on shapes that do not fit.
    #[allow(clippy::needless_pass_by_value, reason = "tensors are handles, passed by value as in burn")]
    pub fn gru(&mut self, layer: &Gru, input: Tensor<3>, state: Option<Tensor<2>>) -> Tensor<3> {
        let [examples, steps, _] = input.dims();
        let mut hidden = state.unwrap_or_else(|| Tensor::zeros([examples, layer.d_hidden], &input.device()));
        let mut driven = |gate: &GateController| self.linear(&gate.input_transform, input.clone());
        let (update, reset, fresh) = (driven(&layer.update_gate), driven(&layer.reset_gate), driven(&layer.new_gate));
        let mut states = Vec::with_capacity(steps);
        for step in order(steps, Course::Forwards) {
            let mut recalled =
                |gate: &GateController, hidden: &Tensor<2>| self.linear(&gate.hidden_transform, hidden.clone());
            let keep = layer.gate_activation.forward(at(&update, step) + recalled(&layer.update_gate, &hidden));
            let open = layer.gate_activation.forward(at(&reset, step) + recalled(&layer.reset_gate, &hidden));
            let recalled = if layer.reset_after {
                open * recalled(&layer.new_gate, &hidden)
            } else {
                recalled(&layer.new_gate, &(hidden.clone() * open))
            };
            let candidate = layer.hidden_activation.forward(at(&fresh, step) + recalled);
            hidden = candidate * keep.clone().neg().add_scalar(1.0) + keep * hidden;
            if let Some(clip) = layer.clip {
                hidden = hidden.clamp(-clip, clip);
            }
            states.push(hidden.clone());
        }
        stacked(states, [examples, layer.d_hidden], &input)
    }
}

/// Which end of a sequence comes first.
#[derive(Clone, Copy)]
enum Course {
    Forwards,
    Backwards,
}

fn order(steps: usize, course: Course) -> impl Iterator<Item = usize> {
    (0..steps).map(move |step| match course {
        Course::Forwards => step,
        Course::Backwards => steps - 1 - step,
    })
}

/// One step of a sequence, `[example, value]`.
fn at(sequence: &Tensor<3>, step: usize) -> Tensor<2> {
    sequence.clone().narrow(1, step, 1).squeeze_dim(1)
}

/// `[example, step, hidden]`; of no steps too.
fn stacked(states: Vec<Tensor<2>>, [examples, hidden]: [usize; 2], like: &Tensor<3>) -> Tensor<3> {
    if states.is_empty() { Tensor::zeros([examples, 0, hidden], &like.device()) } else { Tensor::stack(states, 1) }
}

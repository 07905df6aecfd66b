//! A model's parameters: which of them train, and which modules cannot be recorded.

use std::collections::HashMap;

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Gradients, Tensor};

use crate::Error;

/// A parameter that a layer has a gradient for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) id: ParamId,
    pub(crate) shape: Vec<usize>,
}

impl Parameter {
    pub(crate) fn of<const D: usize>(parameter: &Param<Tensor<D>>) -> Self {
        Self { id: parameter.id, shape: parameter.base().dims().to_vec() }
    }

    pub(crate) fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The parameters of a model, in the model's order.
#[derive(Default)]
pub(crate) struct Parameters {
    trained: Vec<Trained>,
    /// Position among the trained ones; none for a frozen parameter.
    positions: HashMap<ParamId, Option<usize>>,
}

/// A parameter that trains.
struct Trained {
    path: String,
    parameter: Parameter,
    /// Whether burn's autodiff has formed a gradient for it.
    reached: Box<dyn Fn(&Gradients) -> bool + Send>,
}

impl Parameters {
    /// Walks the model; returns its plain device too.
    ///
    /// A parameter is frozen when burn says so ([`Module::no_grad`], [`Module::freeze`], the base of a LoRA adapter),
    /// on a plain device too.
    ///
    /// # Errors
    ///
    /// [`Error::Module`] when it holds a batch norm that would mix examples, one parameter in two places, a
    /// reparameterisation other than LoRA, or nothing that trains.
    pub(crate) fn of<M: Module>(module: &M) -> Result<(Self, Device), Error> {
        let mut walk =
            Walk { names: Vec::new(), owners: Vec::new(), found: Self::default(), device: None, fault: None };
        module.visit(&mut walk);
        match (walk.fault, walk.device) {
            (Some(fault), _) => Err(fault),
            (None, Some(device)) => Ok((walk.found, device)),
            (None, None) => {
                let fault = "no parameter of the model trains, so there is nothing to record; a silent tape runs it";
                Err(Error::Module { path: std::any::type_name::<M>().to_owned(), fault })
            }
        }
    }

    /// Position of a parameter among those that train; none if it is frozen.
    ///
    /// # Errors
    ///
    /// What is wrong, when the model does not hold it.
    pub(crate) fn position(&self, id: ParamId) -> Result<Option<usize>, &'static str> {
        let fault = "has a parameter that the model given to the tape does not hold";
        self.positions.get(&id).copied().ok_or(fault)
    }

    /// The parameters that train.
    pub(crate) fn trained(&self) -> Vec<Parameter> {
        self.trained.iter().map(|trained| trained.parameter.clone()).collect()
    }

    pub(crate) fn size(&self, position: usize) -> usize {
        self.trained[position].parameter.size()
    }

    /// Refuses when not every parameter that trains is among `seen`.
    pub(crate) fn all_seen(&self, seen: &[usize]) -> Result<(), Error> {
        match self.paths(|position, _| !seen.contains(&position)) {
            None => Ok(()),
            Some(parameters) => Err(Error::Unrecorded { parameters }),
        }
    }

    /// Refuses when burn's autodiff has formed a gradient for a parameter: then a layer ran outside the tape.
    pub(crate) fn none_reached(&self, gradients: &Gradients) -> Result<(), Error> {
        match self.paths(|_, trained| (trained.reached)(gradients)) {
            None => Ok(()),
            Some(parameters) => Err(Error::OutsideTape { parameters }),
        }
    }

    fn paths(&self, wanted: impl Fn(usize, &Trained) -> bool) -> Option<String> {
        let found = self.trained.iter().enumerate().filter(|(position, trained)| wanted(*position, trained));
        let paths: Vec<&str> = found.map(|(_, trained)| trained.path.as_str()).collect();
        (!paths.is_empty()).then(|| paths.join(", "))
    }
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.trained.iter().map(|trained| &trained.path)).finish()
    }
}

/// Whether training changes a parameter, on any device.
pub(crate) fn trains<const D: usize>(parameter: &Param<Tensor<D>>) -> bool {
    // Off the autodiff device only `train` knows what burn has noted.
    if parameter.is_autodiff() { parameter.is_require_grad() } else { parameter.clone().train().is_require_grad() }
}

struct Walk {
    names: Vec<String>,
    owners: Vec<String>,
    found: Parameters,
    device: Option<Device>,
    fault: Option<Error>,
}

impl Walk {
    /// Keeps the first fault; `above` is the number of names between the faulty layer and the current place.
    fn refuse(&mut self, above: usize, fault: &'static str) {
        let path = self.names[..self.names.len().saturating_sub(above)].join(".");
        self.fault.get_or_insert(Error::Module { path, fault });
    }
}

impl ModuleVisitor for Walk {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == "Reparameterization" && name != "lora" {
            self.refuse(0, "has a reparameterisation that the tape does not know; it knows LoRA");
        }
        self.names.push(name.to_owned());
        self.owners.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.pop();
        self.owners.pop();
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if flag.is_enabled() && self.owners.last().is_some_and(|owner| owner == "Struct:BatchNorm") {
            let fault = "BatchNorm mixes the examples of a batch, so no example has a gradient of its own; use \
                         GroupNorm, or freeze it with its running statistics";
            self.refuse(1, fault);
        }
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let trains = trains(parameter);
        let position = trains.then_some(self.found.trained.len());
        if self.found.positions.insert(parameter.id, position).is_some() {
            let fault = "is a second copy of a parameter; burn's optimisers would update one of them alone: keep one \
                         field and use it twice";
            self.refuse(0, fault);
        }
        if trains {
            let tensor = parameter.base();
            self.device.get_or_insert_with(|| tensor.device().inner());
            let reached = Box::new(move |gradients: &Gradients| tensor.grad(gradients).is_some());
            let (path, parameter) = (self.names.join("."), Parameter::of(parameter));
            self.found.trained.push(Trained { path, parameter, reached });
        }
    }
}

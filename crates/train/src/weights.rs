//! All weights of any burn module as one vector, in the order in which the module is visited.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::tape::host;
use crate::{Error, ModelFault};

/// The weights of a model, and the identities that its optimiser knows them by.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Weights {
    pub(crate) values: Vec<f32>,
    pub(crate) ids: Vec<u64>,
}

impl Weights {
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        let mut weights = Self::default();
        model.visit(&mut weights);
        weights
    }

    /// The model with these weights; [`Error::Model`] when it has another number of them.
    pub(crate) fn put_into<M: Module>(&self, model: M) -> Result<M, Error> {
        let [found, own] = [&Self::of(&model), self].map(|of| (of.values.len(), of.ids.len()));
        if found != own {
            let ((found, found_parameters), (needed, needed_parameters)) = (found, own);
            let fault = ModelFault::Weights { found, found_parameters, needed, needed_parameters };
            return Err(Error::Model { fault });
        }
        Ok(model.map(&mut Replace { values: &self.values, ids: &self.ids }))
    }
}

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.values.extend(host::values(param.val()));
        self.ids.push(param.id.val());
    }
}

struct Replace<'a> {
    values: &'a [f32],
    ids: &'a [u64],
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (_, old, mapper) = param.consume();
        let (own, rest) = self.values.split_at(old.dims().iter().product());
        self.values = rest;
        let (id, ids) = self.ids.split_first().expect("invariant: one identity for each parameter");
        self.ids = ids;
        let mut tensor = host::tensor(own.to_vec(), old.dims(), &old.device().inner());
        if old.is_autodiff() {
            tensor = tensor.autodiff();
        }
        if old.is_require_grad() {
            tensor = tensor.require_grad();
        }
        Param::from_mapped_value(ParamId::from(*id), tensor, mapper)
    }
}

//! Tensors' values as slices, and matrix products on them.

use burn::backend::{BackendTypes, Flex};
use burn::tensor::{Device, Tensor, TensorData};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// A tensor's values in host memory, row-major; borrowed from the tensor where its backend allows.
#[derive(Debug)]
pub(crate) enum Values {
    Flex(<Flex as BackendTypes>::FloatTensorPrimitive),
    Data(TensorData),
}

impl Values {
    /// Takes the values of a tensor on the plain device.
    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        match tensor.clone().try_into_primitive::<Flex>() {
            Ok(primitive) => Self::Flex(primitive.to_contiguous()),
            Err(_) => Self::Data(tensor.into_data()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        match self {
            Self::Flex(tensor) => tensor.as_slice().expect("invariant: contiguous f32"),
            Self::Data(data) => data.as_slice().expect("invariant: f32"),
        }
    }
}

/// A tensor's values, row-major, copied.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    Values::of(tensor.inner()).as_slice().to_vec()
}

/// A tensor of the given shape on `device`.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// How a row-major matrix enters a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// The columns that take part.
    from: usize,
    to: usize,
    orientation: Orientation,
}

#[derive(Clone, Copy, Debug)]
enum Orientation {
    AsStored,
    Transposed,
}

impl<'a> Matrix<'a> {
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { values, rows, columns, from: 0, to: columns, orientation: Orientation::AsStored }
    }

    /// Only the stored columns `from..to`.
    pub(crate) fn columns(self, from: usize, to: usize) -> Self {
        Self { from, to, ..self }
    }

    pub(crate) fn transposed(self) -> Self {
        Self { orientation: Orientation::Transposed, ..self }
    }

    /// Rows of what enters the product.
    pub(crate) fn height(self) -> usize {
        self.view().nrows()
    }

    fn view(self) -> MatRef<'a, f32> {
        let stored = MatRef::from_row_major_slice(self.values, self.rows, self.columns);
        let stored = stored.subcols(self.from, self.to - self.from);
        match self.orientation {
            Orientation::AsStored => stored,
            Orientation::Transposed => stored.transpose(),
        }
    }
}

/// `target = a b`, row-major, on the calling thread alone.
pub(crate) fn product(target: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    multiply(target, Accum::Replace, a, b);
}

/// `target += a b`, row-major, on the calling thread alone.
pub(crate) fn add_product(target: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    multiply(target, Accum::Add, a, b);
}

fn multiply(target: &mut [f32], accumulate: Accum, a: Matrix<'_>, b: Matrix<'_>) {
    let (a, b) = (a.view(), b.view());
    let target = MatMut::from_row_major_slice_mut(target, a.nrows(), b.ncols());
    matmul(target, accumulate, a, b, 1.0, Par::Seq);
}

/// To single precision.
#[allow(clippy::cast_possible_truncation, reason = "what is computed in double is applied in the model's precision")]
pub(crate) fn rounded(value: f64) -> f32 {
    value as f32
}

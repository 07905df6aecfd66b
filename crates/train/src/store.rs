//! Models as safetensors files.

use std::collections::BTreeMap;

use burn::store::{ModuleSnapshot, SafetensorsStore};
use serde::{Deserialize, Serialize};
use underpin_core::Shape;

use crate::architecture::Layer;
use crate::network::Network;
use crate::{Architecture, Classifier, DeviceKind, Error, ModelFault};

/// The metadata key under which [`Card`] stands, as JSON.
const KEY: &str = "underpin";

/// The longest header that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// What the weights alone do not say.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    architecture: Architecture,
    shape: Shape,
    classes: usize,
}

#[derive(Debug, Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl Classifier {
    /// The model as a safetensors file; the header's metadata hold architecture, shape and classes, as JSON.
    ///
    /// The same model gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when the weights cannot be written.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, Error> {
        let Self { architecture, shape, classes, .. } = self.clone();
        let card = serde_json::to_string(&Card { architecture, shape, classes });
        let card = card.map_err(|source| fault(ModelFault::Metadata { key: KEY, source }))?;
        let mut store = SafetensorsStore::from_bytes(None).clear_metadata().metadata(KEY, card);
        let refused = |error: &dyn std::fmt::Display| fault(ModelFault::Write(error.to_string()));
        self.network.save_into(&mut store).map_err(|error| refused(&error))?;
        store.get_bytes().map_err(|error| refused(&error))
    }

    /// Reads what [`Classifier::to_safetensors`] wrote.
    ///
    /// For untrusted bytes: whatever they hold, memory stays within a small multiple of their length.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] naming the first thing that is wrong; the errors of [`Classifier::initial`] for an
    /// architecture that does not fit its shape and classes.
    pub fn from_safetensors(bytes: &[u8], device: DeviceKind) -> Result<Self, Error> {
        let (header, data) = split(bytes)?;
        let card = header.metadata.get(KEY).ok_or_else(|| fault(ModelFault::NoMetadata { key: KEY }))?;
        let card: Card =
            serde_json::from_str(card).map_err(|source| fault(ModelFault::Metadata { key: KEY, source }))?;
        let layers = card.architecture.layers(&card.shape, card.classes)?;
        let (mut convolutions, mut linears) = (0, 0);
        let mut values = Vec::new();
        let mut expected = 0;
        for layer in &layers {
            let (place, parts) = match layer {
                Layer::Convolution { .. } => {
                    convolutions += 1;
                    (format!("convolutions.{}", convolutions - 1), ["weight", "bias"])
                }
                Layer::Norm { .. } => (format!("norms.{}", convolutions - 1), ["gamma", "beta"]),
                Layer::Linear { .. } => {
                    linears += 1;
                    (format!("linears.{}", linears - 1), ["weight", "bias"])
                }
            };
            for (part, shape) in parts.into_iter().zip([layer.weight(), vec![layer.bias()]]) {
                let name = format!("{place}.{part}");
                let absent = || fault(ModelFault::NoTensor { name: name.clone() });
                let entry = header.tensors.get(&name).ok_or_else(absent)?;
                values.extend(entry.values(&name, &shape, data)?);
                expected += 1;
            }
        }
        if expected != header.tensors.len() || values.len() * 4 != data.len() {
            return Err(fault(ModelFault::Surplus));
        }
        let network = Network::with_values(&layers, &values, &device.device());
        let Card { architecture, shape, classes } = card;
        Ok(Self { network, architecture, shape, classes, device })
    }
}

const fn fault(fault: ModelFault) -> Error {
    Error::Model { fault }
}

/// Header and data of a safetensors file: the header's length in 8 bytes, little endian; JSON; values.
fn split(bytes: &[u8]) -> Result<(Header, &[u8]), Error> {
    let (length, rest) = bytes.split_first_chunk().ok_or_else(|| fault(ModelFault::TooShort))?;
    let length = u64::from_le_bytes(*length);
    let fits = usize::try_from(length).ok().filter(|length| *length <= rest.len().min(LONGEST));
    let length = fits.ok_or_else(|| fault(ModelFault::HeaderLength { length, at_most: LONGEST }))?;
    let (header, data) = rest.split_at(length);
    let header = serde_json::from_slice(header).map_err(|error| fault(ModelFault::Header(error)))?;
    Ok((header, data))
}

impl Entry {
    /// Its values, if they are of the expected shape, inside the data and finite.
    fn values(&self, name: &str, shape: &[usize], data: &[u8]) -> Result<Vec<f32>, Error> {
        if self.dtype != "F32" || self.shape != shape {
            let Self { dtype, shape: found, .. } = self;
            let (name, dtype, found) = (name.to_owned(), dtype.clone(), found.clone());
            return Err(fault(ModelFault::Tensor { name, dtype, found, needed: shape.to_vec() }));
        }
        let [from, to] = self.data_offsets;
        let size = shape.iter().product::<usize>() * 4;
        let bytes = data.get(from..to).filter(|bytes| bytes.len() == size);
        let bytes = bytes.ok_or_else(|| fault(ModelFault::Place { name: name.to_owned(), from, to }))?;
        let (values, _) = bytes.as_chunks();
        let values: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        match values.iter().position(|value| !value.is_finite()) {
            Some(position) => Err(fault(ModelFault::NotFinite { name: name.to_owned(), position })),
            None => Ok(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use underpin_core::{Inputs, Predict, Seed};

    use super::*;
    use crate::{Convolution, Pool};

    fn model(architecture: Architecture) -> Classifier {
        let shape = Shape::new([1, 8, 8]).unwrap();
        Classifier::initial(architecture, &shape, 3, DeviceKind::Flex, Seed(5)).unwrap()
    }

    fn cnn() -> Classifier {
        model(Architecture::Cnn { channels: [2, 3], hidden: 4 })
    }

    /// The second of three convolutions has a norm, the first and the last pool.
    fn convolutional() -> Classifier {
        let pool = Some(Pool { size: 2, stride: 1 });
        let first = Convolution { channels: 2, kernel: 4, stride: 2, padding: 2, groups: None, pool };
        let second = Convolution { channels: 4, kernel: 2, stride: 1, padding: 0, groups: Some(2), pool: None };
        let convolutions = vec![first, second, Convolution { padding: 1, groups: None, pool, ..second }];
        model(Architecture::Convolutional { convolutions, hidden: vec![4] })
    }

    #[test]
    fn a_model_survives_its_file() {
        let others = [Architecture::Linear, Architecture::Mlp { hidden: vec![5, 4] }].map(model);
        for written in others.into_iter().chain([cnn(), convolutional()]) {
            let bytes = written.to_safetensors().unwrap();
            assert_eq!(bytes, written.to_safetensors().unwrap());
            for device in DeviceKind::ALL {
                let read = Classifier::from_safetensors(&bytes, *device).unwrap();
                assert_eq!(read.network.values(), written.network.values());
                assert_eq!(read.architecture(), written.architecture());
                assert_eq!((read.shape(), read.classes()), (written.shape(), 3));
                assert_eq!(read.to_safetensors().unwrap(), bytes);
                let inputs = Inputs::new(written.shape.clone(), vec![0.3; 128]).unwrap();
                assert_eq!(read.predict(&inputs).unwrap().len(), 2);
            }
        }
    }

    #[test]
    fn the_first_fault_is_named() {
        let good = cnn().to_safetensors().unwrap();
        let refused = |bytes: &[u8]| Classifier::from_safetensors(bytes, DeviceKind::Flex).unwrap_err().to_string();
        let edited = |from: &str, to: &str| {
            assert_eq!(from.len(), to.len());
            let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            let mut bytes = good.clone();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            refused(&bytes)
        };
        assert!(refused(&[]).contains("shorter than 8 bytes"));
        assert!(refused(&[255; 64]).contains("header of 18446744073709551615 bytes"));
        assert!(refused(&good[..good.len() - 1]).contains("do not hold it"));
        assert!(refused(&[good.as_slice(), &[0]].concat()).contains("beyond those of the architecture"));
        assert!(edited("\"F32\"", "\"F64\"").contains("is F64"));
        assert!(edited("linears.0.bias", "linears.9.bias").contains("no tensor \"linears.0.bias\""));
        assert!(edited("underpin", "underpan").contains("no metadata"));
        let mut infinite = good.clone();
        let end = infinite.len();
        infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(refused(&infinite).contains("is not finite"));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_errors(at in 0_usize..600, value in any::<u8>(), cut in 0_usize..4000) {
            for model in [cnn(), convolutional()] {
                let mut bytes = model.to_safetensors().unwrap();
                let at = at % bytes.len();
                bytes[at] = value;
                bytes.truncate(cut);
                let _ = Classifier::from_safetensors(&bytes, DeviceKind::Flex);
            }
        }
    }
}

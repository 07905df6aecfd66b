//! A request's JSON as it travels. What the protocol does not know is skipped, not built; lists are bounded.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::contract::shortened;

/// The body of a request.
#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) parameters: Option<Parameters>,
    #[serde(borrow)]
    pub(super) inputs: Few<WireInput<'a>, 4096>,
    #[serde(borrow, default)]
    pub(super) outputs: Option<Few<WireOutput<'a>, 8>>,
}

/// One tensor of a request.
#[derive(Deserialize)]
pub(super) struct WireInput<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    pub(super) shape: Few<u64, 16>,
    #[serde(borrow)]
    pub(super) datatype: Cow<'a, str>,
    #[serde(default)]
    pub(super) parameters: Option<Parameters>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
}

/// One tensor that is asked for.
#[derive(Deserialize)]
pub(super) struct WireOutput<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(default)]
    pub(super) parameters: Option<Parameters>,
}

/// The parameters that mean something here; others are skipped.
#[derive(Default, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    pub(super) binary_data_size: Option<Scalar>,
    #[serde(default)]
    pub(super) binary_data_output: Option<Scalar>,
    #[serde(default)]
    pub(super) binary_data: Option<Scalar>,
    #[serde(default)]
    pub(super) classification: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) shared_memory_region: Option<IgnoredAny>,
}

/// A list of at most `MOST` elements; a longer one is refused before it is built.
pub(super) struct Few<T, const MOST: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
            type Value = Few<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MOST}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(element) = list.next_element()? {
                    if found.len() == MOST {
                        return Err(de::Error::invalid_length(MOST + 1, &self));
                    }
                    found.push(element);
                }
                Ok(Few(found))
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// The value of a parameter.
pub(super) enum Scalar {
    Flag(bool),
    Count(u64),
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(flag))
            }

            fn visit_u64<E>(self, count: u64) -> Result<Scalar, E> {
                Ok(Scalar::Count(count))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Other(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar::Other(format!("{number:?}")))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Other(format!("{:?}", shortened(text))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("a list".into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an object".into()))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

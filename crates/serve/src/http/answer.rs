//! Responses: what the server sends to a client.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use underpin_core::Outputs;

use super::inputs::{Expected, INPUT};
use super::request::{Encoding, HEADER_LENGTH, Output};
use super::service::ModelInfo;
use crate::{Allowed, InputColumn};

#[derive(Serialize)]
struct Wire<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<WireOutput<'a>>,
}

#[derive(Serialize)]
struct WireOutput<'a> {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Scores(&'a [f32]),
    Labels(&'a [i64]),
}

impl Data<'_> {
    /// Appends the bytes; how many they are.
    fn write(&self, bytes: &mut Vec<u8>) -> usize {
        let before = bytes.len();
        match self {
            Self::Scores(scores) => bytes.extend(scores.iter().flat_map(|score| score.to_le_bytes())),
            Self::Labels(labels) => bytes.extend(labels.iter().flat_map(|label| label.to_le_bytes())),
        }
        bytes.len() - before
    }
}

/// The answer to a query for `wanted`. The scores must be finite: JSON has no other numbers.
pub(super) fn inference(
    model: &ModelInfo,
    id: Option<&str>,
    wanted: &[(Output, Encoding)],
    outputs: &Outputs,
) -> Response {
    let labels: Vec<i64> = if wanted.iter().any(|(output, _)| *output == Output::Label) {
        outputs.labels().into_iter().map(|label| i64::try_from(label).unwrap_or(i64::MAX)).collect()
    } else {
        vec![]
    };
    let mut tail = vec![];
    let mut wired = vec![];
    for (output, encoding) in wanted {
        let (shape, data) = match output {
            Output::Scores => (vec![outputs.len(), outputs.classes()], Data::Scores(outputs.scores())),
            Output::Label => (vec![outputs.len()], Data::Labels(&labels)),
        };
        let (parameters, data) = match encoding {
            Encoding::Json => (None, Some(data)),
            Encoding::Binary => (Some(BinarySize { binary_data_size: data.write(&mut tail) }), None),
        };
        wired.push(WireOutput { name: output.name(), datatype: output.datatype(), shape, parameters, data });
    }
    let wire = Wire { model_name: &model.name, model_version: &model.version, id, outputs: wired };
    let mut body = serde_json::to_vec(&wire).expect("invariant: text and finite numbers");
    let (json_length, is_json) = (body.len(), tail.is_empty());
    body.append(&mut tail);
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    if is_json {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(HEADER_LENGTH, json_length.into());
    }
    response
}

/// What the server is.
pub(super) fn server_metadata() -> Value {
    json!({ "name": "underpin", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] })
}

/// What one column takes, in words and numbers.
fn described(column: &InputColumn) -> Value {
    let mut about = serde_json::Map::new();
    about.insert("name".into(), column.name.as_str().into());
    if let Some(unit) = &column.unit {
        about.insert("unit".into(), unit.as_str().into());
    }
    match &column.allowed {
        Allowed::Number { min, max, lowest, highest } => {
            for (name, value) in [("min", min), ("max", max), ("lowest", lowest), ("highest", highest)] {
                about.insert(name.into(), (*value).into());
            }
        }
        Allowed::Words(words) => {
            about.insert("values".into(), words.as_slice().into());
        }
    }
    about.into()
}

/// The tensor of whole rows. What all columns take alike is told once, else column by column.
fn whole_rows(expected: &Expected<'_>, batch: &[i64]) -> Value {
    let columns = expected.contract.map_or(&[][..], |contract| contract.columns());
    let words = columns.iter().any(|column| matches!(column.allowed, Allowed::Words(_)));
    let mut tensor = json!({ "name": INPUT, "datatype": if words { "BYTES" } else { "FP32" }, "shape": batch });
    let alike = columns.iter().all(|column| column.allowed == columns[0].allowed && column.unit == columns[0].unit);
    if let Some(first) = columns.first().filter(|_| alike && columns.len() > 1) {
        let mut all = described(first);
        all.as_object_mut().map(|all| all.remove("name"));
        tensor["parameters"] = all;
    } else if !columns.is_empty() {
        // A parameter is a number, a word or a flag: the list travels as text.
        let list: Value = columns.iter().map(described).collect();
        tensor["parameters"] = json!({ "columns": list.to_string() });
    }
    tensor
}

/// What the model takes and gives; parameters hold numbers, words and flags only, so the class names are one word: a
/// JSON list.
pub(super) fn model_metadata(model: &ModelInfo, expected: &Expected<'_>) -> Value {
    let batch = |axes: &[usize]| {
        std::iter::once(-1).chain(axes.iter().map(|axis| i64::try_from(*axis).unwrap_or(i64::MAX))).collect::<Vec<_>>()
    };
    let names = serde_json::to_string(&model.classes).expect("invariant: a list of words");
    json!({
        "name": model.name,
        "versions": [model.version],
        "platform": "underpin",
        "inputs": [whole_rows(expected, &batch(&expected.axes()))],
        "outputs": [
            {
                "name": Output::Scores.name(),
                "datatype": Output::Scores.datatype(),
                "shape": batch(&[model.classes.len()]),
                "parameters": { "class_names": names },
            },
            { "name": Output::Label.name(), "datatype": Output::Label.datatype(), "shape": batch(&[]) },
        ],
    })
}

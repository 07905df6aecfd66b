//! Responses: what the server sends to a client.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use underpin_core::Outputs;

use super::request::{Encoding, HEADER_LENGTH, INPUT, Output, Query};
use super::service::ModelInfo;

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
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Scores(scores) => scores.iter().flat_map(|score| score.to_le_bytes()).collect(),
            Self::Labels(labels) => labels.iter().flat_map(|label| label.to_le_bytes()).collect(),
        }
    }
}

/// The answer to `query`. The scores must be finite: JSON has no other numbers.
pub(super) fn inference(model: &ModelInfo, query: &Query, outputs: &Outputs) -> Response {
    let labels: Vec<i64> = outputs.labels().into_iter().map(|label| i64::try_from(label).unwrap_or(i64::MAX)).collect();
    let mut tail = vec![];
    let mut wired = vec![];
    for (output, encoding) in &query.outputs {
        let (shape, data) = match output {
            Output::Scores => (vec![outputs.len(), outputs.classes()], Data::Scores(outputs.scores())),
            Output::Label => (vec![outputs.len()], Data::Labels(&labels)),
        };
        let (parameters, data) = match encoding {
            Encoding::Json => (None, Some(data)),
            Encoding::Binary => {
                let bytes = data.bytes();
                tail.extend_from_slice(&bytes);
                (Some(BinarySize { binary_data_size: bytes.len() }), None)
            }
        };
        wired.push(WireOutput { name: output.name(), datatype: output.datatype(), shape, parameters, data });
    }
    let wire = Wire { model_name: &model.name, model_version: &model.version, id: query.id.as_deref(), outputs: wired };
    let mut body = serde_json::to_vec(&wire).expect("invariant: text and finite numbers");
    let json_length = body.len();
    body.extend(&tail);
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    if tail.is_empty() {
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

/// What the model takes and gives; parameters hold numbers, words and flags only, so the class names are one word: a
/// JSON list.
pub(super) fn model_metadata(model: &ModelInfo) -> Value {
    let batch = |axes: &[usize]| {
        std::iter::once(-1).chain(axes.iter().map(|axis| i64::try_from(*axis).unwrap_or(i64::MAX))).collect::<Vec<_>>()
    };
    let names = serde_json::to_string(&model.classes).expect("invariant: a list of words");
    json!({
        "name": model.name,
        "versions": [model.version],
        "platform": "underpin",
        "inputs": [{ "name": INPUT, "datatype": "FP32", "shape": batch(model.shape.axes()) }],
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

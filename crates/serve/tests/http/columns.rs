//! Values as they stand in a file: encoded by the contract, or refused by column, value and range.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};
use underpin_serve::{Allowed, HttpLimits, InputColumn, InputContract, InputValue, OutOfContract, Quota};

use crate::common::{INFER, Reply, Server};
use crate::protocol::is;

/// A height in cm, 100 to 200, scaled to 0 to 1; and a region, of which the model sees whether it is the north.
struct Table([InputColumn; 2]);

impl Table {
    fn new() -> Self {
        let height = Allowed::Number { min: 100.0, max: 200.0, lowest: 50.0, highest: 250.0 };
        let region = Allowed::Words(vec!["north".into(), "south".into()]);
        Self([
            InputColumn { name: "height".into(), unit: Some("cm".into()), allowed: height },
            InputColumn { name: "region".into(), unit: None, allowed: region },
        ])
    }
}

impl InputContract for Table {
    fn columns(&self) -> &[InputColumn] {
        &self.0
    }

    #[allow(clippy::cast_possible_truncation, reason = "scaled to 0 to 1")]
    fn encode(&self, column: usize, value: InputValue<'_>, row: &mut [f32]) -> Result<(), OutOfContract> {
        row[column] = match (column, value) {
            (0, InputValue::Number(height)) if (50.0..=250.0).contains(&height) => {
                ((height - 100.0) / 100.0).clamp(0.0, 1.0) as f32
            }
            (0, InputValue::Text("150")) => 0.5,
            // 4 does nothing in the model of these tests.
            (1, InputValue::Text("north")) => 4.0,
            (1, InputValue::Text("south")) => 0.0,
            _ => {
                let column = self.0[column].name.clone();
                return Err(OutOfContract { column, value: value.to_string(), allowed: "the contract's".into() });
            }
        };
        Ok(())
    }

    fn ignores(&self, name: &str) -> bool {
        name == "id"
    }
}

fn server() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let quota = Quota { queries: 1000, per_second: None };
    let server = Server::start_with(folder.path(), quota, HttpLimits::default(), Some(Arc::new(Table::new())), None);
    (folder, server)
}

fn ask(server: &Server, inputs: &Value) -> Reply {
    server.send("POST", INFER, &server.auth(), json!({ "inputs": inputs }).to_string().as_bytes())
}

fn columns(heights: &[f64], regions: &[&str]) -> Value {
    json!([
        {"name": "region", "datatype": "BYTES", "shape": [regions.len()], "data": regions},
        {"name": "id", "datatype": "BYTES", "shape": [1], "data": ["of no use"]},
        {"name": "height", "datatype": "FP64", "shape": [heights.len(), 1], "data": heights},
    ])
}

#[test]
fn values_are_taken_as_they_stand_in_the_file() {
    let (_folder, server) = server();
    let by_column = ask(&server, &columns(&[125.0, 40.0 + 20.0], &["north", "south"]));
    assert_eq!(by_column.status, 200, "{by_column:?}");
    assert_eq!(by_column.json()["outputs"][0]["data"], json!([0.25, 0.75, 0.0, 1.0]), "clamped as in training");
    let rows = json!([{"name": "input", "datatype": "BYTES", "shape": [1, 2], "data": ["150", "south"]}]);
    assert_eq!(ask(&server, &rows).json()["outputs"][0]["data"], json!([0.5, 0.5]));
    // The same as bytes, each column after the other.
    let head = json!({"inputs": [
        {"name": "height", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}},
        {"name": "region", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 9}},
    ]})
    .to_string();
    let body = [head.as_bytes(), &175_f32.to_le_bytes(), &5_u32.to_le_bytes(), b"south"].concat();
    let headers = format!("{}Inference-Header-Content-Length: {}\r\n", server.auth(), head.len());
    let reply = server.send("POST", INFER, &headers, &body);
    assert_eq!(reply.json()["outputs"][0]["data"], json!([0.75, 0.25]));
}

#[test]
fn no_value_out_of_contract_is_answered() {
    let (_folder, server) = server();
    for (inputs, word) in [
        (columns(&[150.0, 1e30], &["north", "south"]), "row 1: column \"height\" is 1e30, allowed: the contract's"),
        (columns(&[150.0, -1.0], &["north", "south"]), "row 1: column \"height\" is -1.0"),
        (columns(&[150.0], &["west"]), "row 0: column \"region\" is \"west\""),
        (
            json!([{"name": "input", "datatype": "BYTES", "shape": [1, 2], "data": ["150", "west"]}]),
            "row 0: column \"region\" is \"west\"",
        ),
        (
            json!([{"name": "input", "datatype": "FP32", "shape": [1, 2], "data": [150, 1]}]),
            "row 0: column \"region\" is 1.0",
        ),
    ] {
        let reply = ask(&server, &inputs);
        is(&reply, 400, "out_of_contract");
        assert!(reply.json()["error"].as_str().unwrap().contains(word), "{reply:?}");
    }
    let good = columns(&[150.0], &["north"]);
    let without = |at: usize| {
        let mut left = good.clone();
        left.as_array_mut().unwrap().remove(at);
        left
    };
    let with = |at: usize, member: &str, value: Value| {
        let mut changed = good.clone();
        changed[at][member] = value;
        changed
    };
    for (inputs, word) in [
        (without(0), "no input \"region\""),
        (without(2), "no input \"height\""),
        (with(1, "name", json!("region")), "twice"),
        (with(1, "name", json!("weight")), "no such column"),
        (with(0, "shape", json!([2])), "shape"),
        (with(2, "shape", json!([1, 2])), "shape"),
        (with(2, "data", json!([150, 160])), "more than the 1"),
        (with(2, "shape", json!([2])), "allowed: [1]"),
    ] {
        let reply = ask(&server, &inputs);
        is(&reply, 400, "malformed");
        assert!(reply.json()["error"].as_str().unwrap().contains(word), "{word}: {reply:?}");
    }
    assert_eq!((server.model.asked.load(SeqCst), server.ledger.used("alice").unwrap()), (0, 0));
}

#[test]
fn the_metadata_publish_the_contract() {
    let (_folder, server) = server();
    let inputs = &server.get("/v2/models/m%201").json()["inputs"];
    assert_eq!((&inputs[0]["datatype"], &inputs[0]["shape"]), (&json!("BYTES"), &json!([-1, 2])));
    let columns = inputs[0]["parameters"]["columns"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(columns).unwrap(),
        json!([
            {"name": "height", "unit": "cm", "min": 100.0, "max": 200.0, "lowest": 50.0, "highest": 250.0},
            {"name": "region", "values": ["north", "south"]},
        ])
    );
}

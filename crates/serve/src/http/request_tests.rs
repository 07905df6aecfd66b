use proptest::prelude::*;

use serde_json::Value;
use underpin_core::Shape;

use super::super::metrics::RequestOutcome;
use super::*;

fn shape() -> Shape {
    Shape::new([1, 2]).unwrap()
}

/// The request as a model without a contract reads it.
fn read(body: &[u8], header_length: Option<&str>) -> Result<Query, Refusal> {
    parse(body, header_length, &Expected { shape: &shape(), contract: None, most_rows: 100 })
}

fn ask(json: &str) -> Result<Query, Refusal> {
    read(json.as_bytes(), None)
}

#[test]
fn a_request_is_read_whole() {
    let query = ask(r#"{"id": "42", "parameters": {"unknown": 1}, "inputs": [{"name": "input", "datatype": "FP32",
        "shape": [2, 1, 2], "parameters": {}, "data": [[[0, 0.5]], [[1, 0.25]]]}], "outputs": [{"name": "label"}]}"#)
    .unwrap();
    assert_eq!(query.id.as_deref(), Some("42"));
    assert_eq!((query.inputs.len(), query.inputs.values()), (2, [0.0, 0.5, 1.0, 0.25].as_slice()));
    assert_eq!(query.outputs, [(Output::Label, Encoding::Json)]);
}

#[test]
fn what_is_wrong_is_named() {
    let input = |rest: &str| format!(r#"{{"inputs": [{{"name": "input", {rest}}}]}}"#);
    let good = r#""datatype": "FP32", "shape": [1, 1, 2], "data": [1, 2]"#;
    assert!(ask(&input(good)).is_ok());
    for (json, word) in [
        (String::new(), "EOF"),
        ("[]".into(), "no inference request"),
        ("{}".into(), "missing field `inputs`"),
        (r#"{"inputs": []}"#.into(), "0 inputs; allowed: one"),
        (input(good).replace("\"input\"", "\"x\""), "name \"x\"; allowed: \"input\""),
        (input(good).replace("FP32", "TEXT"), "datatype \"TEXT\"; allowed: FP32"),
        (input(good).replace("[1, 1, 2]", "[0, 1, 2]"), "shape [0, 1, 2]; allowed: [n, then [1, 2]]"),
        (input(good).replace("[1, 1, 2]", "[1, 2]"), "shape [1, 2]"),
        (input(good).replace("[1, 1, 2]", "[]"), "shape []"),
        (input(good).replace("[1, 1, 2]", "[-1, 1, 2]"), "invalid value: integer `-1`"),
        (input(good).replace("[1, 1, 2]", "[9223372036854775808, 1, 2]"), "shape [9223372036854775808"),
        (input(good).replace("[1, 1, 2]", "[2, 1, 2]"), "2 elements; the shape [2, 1, 2] has 4"),
        (input(&good.replace(r#", "data": [1, 2]"#, "")), "neither data nor binary_data_size"),
        (input(good).replace("}]}", r#"}], "outputs": [{"name": "logits"}]}"#), "output \"logits\"; allowed"),
        (input(good).replace("}]}", r#"}], "outputs": [{"name": "label"}, {"name": "label"}]}"#), "once"),
        (input(good).replace("}]}", r#"}], "parameters": {"binary_data_output": 1}}"#), "allowed: true, false"),
        (
            input(good).replace("}]}", r#"}], "outputs": [{"name": "label", "parameters": {"classification": 2}}]}"#),
            "no extension \"classification\"",
        ),
    ] {
        let refusal = ask(&json).unwrap_err();
        assert_eq!(refusal.outcome, RequestOutcome::Malformed, "{json}");
        assert!(format!("{refusal:?}").replace('\\', "").contains(word), "{json}: {refusal:?}");
    }
}

#[test]
fn binary_tensors_follow_the_json() {
    let json = r#"{"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, 2],
        "parameters": {"binary_data_size": 8}}], "parameters": {"binary_data_output": true},
        "outputs": [{"name": "scores"}, {"name": "label", "parameters": {"binary_data": false}}]}"#;
    let body = [json.as_bytes(), &0.5_f32.to_le_bytes(), &1_f32.to_le_bytes()].concat();
    let length = json.len().to_string();
    let query = read(&body, Some(&length)).unwrap();
    assert_eq!(query.inputs.values(), [0.5, 1.0]);
    assert_eq!(query.outputs, [(Output::Scores, Encoding::Binary), (Output::Label, Encoding::Json)]);
    for (body, header) in [
        (body.as_slice(), None),
        (&body[..body.len() - 1], Some(length.as_str())),
        (&[body.as_slice(), &[0]].concat(), Some(&length)),
        (&body, Some("-1")),
        (&body, Some("99999")),
        (&body, Some("1")),
    ] {
        assert_eq!(read(body, header).unwrap_err().outcome, RequestOutcome::Malformed, "{header:?}");
    }
}

#[test]
fn what_the_protocol_leaves_open_may_be_null() {
    let query =
        ask(r#"{"id": null, "parameters": null, "outputs": null, "inputs": [{"name": "input", "parameters": null,
        "datatype": "FP32", "shape": [1, 1, 2], "data": [1, 2]}]}"#)
        .unwrap();
    assert_eq!((query.id, query.outputs.len()), (None, 2));
    let one = r#"{"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, 2], "data": [1, 2]}],
        "outputs": [{"name": "label", "parameters": null}]}"#;
    assert_eq!(ask(one).unwrap().outputs, [(Output::Label, Encoding::Json)]);
    for word in ["\"input\"", "\"FP32\"", "[1, 1, 2]", "[1, 2]"] {
        assert!(ask(&one.replace(word, "null")).is_err(), "{word} may not be null");
    }
}

#[test]
fn lists_and_rows_are_bounded() {
    let input = r#"{"name": "input", "datatype": "FP32", "shape": [1, 1, 2], "data": [1, 2]}"#;
    let refused = |json: &str, word: &str| {
        let refusal = ask(json).unwrap_err();
        assert!(format!("{refusal:?}").contains(word), "{refusal:?}");
        refusal.outcome
    };
    let inputs = format!(r#"{{"inputs": [{}]}}"#, vec![input; 4097].join(","));
    assert_eq!(refused(&inputs, "at most 4096"), RequestOutcome::Malformed);
    let axes = format!(r#"{{"inputs": [{}]}}"#, input.replace("[1, 1, 2]", &format!("{:?}", [1; 17])));
    assert_eq!(refused(&axes, "at most 16"), RequestOutcome::Malformed);
    let outputs = format!(r#"{{"inputs": [{input}], "outputs": [{}]}}"#, [r#"{"name": "label"}"#; 9].join(","));
    assert_eq!(refused(&outputs, "at most 8"), RequestOutcome::Malformed);
    let rows = input.replace("[1, 1, 2]", "[101, 1, 2]").replace("[1, 2]", &format!("{:?}", [0; 202]));
    let rows = format!(r#"{{"inputs": [{rows}]}}"#);
    assert_eq!(refused(&rows, "101 rows; allowed: 100"), RequestOutcome::TooLarge);
}

#[test]
fn a_refusal_is_short_whatever_was_sent() {
    let long = "x".repeat(100_000);
    let input = r#"{"name": "input", "datatype": "FP32", "shape": [1, 1, 2], "data": [1, 2]}"#;
    for json in [
        format!(r#"{{"inputs": "{long}"}}"#),
        format!(r#"{{"inputs": [{}]}}"#, input.replace("\"input\"", &format!("\"{long}\""))),
        format!(r#"{{"inputs": [{}]}}"#, input.replace("FP32", &long)),
        format!(r#"{{"inputs": [{}]}}"#, input.replace("[1, 2]", &format!("[1, \"{long}\"]"))),
        format!(r#"{{"inputs": [{input}], "parameters": {{"binary_data_output": "{long}"}}}}"#),
        format!(r#"{{"inputs": [{input}], "outputs": [{{"name": "{long}"}}]}}"#),
    ] {
        let said = format!("{:?}", ask(&json).unwrap_err());
        assert!(said.len() < 500, "{} bytes: {}", said.len(), &said[..200]);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "input|scores|FP32|INT8|.{0,4}".prop_map(Value::from),
    ];
    let key = "id|inputs|outputs|name|shape|datatype|data|parameters|binary_data_size|x";
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

/// A request in which one thing, or none, is replaced by something else.
fn nearly_good() -> impl Strategy<Value = Value> {
    let good = serde_json::json!({"id": "1", "inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1, 2],
        "data": [0.5, 0.5], "parameters": {}}], "outputs": [{"name": "scores"}]});
    let places = [
        "/id",
        "/inputs",
        "/inputs/0/name",
        "/inputs/0/datatype",
        "/inputs/0/shape",
        "/inputs/0/data",
        "/inputs/0/parameters",
        "/inputs/0/shape/0",
        "/outputs",
        "/outputs/0/name",
    ];
    (prop::sample::select(places.to_vec()), any_json()).prop_map(move |(place, value)| {
        let mut request = good.clone();
        *request.pointer_mut(place).unwrap() = value;
        request
    })
}

proptest! {
    /// Whatever comes is refused, or is a request for at least one row of the model's shape.
    #[test]
    fn no_body_is_a_panic(
        bytes in prop_oneof![
            nearly_good().prop_map(|json| json.to_string().into_bytes()),
            any_json().prop_map(|json| json.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..200),
        ],
        header in prop::option::of("[0-9]{1,3}|.{0,5}"),
    ) {
        if let Ok(query) = read(&bytes, header.as_deref()) {
            prop_assert!(!query.inputs.is_empty() && query.inputs.shape() == &shape());
            prop_assert!(query.inputs.values().iter().all(|value| value.is_finite()));
            prop_assert!(!query.outputs.is_empty());
        }
    }
}

//! A small corpus to start from, made by code.

use std::io::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use underpin_core::{Shape, Sketch};
use underpin_data::{Column, Contract, NamedBytes, Kind, Limits, Source, admit, from_bytes};

/// The seeds of each light target.
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let shape = Shape::new([3]).expect("a shape");
    let number = Column { name: "a".into(), kind: Kind::Number { min: 0.0, max: 9.0, slack: 1.0 } };
    let colour = Column { name: "b".into(), kind: Kind::Category { values: vec!["red".into(), "blue".into()] } };
    let contract = Contract::new(vec![number, colour], "label".into(), vec!["x".into(), "y".into()], shape)
        .expect("it contradicts nothing");
    let baseline = include_bytes!("../../crates/framework/policies/baseline.toml");
    let book = format!(r#"{{"clients":[{{"name":"alice","key_blake3":"{}","state":"active"}}]}}"#, "0f".repeat(32));
    vec![
        ("table", tables()),
        ("idx", vec![idx()]),
        ("parquet", vec![parquet()]),
        ("ledger", vec![ledger(&contract)]),
        ("contract", vec![json(&contract)]),
        ("policy", vec![baseline.to_vec()]),
        ("sketch", vec![json(&Sketch::new(2, 3))]),
        ("request", requests()),
        ("clients", vec![book.into_bytes()]),
    ]
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it has a JSON form")
}

fn tables() -> Vec<Vec<u8>> {
    let rows = |delimiter: &str| {
        let row = |at: usize| {
            let cells = [(at * 37 % 101).to_string(), (at * 53 % 97).to_string(), ["a", "b"][at % 2].into()];
            cells.join(delimiter) + "\n"
        };
        (0..60).map(row).collect::<String>()
    };
    let with_header = format!("x,y,label\n{}", rows(","));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(with_header.as_bytes()).expect("memory takes it");
    let quoted = "\"x\", \"y, z\" ,label\n1,\"2\"\"\",a\n3,4\n\"5,6,b\n".repeat(4);
    let gzip = encoder.finish().expect("memory takes it");
    vec![with_header.into_bytes(), rows(";").into_bytes(), rows("\t").into_bytes(), quoted.into_bytes(), gzip]
}

fn idx() -> Vec<u8> {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2][..], &(0..160).collect::<Vec<u8>>()].concat();
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 40][..], &[0, 1].repeat(20)].concat();
    let fraction = (256 * images.len()).div_ceil(images.len() + labels.len());
    [&[u8::try_from(fraction).expect("below 256")], &images[..], &labels].concat()
}

fn parquet() -> Vec<u8> {
    let columns: [(&str, ArrayRef); 6] = [
        ("x", Arc::new((0..40).map(|x| (x != 3).then(|| f64::from(x))).collect::<Float64Array>())),
        ("f", Arc::new((0..40).map(|x| Some(x as f32 / 3.0)).collect::<Float32Array>())),
        ("flag", Arc::new((0..40).map(|x| Some(x % 3 == 0)).collect::<BooleanArray>())),
        ("raw", Arc::new(BinaryArray::from_iter_values((0..40).map(|x| [b'a' + x % 3])))),
        ("word", Arc::new(StringArray::from_iter_values((0..40).map(|x| ["a", "b"][x % 2])))),
        ("label", Arc::new(Int64Array::from_iter_values((0..40).map(|x| x % 2)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("memory takes it");
    writer.write(&batch).expect("memory takes it");
    writer.close().expect("memory takes it");
    bytes
}

fn ledger(contract: &Contract) -> Vec<u8> {
    let file = NamedBytes { name: "rows.csv", bytes: b"a,b,label\n1,red,x\n2,green,y\n3,blue\n4,blue,y\n" };
    let raw_table = from_bytes(file, None, &Source::new("rows.csv"), &Limits::default()).expect("a table");
    let mut bytes = Vec::new();
    admit(raw_table, contract).expect("its columns").value.ledger().write(&mut bytes).expect("memory takes it");
    bytes
}

fn requests() -> Vec<Vec<u8>> {
    let body = |input: &str| format!(r#"{{"id":"1","inputs":[{{"name":"input","shape":[1,2,2],{input}}}],"outputs":[{{"name":"label"}}]}}"#);
    let flat = body(r#""datatype":"FP32","data":[0.5,0,1,1e-3]"#).into_bytes();
    let nested = body(r#""datatype":"INT8","data":[[[1,0],[0,1]]]"#).into_bytes();
    let mut binary = body(r#""datatype":"FP32","parameters":{"binary_data_size":16}"#).into_bytes();
    let fraction = (1..=255).find(|fraction| (binary.len() + 16) * fraction / 256 == binary.len());
    binary.extend([0; 16]);
    let fraction = fraction.and_then(|fraction| u8::try_from(fraction).ok());
    let plain = |body: Vec<u8>| [&[0, 0], &body[..]].concat();
    let binary = fraction.map(|fraction| [&[1, fraction], &binary[..]].concat());
    [plain(flat), plain(nested)].into_iter().chain(binary).collect()
}

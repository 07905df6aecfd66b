//! Each bad input has one clear error or one clear entry in the ledger, and the run goes on where it can.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use underpin_core::Shape;
use underpin_data::{
    Column, Contract, Error, Floor, Format, Kind, Limits, NamedBytes, Reason, Sanitizers, Source, admit, from_bytes,
    open,
};

use crate::{read, table};

fn contract() -> Contract {
    let number = |name: &str| Column { name: name.into(), kind: Kind::Number { min: 0.0, max: 10.0, slack: 0.5 } };
    let colour = Kind::Category { values: vec!["red".into(), "blue".into()] };
    let columns = vec![number("x"), Column { name: "colour".into(), kind: colour }, number("y")];
    Contract::new(columns, "label".into(), vec!["no".into(), "yes".into()], Shape::new([4]).unwrap()).unwrap()
}

/// Good rows around one that is not.
fn around(bad: &[u8]) -> Vec<u8> {
    [b"x,colour,y,label\n1,red,2,no\n", bad, b"\n3,blue,4,yes\n"].concat()
}

fn decision_of(bad: &[u8]) -> (Reason, String) {
    let collection = admit(read("rows.csv", &around(bad)).unwrap(), &contract()).unwrap().value;
    assert_eq!(collection.rows().ids(), [2, 4], "the good rows stay");
    let drop = collection.ledger().decision(3).unwrap().dropped.clone().unwrap();
    (drop.reason, drop.detail)
}

#[test]
fn a_bad_row_is_set_aside_with_column_value_and_what_is_allowed() {
    for (row, reason, detail) in [
        (&b"5,red,6"[..], Reason::Malformed, "3 cells, allowed: 4"),
        (b"5,red,6,no,7", Reason::Malformed, "5 cells, allowed: 4"),
        (b"5,red,\xff6,no", Reason::Malformed, "column \"y\" is b\"\\xff6\", allowed: UTF-8 text"),
        (b"\"5,red,6,no", Reason::Malformed, "1 cells, allowed: 4"),
        (b"five,red,6,no", Reason::NotANumber, "column \"x\" is \"five\", allowed: a finite number"),
        (b"NaN,red,6,no", Reason::NotANumber, "column \"x\" is \"NaN\", allowed: a finite number"),
        (b"5,red,-inf,no", Reason::NotANumber, "column \"y\" is \"-inf\", allowed: a finite number"),
        (b"?,red,6,no", Reason::Missing, "column \"x\" is \"?\", allowed: a finite number"),
        (b"5,red,,no", Reason::Missing, "column \"y\" is \"\", allowed: a finite number"),
        (b"15.1,red,6,no", Reason::OutOfRange, "column \"x\" is \"15.1\", allowed: -5 to 15"),
        (b"5,green,6,no", Reason::UnknownCategory, "column \"colour\" is \"green\", allowed: red, blue"),
        (
            b"5,3,6,no",
            Reason::UnknownCategory,
            "column \"colour\" is \"3\", allowed: red, blue (the contract has categories here, no numbers)",
        ),
        (b"5,red,6,maybe", Reason::UnknownClass, "label \"label\" is \"maybe\", allowed: no, yes"),
        (b"5,red,6,", Reason::Missing, "label \"label\" is missing"),
    ] {
        assert_eq!(decision_of(row), (reason, detail.to_owned()), "{}", String::from_utf8_lossy(row));
    }
}

#[test]
fn an_overlong_cell_costs_its_row() {
    let (reason, detail) = decision_of(&[&b"5,"[..], &[b'a'; 2000], b",6,no"].concat());
    assert_eq!((reason, detail.as_str()), (Reason::Malformed, "cell 2 is longer than 1024 bytes"));
}

#[test]
fn values_just_outside_are_clamped_and_counted() {
    let admitted = admit(read("rows.csv", &around(b"-5,red,15,no")).unwrap(), &contract()).unwrap();
    assert_eq!(admitted.value.rows().examples().inputs().row(1), [0.0, 1.0, 0.0, 1.0]);
    assert_eq!(admitted.record.parameters["collection.contract.clamped_values"], 2_u64.into());
}

#[test]
fn columns_are_found_by_name_and_a_missing_one_is_named() {
    let shuffled = admit(table("label,y,colour,x\nyes,4,blue,3\n").unwrap(), &contract()).unwrap().value;
    assert_eq!(shuffled.rows().examples().inputs().row(0), [0.3, 0.0, 1.0, 0.4]);
    let error = admit(table("x,colour,z,label\n1,red,2,no\n").unwrap(), &contract()).unwrap_err();
    assert_eq!(error.to_string(), "rows.csv: no column \"y\"; columns: x, colour, z, label");
    let source = Source { label: Some("kind".into()), ..Source::new("rows.csv") };
    let file = NamedBytes { name: "rows.csv", bytes: b"x,label\n1,no\n" };
    let error = from_bytes(file, None, &source, &Limits::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rows.csv: no label column \"kind\"; allowed: a position from 1 to 2, or a name: x, label"
    );
}

#[test]
fn files_of_no_use_are_refused() {
    for (name, bytes, expected) in [
        ("empty.csv", &b""[..], "empty.csv: no rows"),
        ("blank.csv", b"\n \n\r\n", "blank.csv: no rows"),
        ("header.csv", b"x,y,label\n", "header.csv: a header (x, y, label) and no rows"),
        ("words.csv", b"alpha;beta\r\n", "words.csv: a header (alpha, beta) and no rows"),
        ("one.csv", b"1\n2\n", "one.csv: no column \"label, beside at least one feature\""),
        ("rows.xml", b"<a/>", "rows.xml: no known format"),
        ("rows.parquet", b"PAR1xxxxPAR1", "rows.parquet: not readable as Parquet"),
    ] {
        let error = read(name, bytes).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = open(&Source::new("/no/such.csv"), &Limits::default()).unwrap_err().to_string();
    assert!(error.starts_with("/no/such.csv: "), "{error}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn truncated_gzip_and_zip_bombs_are_refused() {
    let whole = gzip(b"1,2,0\n3,4,1\n");
    assert_eq!(read("rows.csv.gz", &whole).unwrap().rows().len(), 2);
    let error = read("rows.csv.gz", &whole[..whole.len() - 6]).unwrap_err().to_string();
    assert!(error.starts_with("rows.csv.gz: the gzip stream is damaged or cut short"), "{error}");
    let bomb = gzip(&vec![b'1'; 1 << 24]);
    assert!(bomb.len() < 1 << 16);
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let file = NamedBytes { name: "bomb.csv.gz", bytes: &bomb };
    let error = from_bytes(file, None, &Source::new("bomb.csv.gz"), &limits).unwrap_err();
    let expected = "bomb.csv.gz: number of bytes, decompressed, is 1048577, allowed is at most 1048576";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn more_rows_or_columns_than_allowed_are_refused() {
    let file = NamedBytes { name: "rows.csv", bytes: b"1,2,0\n3,4,1\n5,6,1\n" };
    let read = |limits: &Limits| from_bytes(file, None, &Source::new("rows.csv"), limits);
    let error = read(&Limits { rows: 2, ..Limits::default() }).unwrap_err().to_string();
    assert_eq!(error, "rows.csv: number of rows is 3, allowed is at most 2");
    assert_eq!(read(&Limits { rows: 3, ..Limits::default() }).unwrap().rows().len(), 3);
    assert!(read(&Limits { columns: 2, ..Limits::default() }).is_err());
}

fn idx(magic: u32, axes: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    bytes.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    bytes.extend(body);
    bytes
}

fn read_idx(images: &[u8], labels: &[u8]) -> Result<underpin_data::RawTable, Error> {
    let images = NamedBytes { name: "images", bytes: images };
    let source = Source { format: Some(Format::Idx), ..Source::new("images") };
    from_bytes(images, Some(NamedBytes { name: "labels", bytes: labels }), &source, &Limits::default())
}

#[test]
fn an_idx_header_is_not_believed() {
    let labels = idx(0x801, &[2], &[0, 1]);
    let raw_table = read_idx(&idx(0x803, &[2, 1, 2], &[1, 2, 3, 4]), &labels).unwrap();
    assert_eq!(raw_table.rows().nth(1).unwrap().cells().collect::<Vec<_>>(), ["3", "4", "1"]);
    for (images, labels, expected) in [
        (
            idx(0x803, &[10_000, 1000, 1000], &[0; 4]),
            &labels,
            "images: number of bytes claimed is 10000000000, allowed: 4",
        ),
        (idx(0x803, &[u32::MAX; 3], &[0; 4]), &labels, "images: number of items is 4294967295, allowed: at most"),
        (idx(0x803, &[2, 1, 2], &[0; 3]), &labels, "images: number of bytes claimed is 4, allowed: 3"),
        (
            idx(0xd03, &[2, 1, 2], &[0; 4]),
            &labels,
            "images: not an IDX file: it begins with b\"\\x00\\x00\\r\\x03\", allowed: b\"\\x00\\x00\\x08\\x03\" (unsigned bytes, number of axes: 3)",
        ),
        (idx(0x803, &[3, 1, 1], &[0; 3]), &labels, "labels: number of labels is 2, allowed: 3, as there are images"),
        (idx(0x803, &[2, 0, 2], &[]), &labels, "images: pixels per image is 0, allowed: 1 to"),
        (vec![0, 0, 8, 3, 0], &labels, "images: length in bytes is 5, allowed: at least the header's 16"),
        (b"x,y,label".to_vec(), &labels, "images: not an IDX file: it begins with b\"x,y,\", allowed: b\"\\x00"),
    ] {
        let error = read_idx(&images, labels).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_labels_that_idx_images_lack_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str, bytes: &[u8], format| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        open(&Source { format, ..Source::new(path) }, &Limits::default()).unwrap_err().to_string()
    };
    let images = idx(0x803, &[2, 1, 2], &[1, 2, 3, 4]);
    let beside = error("t-images-idx3-ubyte", &images, None);
    let looked_for = folder.path().join("t-labels-idx1-ubyte");
    let expected =
        format!("t-images-idx3-ubyte: IDX images need a second file, of labels; there is no {}", looked_for.display());
    assert_eq!(beside, expected);
    let unnamed = error("pictures", &images, Some(Format::Idx));
    assert!(unnamed.starts_with("pictures: IDX images need a second file, of labels; none is named"), "{unnamed}");
    let table = error("rows.csv", b"x,label\n1,no\n", Some(Format::Idx));
    assert!(table.starts_with("rows.csv: not an IDX file: it begins with b\"x,la\""), "{table}");
    let source = Source { label: Some("3".into()), format: Some(Format::Idx), ..Source::new("pictures") };
    let file = NamedBytes { name: "pictures", bytes: &images };
    let error = from_bytes(file, Some(file), &source, &Limits::default()).unwrap_err().to_string();
    assert_eq!(error, "pictures: no column \"3\"; columns: label");
}

#[test]
fn a_label_by_position_or_name() {
    let column = |label: &str| {
        let source = Source { label: Some(label.into()), ..Source::new("rows.csv") };
        let file = NamedBytes { name: "rows.csv", bytes: b"x,label,4\n1,no,2\n" };
        from_bytes(file, None, &source, &Limits::default())
            .map(|raw_table| raw_table.label())
            .map_err(|error| error.to_string())
    };
    assert_eq!([column("1"), column("3"), column("x"), column("4")], [Ok(0), Ok(2), Ok(0), Ok(2)]);
    for wrong in ["0", "5", "-1", "Label"] {
        let expected =
            format!("rows.csv: no label column {wrong:?}; allowed: a position from 1 to 3, or a name: x, label, 4");
        assert_eq!(column(wrong), Err(expected));
    }
}

#[test]
fn bounds_in_messages_are_where_rows_are_refused() {
    let number = Column { name: "x".into(), kind: Kind::Number { min: 0.1, max: 2.1, slack: 4.0 } };
    let classes = vec!["0".into(), "1".into()];
    let contract = Contract::new(vec![number], "label".into(), classes, Shape::new([1]).unwrap()).unwrap();
    let raw_table = table("x,label\n10.1,0\n-7.9,1\n10.100000000000002,0\n").unwrap();
    let ledger = admit(raw_table, &contract).unwrap().value.ledger().clone();
    assert_eq!(ledger.kept(), 2);
    let drop = ledger.decision(4).unwrap().dropped.as_ref().unwrap();
    assert_eq!(drop.detail, "column \"x\" is \"10.100000000000002\", allowed: -7.9 to 10.1");
    // However little may lie outside, what lies inside is admitted.
    let (min, max) = (0.123_456_789_012_345_67, 0.876_543_210_987_654_3);
    let number = Column { name: "x".into(), kind: Kind::Number { min, max, slack: 1e-30 } };
    let classes = vec!["0".into(), "1".into()];
    let contract = Contract::new(vec![number], "label".into(), classes, Shape::new([1]).unwrap()).unwrap();
    let raw_table = table(&format!("x,label\n{min},0\n{max},1\n")).unwrap();
    assert_eq!(admit(raw_table, &contract).unwrap().value.ledger().kept(), 2);
}

#[test]
fn a_column_mixed_of_numbers_and_words_never_blames_the_usual_ones() {
    let column = |words: usize, numbers: fn(usize) -> String| {
        let cell = |at: usize| if at < words { format!("word{at}") } else { numbers(at) };
        let rows = (0..200).fold(String::new(), |rows, at| rows + &format!("{},{at}.5,{}\n", cell(at), at % 2));
        let raw_table = table(&format!("a,b,label\n{rows}")).unwrap();
        let contract = Contract::infer(&raw_table).unwrap();
        (contract.columns()[0].kind.clone(), admit(raw_table, &contract).unwrap().value.ledger().dropped())
    };
    let distinct = |at: usize| format!("{}", at * 7);
    for words in [1, 2, 20] {
        let (kind, dropped) = column(words, distinct);
        assert!(matches!(kind, Kind::Number { .. }), "{words}: {kind:?}");
        assert_eq!(dropped, [(Reason::NotANumber, words)].into());
    }
    let (kind, dropped) = column(21, distinct);
    let reason = "89.5 % of the cells are numbers (a numeric column has 90 %), and more than 128 categories".to_owned();
    assert_eq!((kind, dropped.len()), (Kind::Ignored { reason }, 0));
    let (kind, _) = column(21, |at| (at / 2).to_string());
    let reason = "89.5 % of the cells are numbers (a numeric column has 90 %), and 11.0 % of them occur once (of categories at most 10 %)";
    assert_eq!(kind, Kind::Ignored { reason: reason.into() });
    let (kind, _) = column(20, |at| (at / 2).to_string());
    assert!(matches!(kind, Kind::Number { .. }));
}

#[test]
fn a_row_set_aside_is_kept_as_it_came() {
    let bad: [&[u8]; 4] = [b"5, red ,\xff6,no", b"5,red", b"\"5,\"\"5\"\"\",\"a, b\",6,no", b"\"5,red,6,no,7"];
    for row in bad {
        let raw_table = read("rows.csv", &around(row)).unwrap();
        assert_eq!(raw_table.row(3).unwrap().line(), row, "{}", row.escape_ascii());
        let mut bytes = Vec::new();
        underpin_data::write_quarantine(&admit(raw_table, &contract()).unwrap().value, &mut bytes).unwrap();
        let kept = arrow_rows(&bytes);
        assert_eq!(kept, [row], "{}", row.escape_ascii());
    }
    let long = [&b"5,"[..], &b"a".repeat(100_000), b",6,no"].concat();
    assert_eq!(read("rows.csv", &around(&long)).unwrap().row(3).unwrap().line(), long);
}

/// The column `raw` of a quarantine.
fn arrow_rows(bytes: &[u8]) -> Vec<Vec<u8>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).unwrap().build().unwrap();
    let raw = |batch: RecordBatch| batch.column(4).as_binary::<i64>().iter().map(|raw| raw.unwrap().to_vec()).collect();
    reader.flat_map(|batch| -> Vec<Vec<u8>> { raw(batch.unwrap()) }).collect()
}

#[test]
fn too_little_left_is_refused() {
    let text = |good: usize, bad: usize| {
        format!("x,colour,y,label\n{}{}", "1,red,2,no\n3,blue,4,yes\n".repeat(good), "x\n".repeat(bad))
    };
    let check = |text: &str, floor: &Floor| admit(table(text).unwrap(), &contract()).unwrap().value.check(floor);
    let floor = Floor { max_rejected: 0.2, min_rows: 4 };
    assert!(check(&text(4, 2), &floor).is_ok());
    let error = check(&text(4, 3), &floor).unwrap_err().to_string();
    let expected = "rows.csv: 3 of 11 rows rejected (malformed: 3), allowed is a fraction of 0.2; first: row 10: 1 cells, allowed: 4";
    assert_eq!(error, expected);
    let error = check(&text(1, 0), &floor).unwrap_err().to_string();
    assert_eq!(error, "rows.csv: 2 rows left, needed are at least 4");
    let error = check("x,colour,y,label\n1,red,2,no\n1,red,3,no\n", &floor).unwrap_err().to_string();
    assert_eq!(error, "rows.csv: 1 class(es) among the rows (no); classification needs at least 2");
    assert!(matches!(check(&text(4, 0), &Floor { max_rejected: f64::NAN, min_rows: 0 }), Err(Error::OutOfRange(_))));
}

#[test]
fn labels_that_are_no_classes_are_refused() {
    let one = table("1,2,a\n3,4,a\n5,6,a\n").unwrap();
    assert!(matches!(Contract::infer(&one), Err(Error::OneClass { found: 1, .. })));
    let many: String = (0..20).fold(String::new(), |text, row| text + &format!("{row},2,{row}.5\n"));
    let error = Contract::infer(&table(&many).unwrap()).unwrap_err().to_string();
    assert!(error.contains("holds 20 different values in 20 rows; allowed: at most 10 classes"), "{error}");
}

#[test]
fn statistical_sanitizers_need_held_out_rows() {
    let admitted = admit(table("x,colour,y,label\n1,red,2,no\n").unwrap(), &contract()).unwrap().value;
    let error = Sanitizers::default().sanitize(admitted, &underpin_data::Features, underpin_core::Seed(0)).unwrap_err();
    assert!(matches!(error, Error::NoReference { sanitizer: "leakage" }));
}

#[test]
fn a_contradictory_contract_is_refused() {
    let written = serde_json::to_string(&contract()).unwrap();
    assert_eq!(serde_json::from_str::<Contract>(&written).unwrap(), contract());
    for (from, to) in [
        ("\"min\":0.0", "\"min\":10.0"),
        ("\"shape\":[4]", "\"shape\":[5]"),
        ("\"classes\":[\"no\",\"yes\"]", "\"classes\":[\"no\"]"),
        ("\"red\"", "\"blue\""),
        ("\"slack\":0.5", "\"slack\":-1"),
        ("\"slack\":0.5", "\"slack\":0.5,\"mean\":1"),
    ] {
        assert!(written.contains(from));
        assert!(serde_json::from_str::<Contract>(&written.replacen(from, to, 1)).is_err(), "{to}");
    }
}

//! No bytes make collection panic.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array,
    ListArray, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use proptest::sample::Index;
use underpin_core::Seed;
use underpin_data::{
    Contract, Features, Format, LedgerCounts, Limits, NamedBytes, Parts, RawTable, RowLedger, Sanitizers, Source,
    Split, admit, from_bytes, split,
};

/// Whether a ledger is counted line by line as it is when it is read whole, or refused for the same reason.
fn counted_alike(bytes: &[u8]) -> bool {
    let counted = LedgerCounts::read_from(bytes, &limits()).map_err(|error| error.to_string());
    let read = RowLedger::read_from(bytes, &limits()).map_err(|error| error.to_string());
    let count = |ledger: RowLedger| (ledger.read() as u64, (ledger.read() - ledger.kept()) as u64);
    counted.map(|counts| (counts.rows, counts.rejected)) == read.map(count)
}

fn limits() -> Limits {
    Limits { bytes: 1 << 20, rows: 1000, columns: 100, cell: 50 }
}

/// Whatever could be read goes through everything.
fn through(raw_table: RawTable) {
    let _ = Contract::infer(&raw_table).and_then(|contract| admit(raw_table.clone(), &contract));
    let Ok(Parts { train, test }) = split(raw_table, &Split { test_fraction: 0.3, seed: Seed(1) }) else { return };
    let Ok(contract) = Contract::infer(&test) else { return };
    let held_out = admit(test, &contract).unwrap().value.into_rows();
    let admitted = admit(train, &contract).unwrap().value.hold_out(held_out).unwrap();
    let Ok(sanitized) = Sanitizers::default().sanitize(admitted, &Features, Seed(1)) else { return };
    sanitized.value.ledger().verify(sanitized.value.rows()).unwrap();
    underpin_data::write_quarantine(&sanitized.value, Vec::new()).unwrap();
}

fn read(format: Format, bytes: &[u8], labels: Option<&[u8]>) {
    let source = Source { format: Some(format), ..Source::new("x") };
    let labels = labels.map(|bytes| NamedBytes { name: "y", bytes });
    if let Ok(raw_table) = from_bytes(NamedBytes { name: "x", bytes }, labels, &source, &limits()) {
        through(raw_table);
    }
}

fn parquet() -> Vec<u8> {
    let columns: [(&str, ArrayRef); 3] = [
        ("x", Arc::new((0..40).map(|x| (x != 3).then(|| f64::from(x))).collect::<Float64Array>())),
        ("word", Arc::new(StringArray::from_iter_values((0..40).map(|x| ["a", "b"][x % 2])))),
        ("label", Arc::new(Int64Array::from_iter_values((0..40).map(|x| x % 2)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_is_read_with_absent_values_as_missing() {
    let source = Source { format: Some(Format::Parquet), ..Source::new("x") };
    let bytes = parquet();
    let raw_table = from_bytes(NamedBytes { name: "x", bytes: &bytes }, None, &source, &limits()).unwrap();
    let contract = Contract::infer(&raw_table).unwrap();
    let collection = admit(raw_table, &contract).unwrap().value;
    assert_eq!((collection.ledger().kept(), collection.rows().examples().inputs().shape().size()), (39, 3));
    let drop = collection.ledger().decision(4).unwrap().dropped.as_ref().unwrap();
    assert_eq!(drop.detail, "column \"x\" is \"\", allowed: a finite number");
}

/// A table with a column of text and a label, a value in both stored once in its dictionary.
fn repeated(word: &str, rows: usize, codec: Compression) -> Vec<u8> {
    let columns: [(&str, ArrayRef); 2] = [
        ("word", Arc::new(StringArray::from_iter_values(std::iter::repeat_n(word, rows)))),
        ("label", Arc::new(Int64Array::from_iter_values((0..).take(rows).map(|x| x % 2)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let settings = WriterProperties::builder().set_compression(codec).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(settings)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn values_that_a_parquet_dictionary_repeats_are_counted_before_they_are_copied() {
    let source = Source::new("x.parquet");
    let read = |bytes: &[u8]| from_bytes(NamedBytes { name: "x.parquet", bytes }, None, &source, &limits());
    let bomb = repeated(&"b".repeat(2000), 600, Compression::SNAPPY);
    assert!(bomb.len() < 10_000);
    let error = read(&bomb).unwrap_err().to_string();
    assert_eq!(error, "x.parquet: number of bytes, decompressed, is 1204800, allowed is at most 1048576");
    let long = read(&repeated(&"b".repeat(51), 20, Compression::ZSTD(ZstdLevel::default()))).unwrap();
    assert_eq!((long.len(), long.row(20).unwrap().fault()), (20, Some("cell 1 is longer than 50 bytes")));
    assert_eq!(long.row(20).unwrap().line(), [&[b'b'; 51][..], b",1"].concat());
    assert_eq!(read(&repeated(&"b".repeat(50), 20, Compression::UNCOMPRESSED)).unwrap().row(20).unwrap().fault(), None);
}

/// The position and new bytes of the stated size in the first page header: a field of type i32, after the page's type.
fn with_first_page_stating(file: &[u8], size: u8) -> Vec<u8> {
    // The header begins after the magic number: field 1 (0x15), the type, field 2 (0x15), the uncompressed size.
    assert_eq!((&file[..4], file[4], file[6]), (&b"PAR1"[..], 0x15, 0x15));
    let length = 1 + file[7..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let mut stated = vec![0x80; length];
    stated[0] |= size << 1;
    stated[length - 1] &= 0x7f;
    [&file[..7], &stated, &file[7 + length..]].concat()
}

#[test]
fn a_parquet_page_that_holds_more_than_it_states_is_refused() {
    let read =
        |bytes: &[u8]| from_bytes(NamedBytes { name: "x.parquet", bytes }, None, &Source::new("x.parquet"), &limits());
    for codec in
        [Compression::GZIP(GzipLevel::default()), Compression::BROTLI(BrotliLevel::default()), Compression::LZ4]
    {
        let file = repeated(&"b".repeat(50), 20, codec);
        assert_eq!(read(&file).unwrap().len(), 20, "{codec}");
        if codec == Compression::LZ4 {
            continue;
        }
        let error = read(&with_first_page_stating(&file, 20)).unwrap_err().to_string();
        let expected = "x.parquet: not readable as Parquet: column \"word\": a page compressed by ";
        assert!(error.starts_with(expected) && error.contains("holds more bytes than its header states"), "{error}");
    }
    assert_eq!(read(&repeated("b", 20, Compression::LZ4_RAW)).unwrap().len(), 20);
}

#[test]
fn columns_of_one_name_are_refused() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20));
    let fields = ["x", "x", "label"].map(|name| Field::new(name, DataType::Int64, false));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column; 3]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let error = from_bytes(NamedBytes { name: "x.parquet", bytes: &bytes }, None, &Source::new("x.parquet"), &limits());
    let expected = "x.parquet: not readable as Parquet: two columns are named \"x\"";
    assert_eq!(error.unwrap_err().to_string(), expected);
}

#[test]
fn the_same_numbers_are_the_same_rows_in_any_format() {
    let numbers: Vec<f32> = (0..40_u8).map(|x| f32::from(x) / 7.0).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("x", Arc::new(numbers.iter().copied().map(Some).collect::<Float32Array>())),
        ("raw", Arc::new(BinaryArray::from_iter_values((0..40).map(|x| if x == 5 { &b"\xff"[..] } else { b"1" })))),
        ("label", Arc::new(UInt8Array::from_iter_values((0..40).map(|x| x % 2)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut csv = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let raw = if at == 5 { &b"\xff"[..] } else { b"1" };
        csv.extend([number.to_string().as_bytes(), b",", raw, b",", (at % 2).to_string().as_bytes(), b"\n"].concat());
    }
    let read = |name: &str, bytes: &[u8]| {
        let raw_table = from_bytes(NamedBytes { name, bytes }, None, &Source::new(name), &limits()).unwrap();
        let contract = Contract::infer(&crate::table("0,0,0\n9,2,1\n").unwrap()).unwrap();
        let lines: Vec<Vec<u8>> = raw_table.rows().map(|row| row.line()).collect();
        (lines, Contract::infer(&raw_table).unwrap().classes().to_vec(), contract, raw_table)
    };
    let (parquet_lines, parquet_classes, ..) = read("x.parquet", &parquet);
    let (csv_lines, csv_classes, contract, raw_table) = read("x.csv", &csv);
    assert_eq!((parquet_lines, parquet_classes), (csv_lines, csv_classes));
    let csv_ledger = admit(raw_table, &contract).unwrap().value.ledger().clone();
    assert_eq!(csv_ledger.decision(6).unwrap().dropped.as_ref().unwrap().reason, underpin_data::Reason::Malformed);
    assert_eq!(csv_ledger.kept(), 39);
}

/// A file of every kind of column, compressed or not.
fn arrow(codec: Option<CompressionType>) -> Vec<u8> {
    let words = ["a", "b", "a", "c"].repeat(10);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>((0..40).map(|x| Some(vec![Some(x)])));
    let columns: [(&str, ArrayRef); 7] = [
        ("x", Arc::new((0..40).map(|x| (x != 3).then(|| f64::from(x) / 4.0)).collect::<Float64Array>())),
        ("word", Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("list", Arc::new(list)),
        ("day", Arc::new(Date32Array::from_iter_values((0..40).map(|x| x % 7)))),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values((0..40).map(|x| x % 9)))),
        ("price", Arc::new(Decimal128Array::from_iter_values((0..40).map(|x| x * 25 % 150)))),
        ("label", Arc::new(Int64Array::from_iter_values((0..40).map(|x| x % 2)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(codec).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn arrow_files_are_read_with_nested_columns_left_out() {
    for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let bytes = arrow(codec);
        let file = NamedBytes { name: "x.feather", bytes: &bytes };
        let raw_table = from_bytes(file, None, &Source::new("x.feather"), &limits()).unwrap();
        let columns = ["x", "word", "day", "at", "price", "label"].map(String::from);
        assert_eq!((raw_table.columns(), raw_table.len()), (&columns[..], 40));
        assert_eq!(raw_table.row(2).unwrap().line(), b"0.25,b,1,1,0.0000000025,1");
        assert_eq!(raw_table.row(4).unwrap().line(), b",c,3,3,0.0000000075,1");
        let left_out = raw_table.left_out()[0].to_string();
        assert!(left_out.starts_with("column \"list\" left out: its values are List"), "{left_out}");
        through(raw_table);
        let cut = NamedBytes { name: "x.feather", bytes: &bytes[..bytes.len() - 1] };
        assert!(from_bytes(cut, None, &Source::new("x.feather"), &limits()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_a_table(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(Format::Csv, &bytes, None);
    }

    #[test]
    fn nearly_a_table(text in "([0-9.eE+\\-naNi?\", ]{0,4}[,;\t \"\n]){0,300}") {
        read(Format::Csv, text.as_bytes(), None);
    }

    #[test]
    fn a_table_of_numbers(rows in proptest::collection::vec((any::<f64>(), -3_i8..3, 0_u8..3), 8..80)) {
        let text: String = rows.iter().fold(String::new(), |text, (x, y, label)| text + &format!("{x},{y},{label}\n"));
        read(Format::Csv, text.as_bytes(), None);
    }

    #[test]
    fn nearly_a_quoted_table(text in "((\"[a,;|\"\n\t ]{0,5}\"?|[0-9.,' ]{0,6}|NA|x)[,;\t| \n]){0,120}") {
        read(Format::Csv, text.as_bytes(), None);
    }

    #[test]
    fn any_text_in_utf_16(units in proptest::collection::vec(any::<u16>(), 0..300), low in any::<bool>()) {
        let bytes = |unit: u16| if low { unit.to_le_bytes() } else { unit.to_be_bytes() };
        let text: Vec<u8> = [0xfeff].into_iter().chain(units).flat_map(bytes).collect();
        read(Format::Csv, &text, None);
    }

    #[test]
    fn nearly_json_lines(text in "((\\{\"[ab]\": ?(1|-2.5e3|\"x\"|null|\\[1\\]|true)(, \"label\": ?[0-9\"n]{1,3})?\\}?)\n){0,60}") {
        read(Format::JsonLines, text.as_bytes(), None);
    }

    #[test]
    fn any_bytes_as_json_lines(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read(Format::JsonLines, &bytes, None);
    }

    #[test]
    fn any_bytes_as_idx(images in proptest::collection::vec(any::<u8>(), 0..200), labels in proptest::collection::vec(any::<u8>(), 0..60)) {
        read(Format::Idx, &images, Some(&labels));
    }

    #[test]
    fn nearly_idx(count in 0_u8..20, height in 0_u8..4, width in 0_u8..4, body in proptest::collection::vec(any::<u8>(), 0..320)) {
        let wanted = usize::from(count) * usize::from(height) * usize::from(width);
        let body: Vec<u8> = body.into_iter().chain(std::iter::repeat(7)).take(wanted).collect();
        let images = [&[0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, height, 0, 0, 0, width], &body[..]].concat();
        let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, count].into_iter().chain((0..count).map(|at| at % 2)).collect();
        read(Format::Idx, &images, Some(&labels));
    }

    #[test]
    fn any_bytes_as_parquet(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(Format::Parquet, &bytes, None);
    }

    #[test]
    fn damaged_compressed_parquet(at in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4), codec in 0_usize..4) {
        let codecs = [
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
        ];
        let mut bytes = repeated("word", 40, codecs[codec]);
        for (place, value) in at {
            let position = place.index(bytes.len());
            bytes[position] = value;
        }
        read(Format::Parquet, &bytes, None);
    }

    #[test]
    fn damaged_arrow(at in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6), codec in 0_usize..3) {
        let mut bytes = arrow([None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)][codec]);
        for (place, value) in at {
            let position = place.index(bytes.len());
            bytes[position] = value;
        }
        read(Format::Arrow, &bytes, None);
    }

    #[test]
    fn damaged_parquet(at in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6)) {
        let mut bytes = parquet();
        for (place, value) in at {
            let position = place.index(bytes.len());
            bytes[position] = value;
        }
        read(Format::Parquet, &bytes, None);
    }

    #[test]
    fn any_bytes_as_a_ledger(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(counted_alike(&bytes));
    }

    #[test]
    fn a_damaged_ledger_is_never_taken_for_another(at in any::<Index>(), value in any::<u8>()) {
        let raw_table = crate::table("1,2,a\n3,4,b\n5,x,a\n7,8,b\n").unwrap();
        let contract = Contract::infer(&crate::table("1,2,a\n3,4,b\n5,6,a\n7,8,b\n").unwrap()).unwrap();
        let ledger = admit(raw_table, &contract).unwrap().value.ledger().clone();
        let mut bytes = Vec::new();
        ledger.write(&mut bytes).unwrap();
        let position = at.index(bytes.len());
        let same = bytes[position] == value;
        bytes[position] = value;
        prop_assert!(counted_alike(&bytes));
        match RowLedger::read_from(&bytes[..], &limits()) {
            Ok(read) => prop_assert_eq!(read.root() == ledger.root(), same),
            Err(_) => prop_assert!(!same),
        }
    }
}

#[test]
fn a_ledger_out_of_order_or_cut_short_is_refused_by_line() {
    let raw_table = crate::table("1,2,a\n3,4,b\n5,6,a\n7,8,b\n").unwrap();
    let contract = Contract::infer(&raw_table).unwrap();
    let mut bytes = Vec::new();
    admit(raw_table, &contract).unwrap().value.ledger().write(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let error = |text: &str| RowLedger::read_from(text.as_bytes(), &limits()).unwrap_err().to_string();
    assert_eq!(
        error(&format!("{}\n{}\n", lines[1], lines[0])),
        "ledger line 2: row id 1 after 2; identifiers must increase"
    );
    for text in
        [text.clone(), format!("{}\n{}\n", lines[1], lines[0]), format!("{0}\n{0}\n", lines[1]), text.trim_end().into()]
    {
        assert!(counted_alike(text.as_bytes()), "{text}");
    }
    assert!(error(text.trim_end()).starts_with("ledger line 4: the line is cut short"));
    assert!(error(&text.replacen("\"id\":3", "\"id\": 3", 1)).starts_with("ledger line 3: not in canonical form"));
    assert!(error(&text.replacen("\"id\":3", "\"ID\":3", 1)).starts_with("ledger line 3: unknown field"));
}

//! Tables as people have them: dialects, headers, labels, identifiers, and the small inputs that were once read wrongly.

use std::path::PathBuf;

use underpin_core::Shape;
use underpin_data::{
    Contract, DecimalMark, Delimiter, Encoding, Error, Kind, LabelBy, Limits, NamedBytes, RawTable, Source, admit,
    from_bytes, open,
};

use crate::{outside, read, table};

/// A small input outside the repository, if it is there.
fn case(name: &str) -> Option<PathBuf> {
    outside("cases/files", name)
}

fn with(text: &str, source: &Source) -> Result<RawTable, Error> {
    from_bytes(NamedBytes { name: "rows.csv", bytes: text.as_bytes() }, None, source, &Limits::default())
}

fn source() -> Source {
    Source::new("rows.csv")
}

fn label(raw_table: &RawTable) -> &str {
    &raw_table.columns()[raw_table.label()]
}

fn left_out(raw_table: &RawTable) -> Vec<&str> {
    raw_table.left_out().iter().map(|left_out| left_out.column.as_str()).collect()
}

/// `rows` lines, by their number.
fn lines(rows: usize, line: impl Fn(usize) -> String) -> String {
    (0..rows).fold(String::new(), |text, row| text + &line(row) + "\n")
}

fn cells(raw_table: &RawTable, row: usize) -> Vec<String> {
    raw_table.rows().nth(row).unwrap().cells().map(std::borrow::Cow::into_owned).collect()
}

#[test]
fn line_ends_within_quotes_belong_to_their_cell() {
    let raw_table = table("a,note,label\n1,\"fine\n2,x,yes\n\",no\n3,\"he said \"\"hi\"\"\", yes\n").unwrap();
    assert_eq!((raw_table.len(), raw_table.rows().map(|row| row.id()).collect::<Vec<_>>()), (2, vec![2, 5]));
    assert_eq!(cells(&raw_table, 0), ["1", "fine\n2,x,yes", "no"]);
    assert_eq!(cells(&raw_table, 1), ["3", "he said \"hi\"", "yes"]);
    // What follows a closing quote, or a quote that is never closed, costs its row and no other.
    let raw_table = table("a,note,label\n1,\"x\"y,no\n2,ok,no\n3,z,\"no\n4,ok,yes\n").unwrap();
    let faults: Vec<_> = raw_table.rows().map(|row| row.fault()).collect();
    let open = Some("a quote is opened and not closed");
    assert_eq!(faults, [Some("text after a closing quote"), None, open, None]);
}

#[test]
fn a_quoted_cell_that_goes_on_is_refused() {
    let long = |lines: usize| table(&format!("a,note,label\n1,\"{}\",no\n2,x,yes\n", "1,x,no\n".repeat(lines)));
    assert_eq!(long(999).unwrap().len(), 2);
    let error = long(1000).unwrap_err().to_string();
    let expected = "rows.csv: a quoted cell in the record from line 2 goes on: number of lines is 1001, allowed is at most 1000; is a quote not closed?";
    assert_eq!(error, expected);
    let error = table(&format!("a,note,label\n1,\"{}\",no\n", "x".repeat(5 << 20))).unwrap_err().to_string();
    assert!(error.contains("number of bytes is 4194305, allowed is at most 4194304"), "{error}");
}

#[test]
fn a_dialect_is_found_and_can_be_named() {
    for (text, delimiter) in [
        ("1,5;2;a\n2,5;1;b\n", Delimiter::Semicolon),
        ("1|2|a\n2|1|b\n", Delimiter::Bar),
        ("1\t2 x\ta\n2\t1 y\tb\n", Delimiter::Tab),
        ("  1.5   2  a\n 12.5  1  b\n", Delimiter::Blanks),
        ("x,\"1;2;3\",a\ny,\"4;5;6\",b\n", Delimiter::Comma),
    ] {
        let raw_table = table(text).unwrap();
        assert_eq!(raw_table.dialect().unwrap().delimiter, delimiter, "{text}");
        assert_eq!((raw_table.len(), cells(&raw_table, 1).last().map(String::as_str)), (2, Some("b")), "{text}");
    }
    let named = Source { delimiter: Some(Delimiter::Comma), ..source() };
    assert_eq!(cells(&with("1;2,a\n3;4,b\n", &named).unwrap(), 0), ["1;2", "a"]);
    let point = Source { decimal: Some(DecimalMark::Point), ..source() };
    assert_eq!(cells(&with("1,5;a\n2,5;b\n", &point).unwrap(), 0), ["1,5", "a"]);
    assert_eq!(cells(&table("1,5;a\n2,5;b\n").unwrap(), 0), ["1.5", "a"]);
    let raw_table = table("x;label\n1.234,5;1,5\n2,5;2,5\n").unwrap();
    assert_eq!(cells(&raw_table, 0), ["1234.5", "1,5"], "a label is text");
    let notes = raw_table.notes();
    let dialect = "UTF-8, cells parted by ';', decimal mark ',', thousands mark '.', a header";
    assert_eq!(notes, [dialect, "label \"label\": the only column named as labels are"]);
}

#[test]
fn text_in_other_encodings_is_read() {
    let utf_16: Vec<u8> = "\u{feff}größe,label\n1,ä\n2,b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let raw_table = read("rows.csv", &utf_16).unwrap();
    assert_eq!((&raw_table.columns()[0][..], cells(&raw_table, 0)), ("größe", vec!["1".to_owned(), "ä".into()]));
    let raw_table = read("rows.csv", b"x,label\n1,caf\xe9\n2,th\xe9\n").unwrap();
    assert_eq!((raw_table.dialect().unwrap().encoding, cells(&raw_table, 0)[1].as_str()), (Encoding::Latin1, "café"));
    assert!(raw_table.notes().contains(&"the file is not UTF-8: it was read as Latin-1".to_owned()));
}

#[test]
fn headers_with_an_empty_or_repeated_name() {
    let indexed = |head: &str| table(&format!("{head}\n{}", lines(30, |row| format!("{row},{},0.{row}", row % 2))));
    let raw_table = indexed(",label,x").unwrap();
    assert_eq!((label(&raw_table), raw_table.len(), left_out(&raw_table)), ("label", 30, vec!["c1"]));
    // R writes no name above its row names at all.
    let raw_table = indexed("label,x").unwrap();
    assert_eq!((label(&raw_table), left_out(&raw_table)), ("label", vec!["c1"]));
    assert_eq!(raw_table.left_out()[0].to_string(), "column \"c1\" left out: it has no name, as an index");
    let error = table("label,x,x\na,1,2\nb,2,3\n").unwrap_err().to_string();
    assert_eq!(error, "rows.csv: two columns are named \"x\"; allowed: each name once");
    // Words that repeat are no header where no number stands below them.
    assert_eq!(table("yes,y,n,y\nno,n,n,y\n").unwrap().len(), 2);
}

#[test]
fn columns_that_identify_rows_are_left_out_unless_kept() {
    let text = || {
        let head = "row,user,mail,uuid,note,size,colour,label\n";
        head.to_owned()
            + &lines(40, |row| {
                let (colour, class) = (["red", "blue"][row % 2], ["a", "b"][row / 2 % 2]);
                let (uuid, mail) = (format!("{row:08x}-0000-4000-8000-00000000000f"), format!("u{}@x.org", row / 2));
                let note = format!("called about {} again today", row % 25);
                format!("{},u{row},{mail},{uuid},{note},{}.5,{colour},{class}", 500 - row, row % 7)
            })
    };
    let raw_table = with(&text(), &source()).unwrap();
    let lines: Vec<String> = raw_table.left_out().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "column \"row\" left out: it numbers the rows, as an index",
            "column \"user\" left out: every text in it occurs once, as identifiers do",
            "column \"mail\" left out: its values are e-mail addresses",
            "column \"uuid\" left out: its values are UUIDs",
            "column \"note\" left out: it is free text",
        ]
    );
    let contract = Contract::infer(&raw_table).unwrap();
    let used = |contract: &Contract| {
        let used = |column: &&underpin_data::Column| !matches!(column.kind, Kind::Ignored { .. });
        contract.columns().iter().filter(used).map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(used(&contract), ["size", "colour"]);
    assert_eq!(admit(raw_table, &contract).unwrap().value.ledger().kept(), 40);
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let chosen = Source { keep: strings(&["row", "user"]), drop: strings(&["size"]), ..source() };
    let raw_table = with(&text(), &chosen).unwrap();
    assert_eq!(left_out(&raw_table), ["mail", "uuid", "note", "size"]);
    assert_eq!(used(&Contract::infer(&raw_table).unwrap()), ["row", "user", "colour"]);
    for (keep, drop, expected) in [
        (&["rows"][..], &[][..], "keep names column \"rows\", but there is no such column; columns: row, user"),
        (&[], &["sise"], "drop names column \"sise\", but there is no such column; columns: row, user"),
        (&["size"], &["size"], "keep names column \"size\", but drop names it too"),
        (&[], &["label"], "no column is named as a label is"),
    ] {
        let error = with(&text(), &Source { keep: strings(keep), drop: strings(drop), ..source() }).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_long_text_that_is_left_out_costs_no_row() {
    let text =
        format!("note,x,label\n{}", lines(30, |row| format!("{}{row},{}.5,{}", "so on ".repeat(300), row, row % 2)));
    let raw_table = table(&text).unwrap();
    assert_eq!(left_out(&raw_table), ["note"]);
    assert!(raw_table.rows().all(|row| row.fault().is_none()));
}

#[test]
fn one_label_is_taken_and_several_or_none_are_an_error() {
    let found = |head: &str, line: fn(usize) -> String| table(&format!("{head}\n{}", lines(40, line)));
    let by = |head: &str, line: fn(usize) -> String| {
        let raw_table = found(head, line).unwrap();
        (label(&raw_table).to_owned(), raw_table.label_by())
    };
    let line: fn(usize) -> String = |row| format!("{},{}.5,{}", row % 3, row, ["a", "b"][row % 2]);
    assert_eq!(by("class,age,town", line), ("class".into(), LabelBy::Name));
    assert_eq!(by("x,y,kindness", line), ("kindness".into(), LabelBy::Values), "y is a coordinate beside x");
    let error = found("class,age,target", line).unwrap_err().to_string();
    assert_eq!(error, "rows.csv: the label may be any of \"class\", \"target\"; name one (--label NAME)");
    let error = found("y,age,town", line).unwrap_err().to_string();
    assert_eq!(error, "rows.csv: the label may be any of \"y\", \"town\"; name one (--label NAME)");
    // Incomes with a fraction are no classes.
    let error = found("town,income,note", |row| format!("t{},{row}.5,said {row}", row % 3)).unwrap_err().to_string();
    let expected = "rows.csv: no column is named as a label is (label, target, class or the like); name it (--label NAME); columns with few values: town";
    assert_eq!(error, expected);
    assert_eq!(table("1,2,a\n3,4,b\n").unwrap().label_by(), LabelBy::Last);
}

#[test]
fn labels_are_text_and_no_class_is_missing() {
    let text =
        lines(40, |row| format!("{}.5,{}", row, ["1E3", "1000", "NA", "None", "nan", "?", "yes.", "yes"][row % 8]));
    let raw_table = table(&text).unwrap();
    let contract = Contract::infer(&raw_table).unwrap();
    assert_eq!(contract.classes(), ["1000", "1E3", "?", "NA", "None", "nan", "yes", "yes."]);
    assert_eq!(admit(raw_table, &contract).unwrap().value.rows().examples().counts(), [5; 8]);
    let numbers = table("1,1e3\n2,1000\n3,5\n4,nan\n").unwrap();
    assert!(Contract::infer(&numbers).unwrap_err().to_string().contains("4 different values"));
    let numbers = table("1,1e3\n2,1000\n3,1e3\n4,5\n5,5\n6,1000\n").unwrap();
    assert_eq!(Contract::infer(&numbers).unwrap().classes(), ["5", "1000", "1e3"]);
}

#[test]
fn a_test_table_is_bound_to_the_training_table_by_name() {
    let train = table(&format!("id,a,b,label\n{}", lines(30, |row| format!("u{row},{row}.5,{},x", row % 3)))).unwrap();
    let test = table("label,b,extra,a\ny,2,0,1.5\nx,1,0,2.5\n").unwrap();
    let bound = test.bound_to(&train).unwrap();
    assert_eq!((bound.columns(), label(&bound)), (&["a", "b", "label", "extra"].map(String::from)[..], "label"));
    assert_eq!(cells(&bound, 0), ["1.5", "2", "y", "0"]);
    assert_eq!(left_out(&bound), ["id", "extra"]);
    let error = table("label,b\ny,2\nx,1\n").unwrap().bound_to(&train).unwrap_err().to_string();
    assert_eq!(error, "rows.csv: no column \"a\"; columns: label, b");
}

#[test]
fn the_inputs_once_read_wrongly_are_read() {
    let opened = |name: &str| case(name).map(|path| open(&Source::new(path), &Limits::default()));
    for (name, rows, columns, wanted, out) in [
        ("header-with-empty-name.csv", 300, 5, "label", &["c1"][..]),
        ("quoted-newline-adds-rows.csv", 300, 4, "label", &[]),
        ("quoted-newline-hidden-labels.csv", 900, 4, "label", &[]),
        ("aligned-by-spaces.data", 300, 4, "c4", &[]),
        ("decimal-comma-no-header.csv", 3000, 3, "c3", &[]),
        ("xy.csv", 800, 4, "kind", &[]),
    ] {
        let Some(raw_table) = opened(name) else { continue };
        let raw_table = raw_table.unwrap();
        assert_eq!((raw_table.len(), raw_table.columns().len(), label(&raw_table)), (rows, columns, wanted), "{name}");
        assert_eq!(left_out(&raw_table), out, "{name}");
        let contract = Contract::infer(&raw_table).unwrap();
        assert_eq!(admit(raw_table, &contract).unwrap().value.ledger().kept(), rows, "{name}");
    }
    for name in ["messy_decimalcomma.csv", "messy_thousands.csv", "label_first.csv", "with_index.csv"] {
        let Some(path) = case(name) else { continue };
        let error = open(&Source::new(&path), &Limits::default()).unwrap_err().to_string();
        assert!(error.contains("--label") && error.contains("risk"), "{error}");
        let raw_table = open(&Source { label: Some("risk".into()), ..Source::new(path) }, &Limits::default()).unwrap();
        let out = left_out(&raw_table);
        assert!(out.contains(&"user_id") && out.contains(&"row") && !out.contains(&"income"), "{out:?}");
        let contract = Contract::infer(&raw_table).unwrap();
        let income = contract.columns().iter().find(|column| column.name == "income").unwrap();
        assert!(matches!(income.kind, Kind::Number { max, .. } if max > 10_000.0), "{income:?}");
        let rows = raw_table.len();
        let kept = admit(raw_table, &contract).unwrap().value.ledger().kept();
        assert!(kept * 10 > rows * 9, "{name}: {kept} of {rows}");
    }
    for (name, expected) in [
        ("header-with-a-name-twice.csv", "two columns are named \"width\""),
        ("label-by-name-class-before-target.csv", "the label may be any of \"class\", \"target\"; name one (--label"),
    ] {
        let Some(raw_table) = opened(name) else { continue };
        let error = raw_table.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (name, classes) in [
        ("class-named-None-5-percent.csv", ["None", "mild", "severe"]),
        ("classes-1E3-and-1000-merge.csv", ["1000", "1E3", "2E3"]),
    ] {
        let Some(raw_table) = opened(name) else { continue };
        assert_eq!(Contract::infer(&raw_table.unwrap()).unwrap().classes(), classes, "{name}");
    }
    let pixels = |name: &str| {
        let shape = Some(Shape::new([1, 8, 8]).unwrap());
        case(name).map(|path| open(&Source { shape, ..Source::new(path) }, &Limits::default()).unwrap())
    };
    let names = ["pixels-train.csv", "pixels-test-columns-in-another-order.csv", "pixels-test-columns-in-order.csv"];
    if let [Some(train), Some(other), Some(same)] = names.map(pixels) {
        let lines = |raw_table: &RawTable| raw_table.rows().map(|row| row.line()).collect::<Vec<_>>();
        assert_ne!(lines(&other), lines(&same));
        assert_eq!(lines(&other.bound_to(&train).unwrap()), lines(&same));
    }
}

#[test]
fn parquet_files_of_other_tools_are_read() {
    let usual = &["user_id", "row"][..];
    for (name, out) in [
        ("pandas.parquet", usual),
        ("polars_cat.parquet", usual),
        ("dict.parquet", usual),
        ("brotli.parquet", usual),
        ("lists.parquet", &["user_id", "row", "tags"]),
        ("decimal.parquet", &[]),
    ] {
        let Some(path) = case(name) else { continue };
        let raw_table = open(&Source { label: Some("risk".into()), ..Source::new(path) }, &Limits::default());
        let raw_table = raw_table.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((raw_table.len(), left_out(&raw_table)), (3000, out.to_vec()), "{name}");
        let contract = Contract::infer(&raw_table).unwrap();
        let kept = admit(raw_table, &contract).unwrap().value.ledger().kept();
        assert!(kept > 2700, "{name}: {kept}");
    }
}

#[test]
fn json_lines_are_read_as_flat_objects() {
    let text = r#"{"x": 1.5, "colour": "red", "tags": [1, {"a": 2}], "label": "NA"}
{"label": "b", "x": -2e3, "ok": true}

{"x": 1, "x": 2, "label": "b"}
[1, 2]
{"x": null, "label": 7, "colour": "blue"}
"#;
    let raw_table = read("rows.jsonl", text.as_bytes()).unwrap();
    assert_eq!(
        (raw_table.columns(), label(&raw_table)),
        (&["x", "colour", "label", "ok"].map(String::from)[..], "label")
    );
    assert_eq!([0, 1, 4].map(|row| cells(&raw_table, row).join(",")), ["1.5,red,NA,", "-2000.0,,b,true", ",blue,7,"]);
    assert_eq!(raw_table.rows().map(|row| row.id()).collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    assert_eq!(raw_table.row(4).unwrap().fault(), Some("two members are named \"x\""));
    assert!(raw_table.row(5).unwrap().fault().unwrap().starts_with("no JSON object: invalid type: sequence"));
    assert_eq!(left_out(&raw_table), ["tags"]);
    let limits = Limits { bytes: 400, ..Limits::default() };
    let wide = lines(20, |row| format!("{{\"a{row}\":1,\"b\":2}}"));
    let file = NamedBytes { name: "wide.jsonl", bytes: wide.as_bytes() };
    let error = from_bytes(file, None, &Source::new("wide.jsonl"), &limits).unwrap_err().to_string();
    assert_eq!(error, "wide.jsonl: number of cells is 420, allowed is at most 400");
}

/// As UCI's `adult.test` beside `adult.data`.
#[test]
fn a_test_file_whose_labels_end_in_a_point_is_bound() {
    let train = table("x,label\n1,<=50K\n2,>50K\n").unwrap();
    let bound = |text: &str| table(text).unwrap().bound_to(&train).unwrap();
    let test = bound("x,label\n3,<=50K.\n4,>50K.\n5,<=50K.\n");
    assert_eq!(cells(&test, 1), ["4", ">50K"]);
    let said = "each label ends in a point, which is none of the label's".to_owned();
    assert!(test.notes().contains(&said), "{:?}", test.notes());
    // Not each has one, or one is no class without it: labels are never changed.
    for (text, label) in [("x,label\n3,<=50K.\n4,>50K\n", "<=50K."), ("x,label\n3,<=50K.\n4,other.\n", "<=50K.")] {
        let test = bound(text);
        assert_eq!(cells(&test, 0)[1], label);
        assert!(!test.notes().contains(&said));
    }
}

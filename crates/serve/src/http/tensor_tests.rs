use super::*;

/// Keeps what it takes, as text.
#[derive(Default)]
struct Kept(Vec<String>);

impl Sink for Kept {
    fn take(&mut self, position: usize, value: InputValue<'_>) -> Result<(), Refused> {
        assert_eq!(position, self.0.len());
        self.0.push(value.to_string());
        Ok(())
    }
}

fn json(text: &str, datatype: Datatype, shape: &[usize]) -> Result<Vec<String>, String> {
    let mut kept = Kept::default();
    from_json(&RawValue::from_string(text.into()).unwrap(), datatype, shape, &mut kept).map(|()| kept.0)
}

fn bytes(bytes: &[u8], datatype: Datatype, count: usize) -> Result<Vec<String>, String> {
    let mut kept = Kept::default();
    from_bytes(bytes, datatype, count, &mut kept).map(|()| kept.0)
}

/// The numbers as they are kept.
#[allow(clippy::unnecessary_wraps, reason = "compared with what reading gave")]
fn kept<const N: usize>(numbers: [f64; N]) -> Result<Vec<String>, String> {
    Ok(numbers.map(|number| format!("{number:?}")).into())
}

#[test]
fn numbers_come_flat_or_nested_as_the_shape() {
    for text in ["[1, 2, 3, 4.5]", "[[1, 2], [3, 4.5]]"] {
        assert_eq!(json(text, Datatype::Fp32, &[2, 2]), kept([1.0, 2.0, 3.0, 4.5]), "{text}");
    }
    assert_eq!(json("[[[[7]]]]", Datatype::Fp64, &[1, 1, 1, 1]), kept([7.0]));
}

#[test]
fn bad_data_is_refused_by_place() {
    for (text, word) in [
        ("[1, 2, 3]", "3 elements"),
        ("[1, 2, 3, 4, 5]", "more than the 4"),
        ("[[1, 2, 3, 4]]", "nested as [1, 4]"),
        ("[[1, 2, 3], [4]]", "holds 1; others hold 3"),
        ("[1, [2, 3, 4]]", "element 1 is nested"),
        ("[[1, 2], 3, 4]", "element 2 is nested"),
        ("[[1, 2], [3, 4], []]", "holds 0; others hold 2"),
        ("1", "1 elements"),
        ("{}", "values, flat or nested"),
        ("[1, 2, 3, \"4\"]", "element 3 is \"4\": no FP32"),
        ("[1, 2, 3, null]", "values, flat or nested"),
        ("[true, 2, 3, 4]", "values, flat or nested"),
        ("[1, 2, 1e39, 4]", "element 2 is 1e39: no FP32"),
    ] {
        let error = json(text, Datatype::Fp32, &[2, 2]).unwrap_err();
        assert!(error.contains(word), "{text}: {error}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(json(&deep, Datatype::Fp32, &[1]).unwrap_err().contains("recursion"));
}

#[test]
fn integers_keep_to_their_range() {
    for (datatype, low, high) in [
        ("INT8", "-128", "127"),
        ("INT16", "-32768", "32767"),
        ("INT32", "-2147483648", "2147483647"),
        ("INT64", "-9223372036854775808", "9223372036854775807"),
        ("UINT8", "0", "255"),
        ("UINT16", "0", "65535"),
        ("UINT32", "0", "4294967295"),
        ("UINT64", "0", "18446744073709551615"),
    ] {
        let parsed = Datatype::parse(datatype).unwrap();
        assert_eq!(parsed.to_string(), datatype);
        for good in [low, high] {
            let expected = good.parse::<f64>().unwrap();
            assert_eq!(json(&format!("[{good}]"), parsed, &[1]), kept([expected]), "{datatype}");
        }
        let wide = high.parse::<i128>().unwrap();
        for bad in [(wide + 1).to_string(), (low.parse::<i128>().unwrap() - 1).to_string(), "1.5".into()] {
            let error = json(&format!("[{bad}]"), parsed, &[1]).unwrap_err();
            assert!(error.contains(&format!("no {datatype}")), "{datatype} {error}");
        }
        // The same ends as bytes.
        let size = datatype.trim_start_matches(char::is_alphabetic).parse::<usize>().unwrap() / 8;
        let little = |value: i128| value.to_le_bytes()[..size].to_vec();
        let ends = bytes(&[little(low.parse().unwrap()), little(wide)].concat(), parsed, 2);
        assert_eq!(ends, kept([low.parse().unwrap(), high.parse().unwrap()]), "{datatype}");
    }
}

#[test]
fn bytes_are_little_endian_and_exactly_as_many() {
    let singles: Vec<u8> = [0.1_f32, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    // A tenth is a tenth in either width.
    assert_eq!(bytes(&singles, Datatype::Fp32, 2), kept([0.1, -2.5]));
    let doubles: Vec<u8> = [0.1_f64, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(bytes(&doubles, Datatype::Fp64, 2), kept([0.1, -2.5]));
    for count in [0, 1, 3, usize::MAX] {
        assert!(bytes(&doubles, Datatype::Fp64, count).is_err(), "{count}");
    }
    for bad in [f32::NAN, f32::INFINITY] {
        assert!(bytes(&bad.to_le_bytes(), Datatype::Fp32, 1).unwrap_err().contains("not finite"));
    }
}

#[test]
fn texts_are_read_from_json_and_from_bytes() {
    let words = Ok(vec!["\"a\"".to_owned(), "\"é\"".into()]);
    assert_eq!(json(r#"["a", "\u00e9"]"#, Datatype::Bytes, &[2]), words);
    let packed = b"\x01\0\0\0a\x02\0\0\0\xc3\xa9";
    assert_eq!(bytes(packed, Datatype::Bytes, 2), words);
    for (count, cut) in [(1, 0), (2, 1), (2, 8), (3, 0), (usize::MAX, 0)] {
        assert!(bytes(&packed[..packed.len() - cut], Datatype::Bytes, count).is_err(), "{count} {cut}");
    }
    assert!(bytes(b"\x01\0\0\0\xff", Datatype::Bytes, 1).unwrap_err().contains("no UTF-8"));
    assert!(bytes(b"\xff\xff\xff\xff", Datatype::Bytes, 1).unwrap_err().contains("beyond the end"));
    assert!(json("[1]", Datatype::Bytes, &[1]).unwrap_err().contains("element 0 is 1: no BYTES"));
}

use super::*;

fn json(text: &str, datatype: Datatype, shape: &[usize]) -> Result<Vec<f32>, String> {
    from_json(&RawValue::from_string(text.into()).unwrap(), datatype, shape)
}

#[test]
fn numbers_come_flat_or_nested_as_the_shape() {
    for text in ["[1, 2, 3, 4.5]", "[[1, 2], [3, 4.5]]"] {
        assert_eq!(json(text, Datatype::Fp32, &[2, 2]), Ok(vec![1.0, 2.0, 3.0, 4.5]), "{text}");
    }
    assert_eq!(json("[[[[7]]]]", Datatype::Fp64, &[1, 1, 1, 1]), Ok(vec![7.0]));
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
        ("{}", "numbers, flat or nested"),
        ("[1, 2, 3, \"4\"]", "numbers, flat or nested"),
        ("[1, 2, 3, null]", "numbers, flat or nested"),
        ("[true, 2, 3, 4]", "numbers, flat or nested"),
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
            let expected = good.parse::<f32>().unwrap();
            assert_eq!(json(&format!("[{good}]"), parsed, &[1]), Ok(vec![expected]), "{datatype}");
        }
        let wide = high.parse::<i128>().unwrap();
        for bad in [(wide + 1).to_string(), (low.parse::<i128>().unwrap() - 1).to_string(), "1.5".into()] {
            let error = json(&format!("[{bad}]"), parsed, &[1]).unwrap_err();
            assert!(error.contains(&format!("no {datatype}")), "{datatype} {error}");
        }
        // The same ends as bytes.
        let little = |value: i128| value.to_le_bytes()[..parsed.size()].to_vec();
        let bytes = [little(low.parse().unwrap()), little(wide)].concat();
        let ends = from_bytes(&bytes, parsed, 2).unwrap();
        assert_eq!(ends, [low.parse::<f32>().unwrap(), high.parse::<f32>().unwrap()], "{datatype}");
    }
}

#[test]
fn bytes_are_little_endian_and_exactly_as_many() {
    let bytes: Vec<u8> = [0.1_f32, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(from_bytes(&bytes, Datatype::Fp32, 2), Ok(vec![0.1, -2.5]));
    let bytes: Vec<u8> = [0.1_f64, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(from_bytes(&bytes, Datatype::Fp64, 2), Ok(vec![0.1, -2.5]));
    for count in [0, 1, 3, usize::MAX] {
        assert!(from_bytes(&bytes, Datatype::Fp64, count).is_err(), "{count}");
    }
}

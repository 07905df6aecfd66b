//! `underpin train`.

use crate::support::Home;

/// Rows as UCI Adult lies, of people who work long hours and earn much, and others.
fn people(rows: usize) -> String {
    let person = |row: usize| {
        let (hours, income) = if row.is_multiple_of(3) { (70, ">50K") } else { (20, "<=50K") };
        let (age, hours) = (20 + row * 7 % 50, hours + row % 9);
        format!("{age}, ?, 1, Masters, 14, Divorced, Sales, Husband, White, Male, 0, 0, {hours}, Cuba, {income}\n")
    };
    (0..rows).map(person).collect()
}

#[test]
fn a_recipe_tells_accuracy_epsilon_and_time() {
    let home = Home::new();
    std::fs::write(home.path("adult.data"), people(900)).unwrap();
    std::fs::write(home.path("adult.test"), people(300).replace("50K\n", "50K.\n")).unwrap();
    let train = ["train", "--recipe", "adult-eps1", "--data", ".", "--seed", "5", "--json", "--quiet"];
    let ran = home.run(&train);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let number = |name: &str| told[name].as_f64().unwrap_or_else(|| panic!("{name} in {told}"));
    assert!(number("accuracy") > 0.8 && number("accuracy") <= 1.0, "{told}");
    assert!(number("epsilon_upper") <= 1.0 && number("epsilon_upper") > 0.9, "{told}");
    assert!(number("epsilon_lower") <= number("epsilon_upper"), "{told}");
    assert!(number("epsilon_audited") >= 0.0 && number("epsilon_audited") < number("epsilon_upper"), "{told}");
    assert!((number("audit_confidence") - 0.95).abs() < 1e-12 && number("canaries") >= 1000.0, "{told}");
    assert!((number("delta") - 1e-5).abs() < 1e-12, "{told}");
    assert!(number("steps") > 0.0 && number("seconds") > 0.0, "{told}");
    assert_eq!((told["seed"].as_u64(), told["rows"].as_u64()), (Some(5), Some(900)));
    let again: serde_json::Value = serde_json::from_str(&home.run(&train).out).unwrap();
    // Once more: the same cost, and noise of its own, by which the canaries, sums of thousands of draws, tell the runs apart.
    assert_eq!((&again["epsilon_upper"], &again["steps"]), (&told["epsilon_upper"], &told["steps"]));
    assert!(again["accuracy"].as_f64().unwrap() > 0.8, "{again}");
}

#[test]
fn what_cannot_be_run_is_said_in_one_line() {
    let home = Home::new();
    for (recipe, data, said) in [
        ("mnist", ".", "unknown recipe \"mnist\"; known: mnist-scatter-eps3"),
        ("fashion-scatter-eps3", ".", "train-images-idx3-ubyte: no such file"),
        ("absent.toml", ".", "--recipe absent.toml"),
    ] {
        let ran = home.run(&["train", "--recipe", recipe, "--data", data]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains(said) && ran.err.trim().lines().count() == 1, "{ran:?}");
    }
}

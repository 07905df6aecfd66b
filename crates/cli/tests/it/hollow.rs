//! Configurations that try to hollow out a bar.

use crate::support::Home;

#[test]
fn a_quota_that_the_attack_cannot_spend_is_refused_before_training_with_all_that_is_weaker() {
    let home = Home::new();
    let hollow = "[privacy]\ndelta = 0.9\n[serving.quota]\nqueries = 1000000000\n[attacks.extraction]\nowned = 100000\n\
                  [attacks.membership]\nfalse_positive_rate = 1e-9\n";
    std::fs::write(home.path("hollow.toml"), hollow).unwrap();
    for more in [&["--dry-run"][..], &["--out", "run"]] {
        let ran = home.run(&[&["pipeline", "--config", "hollow.toml"], more].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        for named in [
            "serving.quota.queries = 1000000000",
            "attacks.extraction.owned 100000",
            "false_positive_rate",
            "privacy.delta 0.9",
        ] {
            assert!(ran.err.contains(named), "{named}: {}", ran.err);
        }
    }
    assert!(!home.path("run").exists());
}

#[test]
fn a_dry_run_names_each_setting_that_is_weaker_than_the_policy_asks() {
    let home = Home::new();
    for (config, named) in [
        ("attacks.membership.false_positive_rate = 1e-9", "attacks.membership.false_positive_rate"),
        ("attacks.extraction.owned = 60", "attacks.extraction.owned"),
        ("attacks.evasion.steps = 1", "attacks.evasion.steps"),
        ("undefended.epochs = 3", "undefended"),
        ("privacy.delta = 0.99", "privacy.delta"),
    ] {
        std::fs::write(home.path("weaker.toml"), config).unwrap();
        let ran = home.run(&["--json", "pipeline", "--config", "weaker.toml", "--dry-run"]);
        let plan: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
        assert_eq!(plan["weaker"][0]["parameter"], named, "{plan:#}");
        assert_eq!(plan["weaker"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn the_names_of_the_shipped_policies_are_reserved() {
    let home = Home::new();
    let vacuous = underpin::seal::policy::BASELINE.replace("at_most = 8.0", "at_most = 19.0");
    std::fs::write(home.path("baseline.toml"), vacuous).unwrap();
    let ran = home.run(&["pipeline", "--policy", "baseline.toml", "--dry-run"]);
    assert!(ran.code == Some(1) && ran.err.contains("reserved for the shipped policy"), "{ran:?}");
}

use underpin_core::{About, Access, Bar, Limit, Policy, Quantity};

use crate::seal::{Error, policy};

fn shipped() -> [Policy; 2] {
    [policy::BASELINE, policy::STRICT].map(|text| policy::read(text.as_bytes()).unwrap().0)
}

#[test]
fn strict_is_nowhere_easier_than_baseline() {
    let [baseline, strict] = shipped();
    assert_eq!((baseline.name(), strict.name()), ("baseline", "strict"));
    assert!(strict.valid_days() <= baseline.valid_days() && strict.max_rejected() <= baseline.max_rejected());
    let name = |bar: &Bar| (bar.about, bar.access, bar.quantity, bar.attack.clone());
    for bar in baseline.bars() {
        let other = strict.bars().iter().find(|other| name(other) == name(bar)).unwrap();
        let harder = match (bar.limit, other.limit) {
            (Limit::AtLeast(limit), Limit::AtLeast(other)) => other >= limit,
            (Limit::AtMost(limit), Limit::AtMost(other)) => other <= limit,
            _ => false,
        };
        assert!(harder && other.confidence >= bar.confidence && other.min_samples >= bar.min_samples, "{bar:?}");
        let radius = |bar: &Bar| bar.perturbation.map(|perturbation| perturbation.radius);
        assert!(radius(other) >= radius(bar), "{bar:?}");
    }
}

#[test]
fn both_bar_every_attack_that_is_run() {
    for policy in shipped() {
        let has = |about, access, quantity, attack: Option<&str>| {
            policy.bars().iter().any(|bar| {
                bar.about == about
                    && bar.access == access
                    && bar.quantity == quantity
                    && bar.attack.as_deref() == attack
            })
        };
        for (access, attack) in [(Access::WhiteBox, "pgd"), (Access::GrayBox, "transfer"), (Access::BlackBox, "square")]
        {
            assert!(has(About::Evasion, Some(access), Quantity::RobustAccuracy, Some(attack)), "{attack}");
        }
        let membership = About::MembershipInference;
        assert!(has(membership, Some(Access::GrayBox), Quantity::MembershipAdvantage, Some("lira")));
        assert!(has(membership, Some(Access::GrayBox), Quantity::TprAtFpr, Some("lira")));
        assert!(has(membership, Some(Access::BlackBox), Quantity::MembershipAdvantage, Some("label_only_gap")));
        assert!(has(membership, None, Quantity::Epsilon, None));
        let inversion = |access, attack| has(About::Inversion, Some(access), Quantity::InversionScore, Some(attack));
        assert!(inversion(Access::WhiteBox, "gradient_inversion") && inversion(Access::BlackBox, "query_inversion"));
        assert!(has(About::Extraction, Some(Access::BlackBox), Quantity::FidelityGain, Some("knockoff")));
        assert!(has(About::Poisoning, Some(Access::BlackBox), Quantity::AttackSuccessRate, Some("badnets")));
        assert!(has(About::Poisoning, Some(Access::BlackBox), Quantity::PoisonAccuracyDrop, None));
        assert!(has(About::Poisoning, None, Quantity::DetectionRate, None));
        assert!(has(About::Poisoning, None, Quantity::FalsePositiveRate, None));
        assert!(has(About::Utility, None, Quantity::CleanAccuracy, None));
        assert!(has(About::Utility, None, Quantity::AccuracyLoss, None));
    }
}

#[test]
fn a_test_share_of_400_can_meet_baseline_and_one_of_30_cannot() {
    let [baseline, _] = shipped();
    let tested = |bar: &&Bar| !matches!(bar.quantity, Quantity::Epsilon | Quantity::InversionScore);
    assert!(baseline.bars().iter().filter(tested).all(|bar| bar.min_samples <= 350));
    let utility = baseline.bars().iter().filter(|bar| bar.about == About::Utility);
    assert!(utility.clone().count() == 3 && utility.clone().all(|bar| bar.min_samples > 150));
}

/// The place and message of the refusal of `text`.
fn refusal(text: &[u8]) -> (usize, usize, String) {
    match policy::read(text) {
        Err(Error::Policy { line, column, message }) => (line, column, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_policy_is_named_with_its_place() {
    let line = |needle: &str| policy::BASELINE.lines().position(|line| line.starts_with(needle)).unwrap() + 1;
    let change = |from: &str, to: &str| refusal(policy::BASELINE.replacen(from, to, 1).as_bytes());

    let (at, column, message) = change("valid_days", "valid_day");
    assert!(message.contains("unknown field `valid_day`") && (at, column) == (line("valid_days"), 1), "{at} {message}");

    let (at, column, message) = change("access = \"white_box\"", "  acces = \"white_box\"");
    assert!(message.contains("unknown field `acces`") && (at, column) == (line("access"), 3), "{at} {message}");

    let first_bar = line("[[bar]]");
    let (at, _, message) = change("at_least = 0.5", "at_least = nan");
    assert!(message.contains("NaN is not a finite number") && at == first_bar, "{at} {message}");

    let (at, _, message) = change("at_least = 0.5", "at_most = 0.5");
    assert!(message.contains("use `at_least`") && at == first_bar, "{at} {message}");

    let (at, column, message) = change("max_rejected = 0.2", "max_rejected = \"many\"");
    assert!(message.contains("invalid type") && (at, column) == (line("max_rejected"), 16), "{at}:{column} {message}");

    let (at, column, message) = refusal(b"name = \"a\"\nvalid_days = = 3\n");
    assert!((at, column) == (2, 14), "{at}:{column} {message}");

    let (at, column, message) = refusal(b"name = \"\xc3\xa9\xff\"");
    assert!((at, column) == (1, 10) && message == "not UTF-8", "{at}:{column} {message}");

    let (_, _, message) = refusal(b"");
    assert!(message.contains("missing field"), "{message}");
    let (_, _, message) = refusal(&vec![b'\n'; (1 << 20) + 1]);
    assert!(message.contains("allowed: 1048576"), "{message}");
}

#[test]
fn a_policy_without_a_bar_for_a_threat_is_refused_with_what_is_missing() {
    let bars: Vec<&str> = policy::BASELINE.split("[[bar]]").collect();
    // The last bar is followed by the waivers and the intent.
    let kept: Vec<&str> = bars.into_iter().filter(|bar| !bar.contains("attack = \"knockoff\"")).collect();
    let (_, _, message) = refusal(kept.join("[[bar]]").as_bytes());
    assert!(message.contains("no bar for: extraction (black_box)"), "{message}");
}

#[test]
fn names_that_look_like_others_are_refused() {
    let named = |name: &str| {
        let text = policy::BASELINE.replacen("name = \"baseline\"", &format!("name = \"{name}\""), 1);
        policy::read(text.as_bytes()).map(drop)
    };
    named("mine-2.0_b").unwrap();
    let long = "x".repeat(65);
    for name in ["Baseline", "baseline ", "b\u{430}seline", "baseline\u{200b}", "", "a\\u001b[31m", "strıct", &long] {
        let refused = named(name).unwrap_err().to_string();
        assert!(refused.contains("allowed: 1 to 64 of a-z 0-9 . _ -") && !refused.contains('\u{1b}'), "{refused}");
    }
}

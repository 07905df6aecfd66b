use proptest::prelude::*;
use underpin_core::Shape;

use super::*;

/// Gives the same scores for whatever it is asked.
struct Fixed(Vec<f32>, Disclosure);

impl Predict for Fixed {
    fn predict(&self, inputs: &Inputs) -> Result<Outputs, Denied> {
        let scores = self.0.repeat(inputs.len());
        Ok(Outputs::new(self.0.len(), scores, self.1).unwrap())
    }
}

fn inputs(values: &[f32]) -> Inputs {
    Inputs::new(Shape::new([1]).unwrap(), values.to_vec()).unwrap()
}

fn answer(scores: &[f32], disclosure: Disclosure, perturb: Perturb) -> Result<Outputs, Denied> {
    let model = Fixed(scores.to_vec(), disclosure);
    OutputPerturbation::new(model, perturb, SecretKey::new([5; 32])).predict(&inputs(&[0.5]))
}

fn scale(value: f64) -> Scale {
    Scale::new(value).unwrap()
}

fn top(k: usize) -> Perturb {
    Perturb::TopK { k: k.try_into().unwrap() }
}

#[test]
fn scores_come_out_as_computed_by_hand() {
    let scores = [0.126, 0.25, 0.25, 0.374];
    for (perturb, expected, disclosure) in [
        (Perturb::None, [0.126, 0.25, 0.25, 0.374], Disclosure::Scores),
        (Perturb::Round { decimals: 2 }, [0.13, 0.25, 0.25, 0.37], Disclosure::Scores),
        (Perturb::Round { decimals: 1 }, [0.1, 0.3, 0.3, 0.4], Disclosure::Scores),
        (Perturb::Round { decimals: 0 }, [0.0, 0.0, 0.0, 0.0], Disclosure::Scores),
        (Perturb::Round { decimals: 255 }, [0.126, 0.25, 0.25, 0.374], Disclosure::Scores),
        (top(1), [0.0, 0.0, 0.0, 0.374], Disclosure::TopK(1)),
        (top(2), [0.0, 0.25, 0.0, 0.374], Disclosure::TopK(2)),
        (top(9), [0.126, 0.25, 0.25, 0.374], Disclosure::TopK(9)),
        (Perturb::Label, [0.0, 0.0, 0.0, 1.0], Disclosure::Label),
    ] {
        let answer = answer(&scores, Disclosure::Scores, perturb).unwrap();
        assert_eq!(answer.scores(), expected, "{perturb}");
        assert_eq!(answer.disclosure(), disclosure, "{perturb}");
    }
    let tie = answer(&[-0.0, 0.0, 0.0], Disclosure::Scores, Perturb::Label).unwrap();
    assert_eq!(tie.scores(), [1.0, 0.0, 0.0]);
}

#[test]
fn what_is_withheld_stays_withheld() {
    let given = [0.0, 0.3, 0.0, 0.7];
    for perturb in [Perturb::Laplace { scale: scale(0.2) }, Perturb::Gaussian { sigma: scale(0.2) }] {
        let answer = answer(&given, Disclosure::TopK(2), perturb).unwrap();
        assert_eq!((answer.scores()[0], answer.scores()[2]), (0.0, 0.0));
        assert_eq!(answer.disclosure(), Disclosure::TopK(2));
        assert_ne!(answer.scores(), given);
    }
    assert_eq!(answer(&given, Disclosure::TopK(2), top(3)).unwrap().disclosure(), Disclosure::TopK(2));
    assert_eq!(answer(&given, Disclosure::Label, top(3)).unwrap().disclosure(), Disclosure::Label);
}

#[test]
fn a_model_that_breaks_its_word_is_not_quoted() {
    for bad in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
        for perturb in [Perturb::None, Perturb::Label, Perturb::Gaussian { sigma: scale(1.0) }] {
            let denied = answer(&[0.5, bad], Disclosure::Scores, perturb);
            assert!(matches!(denied, Err(Denied::Unavailable { .. })), "{bad} {perturb}");
        }
    }
}

#[test]
fn the_same_question_gets_the_same_noise() {
    let ask = |key: u8, perturb, input: f32| {
        let model = Fixed(vec![0.5; 4], Disclosure::Scores);
        let guarded = OutputPerturbation::new(model, perturb, SecretKey::new([key; 32]));
        // The neighbours in the batch must not matter.
        let answer = guarded.predict(&inputs(&[0.9, input, 0.1])).unwrap();
        answer.row(1).to_vec()
    };
    let laplace = Perturb::Laplace { scale: scale(0.01) };
    let gaussian = Perturb::Gaussian { sigma: scale(0.01) };
    for perturb in [laplace, gaussian] {
        let first = ask(1, perturb, 0.25);
        assert_eq!(ask(1, perturb, 0.25), first);
        assert_eq!(ask(1, perturb, 0.0), ask(1, perturb, -0.0));
        assert_ne!(ask(1, perturb, 0.25_f32.next_up()), first);
        assert_ne!(ask(2, perturb, 0.25), first);
        assert!(
            first.iter().any(|score| score.to_bits() != first[0].to_bits()),
            "each class has noise of its own: {first:?}"
        );
    }
    assert_ne!(ask(1, laplace, 0.25), ask(1, gaussian, 0.25));
    assert_ne!(ask(1, gaussian, 0.25), ask(1, Perturb::Gaussian { sigma: scale(0.02) }, 0.25));
}

/// Mean and mean square of the noise on 20,000 scores of 0.5, far from the ends at 0 and 1.
///
/// The mean of `n` draws of deviation `s` passes `6.1 s/√n` with probability 1.1e-9 (normal limit). The variance of
/// the square is `2s⁴` (Gaussian) or `5s⁴` (Laplace, `s² = 2b²`), so the mean square passes `s² (1 ± 6.1 √(5/n))` as
/// rarely. Four checks: a false alarm in 2e8 keys; the key is fixed.
#[test]
fn noise_is_centred_and_as_wide_as_it_says() {
    let n = 20_000_u16;
    let values: Vec<f32> = (0..n).map(f32::from).collect();
    let width = 0.01_f64;
    for (perturb, deviation) in [
        (Perturb::Laplace { scale: scale(width) }, width * 2_f64.sqrt()),
        (Perturb::Gaussian { sigma: scale(width) }, width),
    ] {
        let model = Fixed(vec![0.5], Disclosure::Scores);
        let guarded = OutputPerturbation::new(model, perturb, SecretKey::new([9; 32]));
        let answer = guarded.predict(&inputs(&values)).unwrap();
        let noise: Vec<f64> = answer.scores().iter().map(|score| f64::from(*score) - 0.5).collect();
        let n = f64::from(n);
        let mean = noise.iter().sum::<f64>() / n;
        let square = noise.iter().map(|x| x * x).sum::<f64>() / n / deviation.powi(2);
        assert!(mean.abs() < 6.1 * deviation / n.sqrt(), "{perturb}: mean {mean}");
        assert!((square - 1.0).abs() < 6.1 * (5.0 / n).sqrt(), "{perturb}: {square} of the variance");
    }
}

#[test]
fn settings_read_as_they_are_written() {
    for (perturb, json) in [
        (Perturb::None, r#"{"mode":"none"}"#),
        (Perturb::Round { decimals: 2 }, r#"{"mode":"round","decimals":2}"#),
        (top(3), r#"{"mode":"top_k","k":3}"#),
        (Perturb::Label, r#"{"mode":"label"}"#),
        (Perturb::Laplace { scale: scale(0.5) }, r#"{"mode":"laplace","scale":0.5}"#),
        (Perturb::Gaussian { sigma: scale(0.25) }, r#"{"mode":"gaussian","sigma":0.25}"#),
    ] {
        assert_eq!(serde_json::to_string(&perturb).unwrap(), json);
        assert_eq!(serde_json::from_str::<Perturb>(json).unwrap(), perturb);
    }
    for bad in [
        r#"{"mode":"top_k","k":0}"#,
        r#"{"mode":"round","decimals":-1}"#,
        r#"{"mode":"laplace","scale":0}"#,
        r#"{"mode":"gaussian","sigma":17}"#,
        r#"{"mode":"gaussian","sigma":0.1,"scale":0.1}"#,
        r#"{"mode":"gauss","sigma":0.1}"#,
    ] {
        assert!(serde_json::from_str::<Perturb>(bad).is_err(), "{bad}");
    }
    assert!(Scale::new(f64::NAN).is_err());
}

fn any_perturb() -> impl Strategy<Value = Perturb> {
    prop_oneof![
        Just(Perturb::None),
        Just(Perturb::Label),
        any::<u8>().prop_map(|decimals| Perturb::Round { decimals }),
        (1_usize..9).prop_map(top),
        (1e-4..16.0).prop_map(|value| Perturb::Laplace { scale: scale(value) }),
        (1e-4..16.0).prop_map(|value| Perturb::Gaussian { sigma: scale(value) }),
    ]
}

proptest! {
    #[test]
    fn scores_stay_in_the_unit_interval(perturb in any_perturb(), scores in prop::collection::vec(0.0_f32..=1.0, 1..8)) {
        let answer = answer(&scores, Disclosure::Scores, perturb).unwrap();
        prop_assert_eq!(answer.classes(), scores.len());
        prop_assert!(answer.scores().iter().all(|score| (0.0..=1.0).contains(score)), "{:?}", answer);
    }
}

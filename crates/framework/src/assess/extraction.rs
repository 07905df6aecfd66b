//! Extraction: surrogates trained on the answers to the queries that the endpoint allows.

use rand::RngExt;
use underpin_core::{About, Measurement, Quantity, Record, Seed, Trainer};
use underpin_metrics::extraction::{Agreement, Knockoff, agreement, fidelity_curve};
use underpin_metrics::interval::{Bootstrap, bootstrap};
use underpin_metrics::{Setting, controls};

use super::scene::Scene;
use super::side::Side;
use crate::Error;
use crate::model::{Model, WithoutProgress, without_progress};

/// Several attackers, each with a key, rows and luck of its own, attack through the endpoint; their mean is reported.
pub(super) fn measure<M, R, S>(
    scene: &Scene<'_>,
    side: &Side<'_, M, R>,
    surrogate: &S,
    seed: Seed,
) -> Result<Record, Error>
where
    M: Model,
    S: Trainer<Model = M>,
{
    let plan = &scene.plan.extraction;
    let auxiliary = scene.collected.auxiliary.examples();
    let rows = plan.owned.min(auxiliary.len() / 2);
    let owned = auxiliary.select(&(0..rows).collect::<Vec<_>>());
    let pool = auxiliary.inputs().select(&(rows..auxiliary.len()).collect::<Vec<_>>());
    let budget = plan.budgets.iter().copied().max().unwrap_or(0).min(pool.len());
    let surrogate = WithoutProgress(surrogate);
    let knockoff = Knockoff { surrogate: &surrogate, budget, owned: &owned };
    let test = scene.collected.test();
    let steal = |attacker: u64| {
        // The label of a random stream: another word would change the numbers of every seed.
        let seed = seed.derive("thief").nth(attacker);
        let answered = side.as_client(|endpoint| knockoff.ask(endpoint, &pool, seed.derive("queries")))??;
        let queries = answered.examples.len();
        let extracted = knockoff.extract(&answered, queries, seed.derive("copy"))?;
        let baseline = knockoff.baseline(seed.derive("copy"))?;
        let agreed = agreement(side.model, &extracted, &baseline, test.inputs(), test.classes(), queries as u64)?;
        Ok::<_, Error>((answered, agreed))
    };
    let (mut first, mut attackers) = (None, Vec::new());
    for attacker in 0..plan.attackers.max(1) {
        let (answered, agreed) = steal(attacker as u64)?;
        first.get_or_insert(answered);
        attackers.push(agreed);
    }
    let checked = without_progress(|| controls::knockoff(&knockoff, seed.derive("controls")))?;
    let setting = knockoff.setting(side.system, scene.confidence).with("attackers", attackers.len());
    let mut measurements = told(&setting, &attackers, seed.derive("bootstrap"))?;
    for measurement in &mut measurements {
        measurement.controls.clone_from(&checked);
    }
    let mut record = Record { measurements, ..Record::default() };
    if let Some(answered) = first {
        let label = side.system.to_string();
        let seed = seed.derive("copy");
        let curve = || fidelity_curve(&knockoff, &answered, &plan.budgets, side.model, test.inputs(), label, seed);
        record.series.push(without_progress(curve)?);
    }
    Ok(record)
}

/// Mean fidelity of the surrogates, and mean gain over surrogates trained without the victim's answers.
///
/// Percentile bootstrap over attackers and inputs alike: the interval allows for the luck of either.
fn told(setting: &Setting, attackers: &[Agreement], seed: Seed) -> Result<Vec<Measurement>, Error> {
    let inputs = attackers.first().map_or(0, |attacker| attacker.extracted.len());
    let hit = |hit: bool| f64::from(u8::from(hit));
    let fidelity = |attacker: &Agreement, input: usize| hit(attacker.extracted[input]);
    let gain = |attacker: &Agreement, input: usize| hit(attacker.extracted[input]) - hit(attacker.baseline[input]);
    let total: f64 = attackers.iter().flat_map(|attacker| &attacker.baseline).map(|agrees| hit(*agrees)).sum();
    let baseline = total / (attackers.len() * inputs) as f64;
    let measure = |quantity, chance, of: &(dyn Fn(&Agreement, usize) -> f64 + Sync)| {
        let mean = |attackers: &mut dyn Iterator<Item = &Agreement>, drawn: &[usize]| {
            let (mut sum, mut count) = (0.0, 0.0);
            for attacker in attackers {
                sum += drawn.iter().map(|input| of(attacker, *input)).sum::<f64>();
                count += drawn.len() as f64;
            }
            sum / count
        };
        let all: Vec<usize> = (0..inputs).collect();
        let value = mean(&mut attackers.iter(), &all);
        let interval = bootstrap(Bootstrap::seeded(seed), setting.confidence, |rng| {
            let drawn: Vec<usize> = (0..inputs).map(|_| rng.random_range(0..inputs)).collect();
            let picked: Vec<&Agreement> =
                (0..attackers.len()).map(|_| &attackers[rng.random_range(0..attackers.len())]).collect();
            mean(&mut picked.into_iter(), &drawn)
        })?;
        let measured = setting.measurement(About::Extraction, quantity, value, interval, inputs as u64);
        let queries = attackers.iter().map(|attacker| attacker.queries).max();
        Ok::<_, Error>(Measurement { chance: Some(chance), queries, ..measured })
    };
    Ok(vec![measure(Quantity::Fidelity, baseline, &fidelity)?, measure(Quantity::FidelityGain, 0.0, &gain)?])
}

#[cfg(test)]
mod tests {
    use underpin_core::{Confidence, Phase, System};

    use super::*;

    #[test]
    fn what_is_told_is_the_mean_of_the_thieves() {
        let attacker = |extracted: [bool; 4], baseline: [bool; 4], queries| Agreement {
            extracted: extracted.to_vec(),
            baseline: baseline.to_vec(),
            queries,
        };
        let attackers = [
            attacker([true, true, true, true], [true, false, false, false], 10),
            attacker([true, true, false, false], [true, true, false, false], 8),
        ];
        let confidence = Confidence::new(0.95).unwrap();
        let setting = Setting::test(System::Defended, Phase::Deployment, "knockoff", confidence);
        let told = told(&setting, &attackers, Seed(1)).unwrap();
        assert!((told[0].value - 0.75).abs() < 1e-12 && told[0].chance == Some(0.375));
        assert!((told[1].value - 0.375).abs() < 1e-12);
        assert!(told[1].interval.lower < 0.375 && told[1].interval.upper > 0.375);
        assert_eq!((told[0].n, told[0].queries), (4, Some(10)));
    }
}

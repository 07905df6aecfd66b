use std::collections::BTreeMap;

use underpin_data::Rows;
use underpin_train::Sgd;

use super::*;
use crate::stages::Declared;
use crate::{DeviceKind, Input, Job, Protection, seal};

#[test]
fn rows_that_do_not_match_their_ledger_do_not_train() {
    let train = |change: &dyn Fn(&Rows) -> Rows| {
        let job = Job {
            input: Input::Digits,
            policy: seal::policy::BASELINE.as_bytes().to_vec(),
            config: Some("[training]\nepochs = 1".to_owned()),
            seed: Seed(1),
            device: DeviceKind::Flex,
            protection: Protection::Undefended,
            out: "never made".into(),
            budget: None,
            resume: None,
            known: None,
            who: "a test".into(),
            revision: "a test".into(),
            versions: BTreeMap::new(),
        };
        let mut sanitized = Declared::read(&job.policy).unwrap().collect(&job).unwrap();
        sanitized.collected.train = change(&sanitized.collected.train);
        let plain = Sgd::plain(sanitized.config.training.clone());
        let recipe = Recipe { defended: plain.clone(), undefended: plain.clone(), adversary: plain };
        sanitized.train(&recipe, Seed(1)).map(drop)
    };
    assert!(train(&Rows::clone).is_ok());
    let without_one = train(&|rows| rows.select(&(1..rows.len()).collect::<Vec<_>>()));
    assert!(matches!(without_one, Err(Error::Data(_))), "{without_one:?}");
    let relabelled = train(&|rows| {
        let mut labels = rows.examples().labels().to_vec();
        labels[5] = (labels[5] + 1) % rows.examples().classes();
        Rows::new(rows.examples().with_labels(labels).unwrap(), rows.ids().to_vec()).unwrap()
    });
    assert!(matches!(relabelled, Err(Error::Data(_))), "{relabelled:?}");
}

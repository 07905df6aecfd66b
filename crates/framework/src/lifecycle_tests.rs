use underpin_data::Rows;
use underpin_train::Sgd;

use super::*;
use crate::collect::{CollectRequest, collect};
use crate::{DeviceKind, Input, Protection};

#[test]
fn rows_that_do_not_match_their_ledger_do_not_train() {
    let train = |change: &dyn Fn(&Rows) -> Rows| {
        let declared = Declared::read(seal::policy::BASELINE.as_bytes()).unwrap();
        let (device, protection) = (DeviceKind::Flex, Protection::Undefended);
        let config = Some("[training]\nepochs = 1");
        let order = CollectRequest { input: &Input::Digits, config, seed: Seed(1), device, protection };
        let (mut collected, config) = collect(&order, declared.policy()).unwrap();
        collected.train = change(&collected.train);
        let plain = Sgd::plain(config.training);
        let recipe = Recipe { defended: plain.clone(), undefended: plain.clone(), adversary: plain };
        declared.collect(collected).train(&recipe, Seed(1)).map(drop)
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

//! Changes of a configuration file, put over the recommended settings.

use serde::de::DeserializeOwned;
use toml::de::Error;
use toml::{Table, Value};

/// Places at which two readings are tried; at any more the first is taken.
const OPEN: u32 = 8;

/// The settings in `table` with `changes` put over them, table by table. `false` takes a whole table away
/// (`privacy = false`).
///
/// A table of one key that a change with other keys meets is either a choice, of which another is made
/// (`optimiser = { adam = … }`, then `{ sgd = … }`), or a table to which an optional key is added (`quota`): the first
/// reading that the settings' types allow is taken.
///
/// # Errors
///
/// What the types refuse, naming the place.
pub(super) fn changed<T: DeserializeOwned>(table: &Table, changes: &Table) -> Result<T, Error> {
    let read = |readings: u32| {
        let mut merged = table.clone();
        let mut open = 0;
        merge(&mut merged, changes.clone(), readings, &mut open);
        (merged.try_into(), open)
    };
    let (first, open) = read(0);
    let mut refused = match first {
        Ok(settings) => return Ok(settings),
        Err(refused) => refused,
    };
    for readings in 1..1_u32 << open.min(OPEN) {
        match read(readings).0 {
            Ok(settings) => return Ok(settings),
            // What is missing where a choice was read is there where a key was added: that reading's error is the one.
            Err(other) if Error::message(&refused).starts_with("missing field") => refused = other,
            Err(_) => {}
        }
    }
    Err(refused)
}

/// Puts `changes` over `table`. At the place number `n` that can be read two ways a choice is made anew where bit `n` of
/// `readings` is 0, and a key is added where it is 1; `open` counts these places.
fn merge(table: &mut Table, changes: Table, readings: u32, open: &mut u32) {
    for (key, change) in changes {
        match (table.get_mut(&key), change) {
            (Some(Value::Table(_)), Value::Boolean(false)) => {
                table.remove(&key);
            }
            (Some(Value::Table(inner)), Value::Table(change)) => {
                let is_open = inner.len() == 1 && !inner.keys().any(|key| change.contains_key(key));
                let is_added = readings >> (*open).min(31) & 1 == 1;
                *open += u32::from(is_open);
                if is_open && !is_added {
                    *inner = change;
                } else {
                    merge(inner, change, readings, open);
                }
            }
            (_, change) => {
                table.insert(key, change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use underpin_core::Shape;
    use underpin_serve::Perturb;
    use underpin_train::{Architecture, Averaging, Optimiser};

    use crate::seal::policy;
    use crate::{Config, DeviceKind};

    #[test]
    fn settings_written_as_changes_give_themselves_again() {
        let written = |config: &Config| toml::to_string(config).unwrap();
        for change in
            ["", "privacy = false", "adversary = false\nundefended = false", "training.epochs = 3\nprivacy = false"]
        {
            let config = defaults().changed(change).unwrap();
            let again = defaults().changed(&config.as_changes().unwrap()).unwrap();
            assert_eq!(written(&again), written(&config), "{change}");
        }
    }

    fn defaults() -> Config {
        let (policy, _) = policy::read(policy::BASELINE.as_bytes()).unwrap();
        Config::recommended(&Shape::new([1, 8, 8]).unwrap(), [1000, 300], 10, DeviceKind::Flex, &policy)
    }

    #[test]
    fn a_file_names_only_what_it_changes() {
        let defaults = defaults();
        let changed = |text: &str| defaults.changed(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        // An optional table that is not there, alone in its table, beside an unrelated one.
        let rate = changed("[serving.quota.per_second]\nrate = 2\nburst = 5\n[attacks.membership]\nshadows = 4");
        assert_eq!(rate.serving.quota.queries, defaults.serving.quota.queries);
        assert!(rate.serving.quota.per_second.is_some());
        let turned = changed("[training.augmentation]\ncopies = 2\nshift = 1\nmirror = \"never\"");
        assert_eq!(turned.training.architecture, defaults.training.architecture);
        assert!(turned.training.augmentation.is_some());
        // Choices made anew, several at once.
        let text = "[training]\noptimiser = { sgd = { learning_rate = 0.1, momentum = 0.9 } }\naveraging = { last = 0.25 }\n\
                    architecture = \"linear\"\n[serving.quota]\nper_second = { rate = 1, burst = 2 }";
        let chosen = changed(text);
        assert!(matches!(chosen.training.optimiser, Optimiser::Sgd { .. }));
        assert_eq!(chosen.training.averaging, Averaging::Last(0.25));
        assert_eq!(chosen.training.architecture, Architecture::Linear);
        assert!(chosen.serving.quota.per_second.is_some());
        let rounded = changed("serving.perturb = [{ mode = \"round\", decimals = 3 }]");
        assert_eq!(rounded.serving.perturb, [Perturb::Round { decimals: 3 }]);
    }

    #[test]
    fn a_mistake_is_named_whichever_way_a_table_is_read() {
        let refused = |text: &str| defaults().changed(text).unwrap_err().to_string();
        let error = refused("[training]\noptimiser = { surprise = { learning_rate = 0.1 } }");
        assert!(error.contains("surprise"), "{error}");
        let error = refused("[serving.quota]\nsurprise = 1");
        assert!(error.contains("surprise"), "{error}");
        let error = refused("[training]\nsurprise = 1");
        assert!(error.contains("surprise"), "{error}");
    }
}

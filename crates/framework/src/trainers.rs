//! The trainers that a configuration describes: the model's, its undefended baseline's, an attacker's.

use underpin_core::Radius;
use underpin_metrics::evasion::Pgd;
use underpin_privacy::NoiseSource;
use underpin_train::{Settings, Sgd};

use crate::config::{self, Config};
use crate::model::{Recipe, Silent};
use crate::{Error, class_counts};

/// The recipe that a configuration describes.
pub(crate) type Trainers = Recipe<Sgd<Silent<Pgd>>, Sgd>;

/// The trainers of a configuration; privacy noise comes from `noise`.
pub(crate) fn recipe(config: &Config, noise: NoiseSource) -> Result<Trainers, Error> {
    let undefended = Sgd::plain(config.training_undefended().clone());
    let small = Settings { batch_size: config.attacks.extraction.batch_size, ..undefended.settings.clone() };
    let adversary = Sgd::plain(small);
    let private = |privacy: config::Privacy| {
        let (target, _) = class_counts::split(&privacy)?;
        Ok::<_, Error>(privacy.training(target, noise))
    };
    let privacy = config.privacy.map(private).transpose()?;
    let hardening = config.adversary.as_ref().map(attacker).transpose()?.map(Silent);
    let defended = Sgd { settings: config.training.clone(), privacy, adversary: hardening };
    Ok(Recipe { defended, undefended, adversary })
}

fn attacker(adversary: &config::Adversary) -> Result<Pgd, Error> {
    Ok(Pgd::new(adversary.norm, Radius::new(adversary.radius)?, adversary.steps, 1))
}

//! How the learning rate moves, and how weights are averaged.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::tape::host::rounded;

/// What the learning rate is multiplied by at each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// 1 throughout.
    Constant,
    /// Grows linearly to 1, then falls linearly to `last`.
    Linear {
        /// Fraction of the steps over which it grows; in `[0, 1]`.
        warm_up: f64,
        /// What it is at the last step; in `[0, 1]`.
        last: f64,
    },
    /// Grows linearly to 1, then falls along half a cosine to `last` (Loshchilov and Hutter, ICLR 2017, equation 5).
    Cosine {
        /// Fraction of the steps over which it grows; in `[0, 1]`.
        warm_up: f64,
        /// What it is at the last step; in `[0, 1]`.
        last: f64,
    },
}

impl Schedule {
    /// The factor at `step`, from 1, of `steps`; in `[0, 1]`.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        let (Self::Linear { warm_up, last } | Self::Cosine { warm_up, last }) = *self else { return 1.0 };
        let (step, steps) = (step.min(steps) as f64, steps as f64);
        let top = (warm_up * steps).max(1.0);
        if step < top {
            return step / top;
        }
        let fallen = if steps > top { (step - top) / (steps - top) } else { 0.0 };
        let fraction = match self {
            Self::Cosine { .. } => f64::midpoint(1.0, (std::f64::consts::PI * fallen).cos()),
            _ => 1.0 - fallen,
        };
        last + (1.0 - last) * fraction
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Constant => Ok(()),
            Self::Linear { warm_up, last } | Self::Cosine { warm_up, last } => {
                fraction("schedule.warm_up", *warm_up)?;
                fraction("schedule.last", *last)
            }
        }
    }
}

/// Which weights a trained model has. Averages away part of the noise of private training, at no cost in privacy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Averaging {
    /// The mean over the last fraction of the steps, in `[0, 1]` (Polyak and Juditsky 1992); 0 takes the last step's weights
    /// alone.
    Last(f64),
    /// The exponential moving average with this decay, in `[0, 1)`; it starts at `min(decay, (1 + t) / (10 + t))` at step
    /// t, as in De et al. 2022.
    Exponential(f64),
}

impl Averaging {
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Last(last) => fraction("averaging", *last),
            Self::Exponential(decay) if (0.0..1.0).contains(decay) => Ok(()),
            Self::Exponential(decay) => Err(Error::out_of_range("averaging decay", *decay, "[0, 1)")),
        }
    }
}

fn fraction(name: &'static str, value: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(Error::out_of_range(name, value, "[0, 1]")) }
}

/// The average so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Average {
    pub(crate) rule: Averaging,
    /// Sum of the weights, or their moving average.
    pub(crate) sum: Vec<f64>,
    pub(crate) steps: u64,
}

impl Average {
    pub(crate) fn new(rule: Averaging) -> Self {
        Self { rule, sum: Vec::new(), steps: 0 }
    }

    /// Whether the weights after `step`, from 1, of `of` enter.
    pub(crate) fn takes(&self, step: u64, of: u64) -> bool {
        match self.rule {
            Averaging::Last(fraction) => ((of - step) as f64) < fraction * of as f64,
            Averaging::Exponential(_) => true,
        }
    }

    pub(crate) fn add(&mut self, values: &[f32]) {
        self.sum.resize(values.len(), 0.0);
        self.steps += 1;
        let (keep, weight) = match self.rule {
            Averaging::Last(_) => (1.0, 1.0),
            Averaging::Exponential(decay) => {
                let steps = self.steps as f64;
                let decay = if self.steps == 1 { 0.0 } else { decay.min((1.0 + steps) / (10.0 + steps)) };
                (decay, 1.0 - decay)
            }
        };
        self.sum.iter_mut().zip(values).for_each(|(sum, value)| *sum = keep * *sum + weight * f64::from(*value));
    }

    /// The averaged weights; none when no step entered.
    pub(crate) fn values(&self) -> Option<Vec<f32>> {
        let divisor = match self.rule {
            Averaging::Last(_) => self.steps as f64,
            Averaging::Exponential(_) => 1.0,
        };
        (self.steps > 0).then(|| self.sum.iter().map(|sum| rounded(sum / divisor)).collect())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "small whole numbers and powers of two are exact")]
mod tests {
    use super::*;

    #[test]
    fn rates_grow_and_fall() {
        for schedule in [Schedule::Linear { warm_up: 0.2, last: 0.1 }, Schedule::Cosine { warm_up: 0.2, last: 0.1 }] {
            let at = |step| schedule.factor(step, 100);
            assert_eq!((at(10), at(20)), (0.5, 1.0));
            assert!((at(60) - 0.55).abs() < 1e-12 && (at(100) - 0.1).abs() < 1e-12, "{schedule:?}");
            assert!((21..=100).all(|step| at(step) < at(step - 1)));
        }
        assert!(Schedule::Cosine { warm_up: 0.0, last: 0.0 }.factor(40, 100) > 0.6);
        assert_eq!(Schedule::Constant.factor(3, 4), 1.0);
        for (step, steps) in [(1, 1), (5, 5), (9, 5)] {
            assert!(Schedule::Linear { warm_up: 1.0, last: 0.0 }.factor(step, steps) <= 1.0);
        }
        assert!(Schedule::Cosine { warm_up: f64::NAN, last: 0.0 }.check().is_err());
        assert!(Schedule::Linear { warm_up: 0.0, last: 1.1 }.check().is_err());
    }

    #[test]
    fn averages_are_those_of_the_weights_that_enter() {
        let average = |rule| {
            let mut average = Average::new(rule);
            for step in 1..=4_u16 {
                if average.takes(step.into(), 4) {
                    average.add(&[f32::from(step), 1.0]);
                }
            }
            average.values()
        };
        assert_eq!(average(Averaging::Last(0.0)), None);
        assert_eq!(average(Averaging::Last(0.5)).unwrap(), [3.5, 1.0]);
        assert_eq!(average(Averaging::Last(1.0)).unwrap(), [2.5, 1.0]);
        assert_eq!(average(Averaging::Exponential(0.0)).unwrap(), [4.0, 1.0]);
        // Decays 3/12, 4/13 and 5/14 stay below one half but the last: (1 -> 7/4 -> ...), by hand.
        let by_hand = [2u8, 3, 4].iter().fold(1.0, |mean, step| {
            let decay = (1.0 + f64::from(*step)) / (10.0 + f64::from(*step));
            decay * mean + (1.0 - decay) * f64::from(*step)
        });
        assert!((f64::from(average(Averaging::Exponential(0.5)).unwrap()[0]) - by_hand).abs() < 1e-6);
        assert!(Averaging::Exponential(1.0).check().is_err() && Averaging::Last(f64::NAN).check().is_err());
    }
}

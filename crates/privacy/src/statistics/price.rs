//! What noise costs, by OpenDP's maps.

use opendp::core::Metric;
use opendp::domains::AtomDomain;
use opendp::error::Fallible;
use opendp::measurements::make_laplace;
use opendp::measures::MaxDivergence;
use opendp::metrics::AbsoluteDistance;
use underpin_core::{Delta, Epsilon};

use crate::{DiscreteLaplace, Error};

/// OpenDP's errors as ours.
pub(super) fn checked<T>(result: Fallible<T>) -> Result<T, Error> {
    result.map_err(|error| Error::OpenDp {
        reason: format!("{}: {}", error.variant, error.message.as_deref().unwrap_or("no reason given")),
    })
}

/// Noise that spends at most `epsilon` on `sensitivity`, and what it spends.
pub(super) fn laplace(sensitivity: i64, epsilon: Epsilon) -> Result<(DiscreteLaplace, Epsilon), Error> {
    // Where neighbours never differ, as much noise as if they could.
    let sensitivity = sensitivity.max(1);
    let noise = DiscreteLaplace::covering(sensitivity.unsigned_abs(), epsilon)?;
    let spent = checked(laplace_map(sensitivity, noise.scale()))?;
    let spent = Epsilon::new(spent).map_err(|_| Error::out_of_range("epsilon of OpenDP's map", spent, "(0, inf)"))?;
    Ok((noise, spent))
}

fn laplace_map(sensitivity: <AbsoluteDistance<i64> as Metric>::Distance, scale: f64) -> Fallible<f64> {
    let (domain, metric) = (AtomDomain::<i64>::default(), AbsoluteDistance::<i64>::default());
    make_laplace::<_, _, MaxDivergence>(domain, metric, scale, None)?.map(&sensitivity)
}

/// Least count at which `keys` keys that one row alone brought about are published with probability at most `delta`
/// together, each having at most `count` rows; and that probability.
///
/// `P(Z >= t) = e^(-t/b) / (1 + e^(-1/b))` for discrete Laplace noise `Z` of scale `b` and `t >= 1`.
pub(super) fn threshold(noise: DiscreteLaplace, keys: u32, count: u32, delta: Delta) -> Result<(i64, Delta), Error> {
    let scale = noise.scale();
    let passes = |over: i64| {
        // Rounded up: the exponent, below 745, is off by less than 2^-42, the rest by a few ulps.
        let tail = (-(over as f64) / scale).exp() / (1.0 + (-1.0 / scale).exp());
        (f64::from(keys) * tail).mul_add(1.0 + 1e-12, f64::MIN_POSITIVE)
    };
    // OK because the scale is at most 2^40 and δ at least 2^-1074.
    let mut over = ((scale * (f64::from(keys) / delta.value()).ln()).ceil() as i64 - scale.ceil() as i64).max(1);
    while passes(over) > delta.value() {
        // By a thousandth of the scale: at most 10,000 times.
        over += 1 + (scale / 1024.0) as i64;
    }
    let spent = Delta::new(passes(over)).map_err(|_| Error::out_of_range("delta", passes(over), "(0, 1)"))?;
    Ok((over + i64::from(count), spent))
}

//! Noise that is never used twice, and the files that keep it.

use underpin_core::{Seed, Trainer, Value};
use underpin_privacy::{NoiseSource, SecretKey};

use crate::sgd::tests::{Fgsm, corners, mlp, privacy, settings};
use crate::{Architecture, Averaging, Checkpoints, Clipping, Optimiser, Privacy, Settings, Sgd};

/// Guarantee 2 of `Privacy`: of two runs that differ in nothing, or in the adversary alone, the noise is independent.
///
/// After one step on all rows each weight of one run is the same sum and a draw of noise: the weights' differences are
/// those of two draws, less what the adversary moves. With the same noise their mean square is next to 0; with
/// independent noise it is that of 2 draws, and lies outside of [0.35, 2.05] times that with a probability below 1e-6
/// (chi-square of 51 degrees of freedom, at 17.9 and 104.6).
#[test]
fn runs_that_differ_in_nothing_draw_independent_noise() {
    let data = corners(90, 1);
    let optimiser = Optimiser::Sgd { learning_rate: 1.0, momentum: 0.0 };
    let averaging = Averaging::Last(0.0);
    let once = Settings { epochs: 1, batch_size: 90, optimiser, averaging, ..settings(Architecture::Linear) };
    let fresh = || NoiseSource::fresh(SecretKey::new([7; 32]));
    let (one, other) = (fresh(), fresh());
    let train = |noise: &NoiseSource, adversary: Option<Fgsm>| {
        let privacy = Privacy { clipping: Clipping::Flat { norm: 0.5 }, noise: noise.clone(), ..privacy(2.0) };
        let sgd = Sgd { settings: once.clone(), privacy: Some(privacy), adversary };
        let trained = sgd.train(&data, Seed(5)).unwrap();
        let Value::Number(noise) = trained.record.parameters["training.noise_multiplier"] else { panic!("a number") };
        (trained.value.network.values(), noise * 0.5 / 90.0)
    };
    let pairs = [
        ("nothing", train(&one, None), train(&one, None)),
        ("nothing, by another source of the same secret", train(&one, None), train(&other, None)),
        ("the adversary", train(&one, None), train(&one, Some(Fgsm(0.0999)))),
        ("the adversary's radius", train(&one, Some(Fgsm(0.1))), train(&one, Some(Fgsm(0.0999)))),
    ];
    for (what, (one, deviation), (other, _)) in pairs {
        assert_eq!(one.len(), 51);
        let squares: f32 = one.iter().zip(&other).map(|(one, other)| (one - other).powi(2)).sum();
        let ratio = f64::from(squares) / 51.0 / (2.0 * deviation * deviation);
        assert!((0.35..2.05).contains(&ratio), "runs that differ in {what}: {ratio}");
    }
}

/// A fresh run that is taken up goes on with its own noise; removed, it is another run.
#[test]
fn a_kept_run_keeps_its_fresh_bytes() {
    let data = corners(60, 1);
    let home = tempfile::tempdir().unwrap();
    let kept = Checkpoints { path: home.path().join("state/run"), every: 7 };
    let fresh = Privacy { noise: NoiseSource::fresh(SecretKey::new([7; 32])), ..privacy(4.0) };
    let sgd = Sgd { settings: mlp(), privacy: Some(fresh), adversary: Some(Fgsm(0.05)) };
    let train = || sgd.train_kept(&data, Seed(5), &kept).unwrap().value.network.values();
    let first = train();
    let files = || -> Vec<String> {
        let mut names: Vec<_> = (home.path().join("state").read_dir().unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(files(), ["run", "run.fresh", "run.steps"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.path().join("state")), 0o700);
        assert!(files().iter().all(|name| mode(&home.path().join("state").join(name)) == 0o600));
    }
    // As if killed after the last checkpoint, and before the first one.
    assert_eq!(train(), first);
    std::fs::remove_file(&kept.path).unwrap();
    assert_eq!(train(), first);
    // The list of steps knows the noise: without its bytes nothing is released under another.
    std::fs::remove_file(home.path().join("state/run.fresh")).unwrap();
    assert!(sgd.train_kept(&data, Seed(5), &kept).is_err());
    kept.remove().unwrap();
    kept.remove().unwrap();
    assert!(files().is_empty(), "{:?}", files());
    assert_ne!(train(), first);
}

/// Checkpoint, list of steps and fresh bytes: each is refused where others may have a hand in it, as root too.
#[cfg(unix)]
#[test]
fn files_of_others_are_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let data = corners(60, 1);
    let home = tempfile::tempdir().unwrap();
    let kept = Checkpoints { path: home.path().join("run"), every: 7 };
    let fresh = Privacy { noise: NoiseSource::from_os().unwrap(), ..privacy(4.0) };
    let sgd = Sgd::<Fgsm> { settings: mlp(), privacy: Some(fresh), adversary: None };
    let train = || sgd.train_kept(&data, Seed(5), &kept);
    train().unwrap();
    for name in ["run", "run.fresh", "run.steps"] {
        let (path, aside) = (home.path().join(name), home.path().join("aside"));
        for mode in [0o640, 0o602] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            // A reader's lock stops nothing: what others may read is refused before it is locked.
            let reader = std::fs::File::open(&path).unwrap();
            reader.lock_shared().unwrap();
            let refused = train().unwrap_err().to_string();
            assert!(refused.contains(&format!("{mode:o}")) && refused.contains(name), "{name}: {refused}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        let refused = train().unwrap_err().to_string();
        assert!(refused.contains("symbolic link"), "{name}: {refused}");
        std::fs::rename(&aside, &path).unwrap();
    }
    train().unwrap();
}

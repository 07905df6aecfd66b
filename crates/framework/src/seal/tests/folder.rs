use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use underpin_core::Digest;

use super::fixture::*;
use crate::seal::*;

fn left(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.collect()
}

#[test]
fn an_unfinished_run_is_not_there() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let folder = Sample::cleared().begin(&path);
    assert!(!path.exists());
    drop(folder);
    assert!(left(place.path()).is_empty());
}

#[test]
fn what_exists_is_not_written_over() {
    let place = tempfile::tempdir().unwrap();
    let (file, full, link) = (place.path().join("file"), place.path().join("full"), place.path().join("link"));
    fs::write(&file, "precious").unwrap();
    fs::create_dir(&full).unwrap();
    fs::write(full.join("precious"), "").unwrap();
    for path in [&file, &full] {
        let error = RunFolder::create(path).unwrap_err();
        assert!(matches!(error, Error::Occupied { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path().join("nowhere"), &link).unwrap();
        assert!(matches!(RunFolder::create(&link), Err(Error::Occupied { .. })));
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn an_empty_folder_and_missing_parents_will_do() {
    let place = tempfile::tempdir().unwrap();
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for path in [empty, place.path().join("a/b/run")] {
        Sample::cleared().seal(&path).unwrap();
        verify(&path, &trusted(), NOW).unwrap();
    }
}

#[test]
fn what_appears_meanwhile_is_not_written_over() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let folder = Sample::cleared().begin(&path);
    fs::create_dir(&path).unwrap();
    fs::write(path.join("precious"), "").unwrap();
    let error = folder.finish(act(ISSUED, "sealed"), &key(1)).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
    assert_eq!((left(&path), left(place.path())), (vec!["precious".to_owned()], vec!["run".to_owned()]));
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file"), "").unwrap();
    for path in [place.path().join("file/run"), place.path().join("file/sub/run")] {
        let error = RunFolder::create(&path).unwrap_err();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("file"), "{error}");
    }
    assert!(matches!(RunFolder::create(Path::new("/")), Err(Error::Name { .. })));
    #[cfg(target_os = "linux")]
    {
        // Not even root writes here.
        let error = RunFolder::create(Path::new("/proc/run")).unwrap_err();
        assert!(error.to_string().starts_with("cannot write in /proc"), "{error}");
    }
}

#[test]
fn two_runs_of_one_name_are_kept_apart() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let first = Sample::cleared().begin(&path);
    assert!(matches!(RunFolder::create(&path), Err(Error::Busy { .. })));
    first.finish(act(ISSUED, "sealed"), &key(1)).unwrap();
    verify(&path, &trusted(), NOW).unwrap();
}

#[test]
fn a_file_is_written_once_and_only_under_a_name_that_stays_inside() {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&place.path().join("run")).unwrap();
    assert_eq!(folder.write("a", b"1").unwrap(), Digest::of(b"1"));
    assert!(matches!(folder.write("a", b"2"), Err(Error::Io { .. })));
    for name in ["../a", "a/b", ".a", "", "/tmp/a"] {
        assert!(matches!(folder.write(name, b""), Err(Error::Name { .. })), "{name}");
    }
}

#[test]
fn a_run_without_a_file_that_every_run_has_is_not_published() {
    for name in [files::POLICY, files::MANIFEST, files::MODEL, files::EVIDENCE] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run");
        let folder = Sample::cleared().begin(&path);
        fs::remove_file(folder.path(name).unwrap()).unwrap();
        let error = folder.finish(act(ISSUED, "sealed"), &key(1)).unwrap_err();
        assert!(matches!(error, Error::Missing { name: missing } if missing == name), "{error}");
        assert!(left(place.path()).is_empty());
    }
}

#[test]
fn a_folder_within_is_not_published() {
    let place = tempfile::tempdir().unwrap();
    let folder = Sample::cleared().begin(&place.path().join("run"));
    fs::create_dir(folder.path("pictures").unwrap()).unwrap();
    let error = folder.finish(act(ISSUED, "sealed"), &key(1)).unwrap_err();
    assert!(matches!(&error, Error::Fault(Fault { flaw: Flaw::NotAFile, .. })), "{error}");
}

#[cfg(unix)]
#[test]
fn a_run_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let folder = Sample::cleared().begin(&path);
    let open = folder.path("more").unwrap();
    fs::write(&open, "by a writer that needs a path").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
    folder.finish(act(ISSUED, "sealed"), &key(1)).unwrap();
    super::amend::renew(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for name in left(&path) {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
    // What a killed run left open to others is closed.
    let partial = place.path().join(".other.partial");
    fs::create_dir(&partial).unwrap();
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o777)).unwrap();
    let other = place.path().join("other");
    Sample::cleared().seal(&other).unwrap();
    assert_eq!(mode(&other), 0o700);
}

/// Started again as a process of its own by the tests below.
#[test]
fn as_a_child_of_another_test() {
    let (Some(path), Some(job)) = (std::env::var_os("UNDERPIN_SEAL_PATH"), std::env::var_os("UNDERPIN_SEAL_JOB"))
    else {
        return;
    };
    let path = Path::new(&path);
    match job.to_str().unwrap() {
        "begin" => {
            let _folder = Sample::cleared().begin(path);
            fs::write(path.with_extension("ready"), "").unwrap();
            std::thread::sleep(Duration::from_mins(1));
        }
        "seal" => drop(Sample::cleared().seal(path).unwrap()),
        "amend" => loop {
            let report = vec![b'.'; 1 << 16];
            let written = [(files::REPORT, report), ("more", b"more".to_vec())].into();
            amend(path, &trusted(), &key(1), act(NOW, "amended"), &written).unwrap();
        },
        other => panic!("{other}"),
    }
}

pub(super) fn child(path: &Path, job: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "seal::tests::folder::as_a_child_of_another_test"])
        .env("UNDERPIN_SEAL_PATH", path)
        .env("UNDERPIN_SEAL_JOB", job)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_a_killed_run_left_is_cleared_away_by_the_next() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let mut killed = child(&path, "begin");
    while !path.with_extension("ready").exists() {
        assert!(killed.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(RunFolder::create(&path), Err(Error::Busy { .. })));
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!path.exists() && place.path().join(".run.partial").exists());
    Sample::cleared().seal(&path).unwrap();
    verify(&path, &trusted(), NOW).unwrap();
    assert!(!place.path().join(".run.partial").exists());
}

/// Killed at any moment, a run is there whole or not at all.
#[test]
fn a_run_killed_at_any_moment_is_whole_or_absent() {
    for delay in (0..20).map(|step| Duration::from_millis(step * 3)) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run");
        let mut killed = child(&path, "seal");
        std::thread::sleep(delay);
        killed.kill().unwrap();
        killed.wait().unwrap();
        if path.exists() {
            verify(&path, &trusted(), NOW).unwrap();
        } else {
            Sample::cleared().seal(&path).unwrap();
        }
    }
}

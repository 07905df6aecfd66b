//! Bad input at the front door: one clear line, and nothing left behind.

use std::path::Path;

use underpin::Input;
use underpin_data::Source;

use crate::support::{job, key, run};

/// The error of a run on a CSV file with this text; no folder may be left behind.
fn refused(text: &[u8], name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let out = folder.path().join("run");
    let mut job = job(&out);
    job.input = Input::Files { train: Box::new(Source::new(&path)), test: None };
    let error = run(&job, &key()).unwrap_err().to_string();
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [name], "nothing is left behind");
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

fn rows(n: usize, label: impl Fn(usize) -> String) -> String {
    numbered(0..n, label)
}

fn numbered(which: std::ops::Range<usize>, label: impl Fn(usize) -> String) -> String {
    let row = |at: usize| format!("{},{},{}\n", (at * 37) % 101, (at * 53) % 97, label(at));
    format!("a,b,label\n{}", which.map(row).collect::<String>())
}

#[test]
fn files_of_no_use_are_named() {
    assert!(refused(b"", "empty.csv").contains("empty.csv"));
    let one = refused(rows(50, |_| "x".into()).as_bytes(), "one.csv");
    assert!(one.contains("one.csv") && one.contains("class"), "{one}");
    let few = refused(rows(4, |at| (at % 2).to_string()).as_bytes(), "few.csv");
    assert!(few.contains("few.csv"), "{few}");
    let unknown = refused(b"a", "rows.xyz");
    assert!(unknown.contains("rows.xyz"), "{unknown}");
}

#[test]
fn too_many_bad_rows_stop_the_run() {
    let mut text = rows(60, |at| (at % 2).to_string());
    text.push_str(&"oops,1,0\n".repeat(60));
    let error = refused(text.as_bytes(), "bad.csv");
    assert!(error.contains("bad.csv") && error.contains("reject"), "{error}");
}

#[test]
fn an_occupied_or_unwritable_folder_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("precious"), "kept").unwrap();
    let error = run(&job(&out), &key()).unwrap_err().to_string();
    assert!(error.contains("run"), "{error}");
    assert_eq!(std::fs::read_to_string(out.join("precious")).unwrap(), "kept");
    let error = run(&job(Path::new("/proc/nowhere/run")), &key()).unwrap_err().to_string();
    assert!(error.contains("/proc/nowhere"), "{error}");
}

#[test]
fn a_configuration_names_its_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    for (text, fault) in [
        ("surprise = 1", "surprise"),
        ("[training]\nepochs = -1", "-1"),
        ("[training]\nbatch_size = 100000", "training.batch_size"),
        ("[", "config"),
    ] {
        let mut job = job(&folder.path().join("run"));
        job.config = Some(text.to_owned());
        let error = run(&job, &key()).unwrap_err().to_string();
        assert!(error.contains(fault), "{text}: {error}");
        assert!(!job.out.exists());
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_the_hidden_folder_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("precious"), "kept").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join(".run.partial")).unwrap();
    assert!(run(&job(&folder.path().join("run")), &key()).is_err());
    assert_eq!(std::fs::read_to_string(victim.join("precious")).unwrap(), "kept");
}

/// The error of a run with a training file and a test file.
fn refused_pair(train: &str, test: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Box::new(Source::new(path))
    };
    let mut job = job(&folder.path().join("run"));
    job.input = Input::Files { train: source("train.csv", train), test: Some(source("test.csv", test)) };
    run(&job, &key()).unwrap_err().to_string()
}

#[test]
fn a_test_file_that_does_not_fit_the_training_file_is_refused() {
    let two = |at: usize| (at % 2).to_string();
    let columns = refused_pair(&rows(100, two), &rows(60, two).replace("a,b,label", "a,c,label"));
    assert!(columns.contains("test.csv") && columns.contains("\"b\""), "{columns}");
    let class = refused_pair(&rows(100, two), &numbered(100..160, |at| (at % 3).to_string()));
    assert!(class.contains("class \"2\""), "{class}");
    let junk = numbered(100..160, two) + &"1\n".repeat(60);
    let rejected = refused_pair(&rows(100, two), &junk);
    assert!(rejected.contains("test.csv") && rejected.contains("reject"), "{rejected}");
}

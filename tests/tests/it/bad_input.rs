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
    let row = |at: usize| format!("{},{},{}\n", (at * 37) % 101, (at * 53) % 97, label(at));
    format!("a,b,label\n{}", (0..n).map(row).collect::<String>())
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
    for (text, fault) in [("surprise = 1", "surprise"), ("[training]\nepochs = -1", "-1"), ("[", "config")] {
        let mut job = job(&folder.path().join("run"));
        job.config = Some(text.to_owned());
        let error = run(&job, &key()).unwrap_err().to_string();
        assert!(error.contains(fault), "{text}: {error}");
        assert!(!job.out.exists());
    }
}

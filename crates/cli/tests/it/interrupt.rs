//! SIGINT (Ctrl-C) and SIGTERM.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Home, PIPELINE, kill, names, wait};

#[cfg(unix)]
fn ended_by(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

/// Sent SIGINT at any moment, a run is whole or not there under its name, and no hidden folder is left either.
#[test]
fn ctrl_c_leaves_no_half_written_evidence() {
    let home = Home::new();
    let mut interrupted = 0;
    // The quick pipeline takes seconds: these moments lie before, within and near its end.
    for moment in [20, 150, 400, 900, 1600, 2500] {
        let mut running = home.command(&PIPELINE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        kill("INT", &running);
        let status = running.wait().unwrap();
        if home.path("run").exists() {
            // It was done: whole, and refused because its attacks are weak.
            assert_eq!(home.run(&["verify", "run"]).code, Some(2), "{moment} ms");
            std::fs::remove_dir_all(home.path("run")).unwrap();
        } else {
            // Before the program has begun to listen, the signal ends it as it does any program.
            assert!(status.code() == Some(130) || ended_by(status) == Some(2), "{moment} ms: {status}");
            interrupted += 1;
        }
        assert!(!home.path(".run.partial").exists(), "{moment} ms: {status}");
    }
    assert!(interrupted > 0, "every run was done before it was interrupted");
    let finished = home.run(&PIPELINE);
    assert_eq!(finished.code, Some(2), "{}", finished.err);
    assert_eq!(home.run(&["verify", "run"]).code, Some(2));
    assert_eq!(names(&home.path(".")), ["config", "quick.toml", "run", "state"]);
}

/// A run whose hidden folder is there.
fn under_way(home: &Home, command: &mut Command) -> Child {
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while !home.path(".run.partial").exists() {
        assert!(running.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_mins(1), "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    running
}

#[test]
fn a_signal_removes_the_unfinished_run_and_says_which_one_it_was() {
    let home = Home::new();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut running = under_way(&home, &mut home.command(&PIPELINE));
        kill(signal, &running);
        assert_eq!(wait(&mut running, Duration::from_secs(20)).code(), Some(code), "SIG{signal}");
        assert_eq!(names(&home.path(".")), ["config", "quick.toml", "state"], "SIG{signal}");
    }
}

/// Folders that were made above the run go with it; one that was there, or holds something, stays.
#[test]
fn a_signal_removes_the_folders_that_were_made_above_the_run() {
    let home = Home::new();
    std::fs::create_dir(home.path("old")).unwrap();
    let line = ["pipeline", "--quiet", "--config", "quick.toml", "--out", "old/new/newer/run"];
    let mut running = home.command(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !home.path("old/new/newer/.run.partial").exists() {
        assert!(running.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_mins(1), "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill("TERM", &running);
    assert_eq!(wait(&mut running, Duration::from_secs(20)).code(), Some(143));
    assert!(names(&home.path("old")).is_empty());
}

/// A shell starts background jobs with SIGINT ignored.
#[test]
fn a_signal_that_the_parent_ignores_is_heeded() {
    let home = Home::new();
    let inner = home.command(&PIPELINE);
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
    shell.current_dir(home.path(".")).env_remove("RUST_LOG");
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut running = under_way(&home, &mut shell);
    kill("INT", &running);
    assert_eq!(wait(&mut running, Duration::from_secs(20)).code(), Some(130));
    assert!(!home.path(".run.partial").exists());
}

//! Ctrl-C.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Home, PIPELINE, names};

/// Sent SIGINT at any moment, a run is whole or not there under its name; the next of that name is not in its way.
#[test]
fn ctrl_c_leaves_no_half_written_evidence() {
    let home = Home::new();
    let mut interrupted = 0;
    // The quick pipeline takes seconds: these moments lie before, within and near its end.
    for moment in [20, 150, 400, 900, 1600, 2500] {
        let mut running = home.command(&PIPELINE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", running.id())]).status().unwrap();
        let status = running.wait().unwrap();
        if home.path("run").exists() {
            // It was done: whole, and refused because its attacks are weak.
            assert_eq!(home.run(&["verify", "run"]).code, Some(2), "{moment} ms");
            std::fs::remove_dir_all(home.path("run")).unwrap();
        } else {
            assert!(sent.success() && status.code().is_none(), "{moment} ms: {status}");
            interrupted += 1;
        }
    }
    assert!(interrupted > 0, "every run was done before it was interrupted");
    let finished = home.run(&PIPELINE);
    assert_eq!(finished.code, Some(2), "{}", finished.err);
    assert_eq!(home.run(&["verify", "run"]).code, Some(2));
    assert_eq!(names(&home.path(".")), ["config", "quick.toml", "run"]);
}

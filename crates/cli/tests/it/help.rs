//! What the program says of itself: version, help, completions, man pages.

use std::process::Command;

use crate::support::{Home, names};

const COMMANDS: [&str; 11] = [
    "pipeline",
    "verify",
    "witness",
    "serve",
    "client",
    "revoke",
    "reassess",
    "account",
    "train",
    "completions",
    "man",
];

#[test]
fn the_version_names_the_revision_and_what_computes() {
    let home = Home::new();
    // git on the path fails if it is called: nothing looks at a repository when the program runs.
    std::fs::create_dir(home.path("bin")).unwrap();
    let told = home.command(&["--version"]).env("PATH", home.path("bin")).output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((told.status.code(), lines.len()), (Some(0), 3), "{text}");
    assert_eq!(lines[0], concat!("underpin ", env!("CARGO_PKG_VERSION")));
    assert_eq!(lines[2], "burn 0.22.1");
    let revision = lines[1].strip_prefix("revision ").unwrap();
    let manifest = env!("CARGO_MANIFEST_DIR");
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(manifest).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    match git(&["rev-parse", "HEAD"]) {
        Some(head) => assert_eq!(revision.trim_end_matches(" with changes"), head),
        None => assert_eq!(revision, "unknown"),
    }
}

#[test]
fn each_command_has_examples_exit_codes_and_the_global_options_apart() {
    let home = Home::new();
    for command in COMMANDS {
        let help = home.run(&[command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{command}");
        let global = help.out.split_once("Global options:").unwrap_or_else(|| panic!("{command}: {}", help.out)).1;
        assert!(
            ["--quiet", "--json", "--verbose", "--log-format"].iter().all(|option| global.contains(option)),
            "{global}"
        );
        let global = global.split("Example").next().unwrap_or_default();
        assert!(!global.contains("--key") && !global.contains("--seed"), "{command}: {global}");
        assert!(help.out.contains(&format!("underpin {command}")) && help.out.contains("Example"), "{}", help.out);
        assert!(help.out.contains("Exit codes: 0 "), "{}", help.out);
        assert_eq!(home.run(&["help", command]).out, help.out);
    }
}

/// `--key` names a private key that signs, `--trust` public keys that are trusted.
#[test]
fn key_signs_and_trust_verifies() {
    let home = Home::new();
    for (command, key, trust) in [
        ("pipeline", true, false),
        ("verify", false, true),
        ("witness", true, true),
        ("serve", false, true),
        ("revoke", true, true),
        ("reassess", true, false),
        ("train", true, false),
    ] {
        let help = home.run(&[command, "--help"]).out;
        assert_eq!((help.contains("--key <PEM>"), help.contains("--trust <PEM>")), (key, trust), "{command}: {help}");
    }
    let private = home.run(&["verify", "run", "--key", "key.pem"]);
    assert_eq!(private.code, Some(1));
    assert!(private.err.contains("unexpected argument '--key'"), "{}", private.err);
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.run(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{shell}");
        assert!(COMMANDS.iter().all(|command| script.out.contains(command)), "{shell}");
    }
    let page = home.run(&["man"]);
    assert_eq!(page.code, Some(0));
    assert!(page.out.contains(".TH underpin 1") && COMMANDS.iter().all(|command| page.out.contains(command)));
    assert_eq!(home.run(&["man", "man1"]).code, Some(0));
    let pages = names(&home.path("man1"));
    assert!(pages.contains(&"underpin.1".to_owned()), "{pages:?}");
    assert!(COMMANDS.iter().all(|command| pages.contains(&format!("underpin-{command}.1"))), "{pages:?}");
}

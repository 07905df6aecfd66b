use std::fs;

use underpin_core::Phase;

use super::sample::{Sample, hostile};
use super::*;

/// Writes the sample reports where `UNDERPIN_REPORTS` says, to be looked at.
#[test]
fn samples_are_written_on_demand() {
    let Ok(folder) = std::env::var("UNDERPIN_REPORTS") else { return };
    let folder = std::path::Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    let (good, bad, empty) = (Sample::good(), Sample::bad(), Sample::empty());
    for (name, text) in [
        ("cleared.html", html(&good.cleared())),
        ("refused.html", html(&bad.refused())),
        ("empty.html", html(&empty.refused())),
        ("card.md", model_card(&good.cleared())),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let _ = (Phase::ALL, hostile(""));
}

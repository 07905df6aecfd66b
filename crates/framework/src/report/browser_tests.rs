//! The page in a real browser: headless Chromium, at 1280 and 400 pixels.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::html;
use super::sample::Sample;

/// The browser, if there is one.
fn browser() -> Option<&'static str> {
    let answers = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let found = ["chromium", "chromium-browser"].into_iter().find(answers);
    if found.is_none() {
        println!("skipped: no `chromium` or `chromium-browser` on the path (Debian: apt-get install chromium)");
    }
    found
}

/// A page that measures the report from outside, since the report runs no script.
const PROBE: &str = r#"<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="report" src="report.html" style="border:0;width:WIDTHpx;height:2000px"></iframe><pre id="out">unmeasured</pre>
<script>
onload = () => {
  const page = document.getElementById("report").contentDocument, root = page.documentElement;
  const title = page.querySelector("h1"), box = title.getBoundingClientRect();
  const within = node => { let out = false; for (let n = node.parentElement; n; n = n.parentElement) {
    if (["auto", "scroll", "hidden"].includes(page.defaultView.getComputedStyle(n).overflowX)) out = true; } return out; };
  const wide = [...page.body.querySelectorAll("*")].filter(n => !n.closest(".hidden, .skip, .stacked thead") && !within(n)
    && n.getBoundingClientRect().right > root.clientWidth + 0.5);
  document.getElementById("out").textContent = JSON.stringify({
    verdict: title.innerText, visible: title.checkVisibility() && box.width > 0 && box.top >= 0 && box.bottom <= 600,
    overflow: root.scrollWidth - root.clientWidth, wide: wide.map(n => n.tagName + "." + n.getAttribute("class")).slice(0, 5) });
};
</script>"#;

fn measured(browser: &str, folder: &Path, width: u32) -> String {
    let probe = folder.join(format!("probe-{width}.html"));
    fs::write(&probe, PROBE.replace("WIDTH", &width.to_string())).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--window-size=1400,2100"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("file://{}", probe.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    let found = dom.split_once("<pre id=\"out\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    found.map(|(found, _)| found.to_owned()).unwrap_or(dom)
}

fn check(page: &str, verdict: &str) {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("report.html"), page).unwrap();
    for width in [1280, 400] {
        let found = measured(browser, folder.path(), width);
        let expected = format!("{{\"verdict\":\"{verdict}\",\"visible\":true,\"overflow\":0,\"wide\":[]}}");
        assert_eq!(found, expected, "at {width} pixels");
    }
}

#[test]
fn a_cleared_report_is_readable_in_a_browser() {
    check(&html(&Sample::good().cleared()), "CLEARED");
}

#[test]
fn a_refused_report_is_readable_in_a_browser() {
    check(&html(&Sample::bad().refused()), "REFUSED");
}

#[test]
fn long_words_do_not_widen_the_page() {
    let sample = super::sample::hostile(&"unbroken".repeat(40));
    check(&html(&sample.cleared()), "CLEARED");
}

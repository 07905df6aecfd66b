//! The page in a real browser: headless Chromium, at 1280 and 400 pixels.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::html;
use super::sample::{Sample, hostile};

const WIDTHS: [u32; 2] = [1280, 400];

/// The browser, if there is one.
fn browser() -> Option<&'static str> {
    let answers =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    ["chromium", "chromium-browser"].into_iter().find(answers)
}

/// Measures the reports from outside, since they run no script: of each frame the heading, whether it is visible
/// on the first screen, by how much the page is too wide, and what sticks out.
const PROBE: &str = r#"<script>
onload = () => { document.getElementById("out").textContent = [...document.querySelectorAll("iframe")].map(frame => {
  const page = frame.contentDocument, root = page.documentElement, style = node => frame.contentWindow.getComputedStyle(node);
  const title = page.querySelector("h1"), box = title.getBoundingClientRect();
  const scrolls = node => node && (["auto", "scroll", "hidden"].includes(style(node).overflowX) || scrolls(node.parentElement));
  const wide = [...page.body.querySelectorAll("*")].filter(node => !node.closest(".hidden, .skip, .stacked thead")
    && !scrolls(node.parentElement) && node.getBoundingClientRect().right > root.clientWidth + 0.5);
  const visible = title.checkVisibility() && box.width > 0 && box.top >= 0 && box.bottom <= 600;
  return [frame.src.split("/").pop(), frame.clientWidth, title.innerText, visible ? "visible" : "hidden",
    root.scrollWidth - root.clientWidth, ...wide.slice(0, 4).map(node => node.tagName + "." + node.getAttribute("class"))
  ].join(" "); }).join("\n"); };
</script><pre id="out">unmeasured</pre>"#;

/// What the probe says of the pages in `folder`, a line for each page and width.
fn measured(browser: &str, folder: &Path, names: &[&str]) -> String {
    let mut probe = format!("<!doctype html><meta charset=\"utf-8\">{PROBE}");
    for name in names {
        for width in WIDTHS {
            write!(probe, "<iframe src=\"{name}.html\" style=\"border:0;width:{width}px;height:900px\"></iframe>")
                .unwrap();
        }
    }
    fs::write(folder.join("probe.html"), probe).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,900"])
        .args(["--allow-file-access-from-files", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", folder.join("probe.html").display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = dom.split_once("<pre id=\"out\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    found.map(|(found, _)| found.to_owned()).unwrap_or(dom)
}

#[test]
fn a_browser_shows_the_verdict_and_needs_no_sideways_scrolling() {
    let Some(browser) = browser() else {
        println!("skipped: no `chromium` or `chromium-browser` on the path (Debian: apt-get install chromium)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (good, bad, empty) = (Sample::good(), Sample::bad(), Sample::empty());
    let (long, hostile) = (hostile(&"unbroken".repeat(40)), hostile("\"><script>document.body.remove()</script>"));
    let pages = [
        ("cleared", html(&good.cleared()), "CLEARED"),
        ("refused", html(&bad.refused()), "REFUSED"),
        ("empty", html(&empty.refused()), "REFUSED"),
        ("long", html(&long.cleared()), "CLEARED"),
        ("hostile", html(&hostile.refused()), "REFUSED"),
    ];
    let mut expected = Vec::new();
    for (name, page, verdict) in &pages {
        fs::write(folder.path().join(format!("{name}.html")), page).unwrap();
        expected.extend(WIDTHS.map(|width| format!("{name}.html {width} {verdict} visible 0")));
    }
    let found = measured(browser, folder.path(), &pages.each_ref().map(|(name, ..)| *name));
    assert_eq!(found, expected.join("\n"));
}

//! `report.html` in a real Chromium: nothing asked for, nothing complained of, everything there,
//! and usable by whoever cannot point or see.
//!
//! Without a browser the test is skipped, with a word on why; where `CI` is set it fails.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use pollpush::record::sample::Sample;

use crate::program::{Place, pollpush};

/// Longer than any loaded machine needs for a dozen pages.
const DEADLINE: Duration = Duration::from_mins(8);

/// What browsers of this kind are called.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The browser, the folder with the script that drives it, or what is missing.
fn tools() -> Result<(PathBuf, PathBuf), &'static str> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &str| {
        let places = env::split_paths(&path).map(|folder| folder.join(name));
        places.into_iter().find(|place| place.is_file())
    };
    let given = env::var_os("CHROMIUM").map(PathBuf::from);
    let browser = given.or_else(|| NAMES.iter().find_map(|name| on_path(name)));
    let browser = browser.ok_or("there is no Chromium; install `chromium`")?;
    on_path("node").ok_or("there is no `node`; install `nodejs` and `npm`")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if !script.join("node_modules/playwright-core").is_dir() {
        return Err("run `npm ci --prefix tests/browser` first");
    }
    Ok((browser, script))
}

/// The page of a run.
fn page(place: &Place, name: &str, sample: &Sample) -> PathBuf {
    let run = sample.write(&place.path(name)).unwrap();
    pollpush(["report".as_ref(), run.as_os_str()]).expect_code(&[0, 4]);
    run.join("report.html")
}

#[test]
fn the_page_of_a_run_works_in_a_browser_and_asks_for_nothing() {
    let (browser, script) = match tools() {
        Ok(tools) => tools,
        Err(missing) => {
            assert!(env::var_os("CI").is_none(), "{missing}");
            skipped(missing);
            return;
        }
    };
    let place = Place::new();
    let one = page(&place, "one", &Sample { blocks: 7, ..Sample::default() });
    let swept = Sample { rates: vec![5, 20], blocks: 6, ..Sample::default() };
    let swept = page(&place, "swept", &swept);
    let size = fs::metadata(&swept).unwrap().len();
    assert!(size < 1_000_000, "{size} bytes for two points");
    let output = Command::new("node")
        .arg(script.join("check.mjs"))
        .args([&one, &swept])
        .env("CHROMIUM", browser)
        .timeout(DEADLINE)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should know that one was not")]
fn skipped(missing: &str) {
    eprintln!("skipped: {missing}");
}

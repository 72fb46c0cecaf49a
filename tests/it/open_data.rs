//! What a run keeps and cites, read by the tools that its readers have.
//!
//! Without Python and the packages of `tests/open-data/requirements*.txt` the test is skipped, with
//! a word on why; where `CI` is set it fails. `just open-data` installs them and runs it.

use std::env;
use std::path::Path;
use std::process::{Command, Output};

use pollpush::record::sample::Sample;

use crate::program::{Place, pollpush};

/// The Python that has the packages.
const PYTHON: &str = "POLLPUSH_PYTHON";

fn python(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env::var_os(PYTHON).unwrap_or_else(|| "python3".into())).args(arguments).output()
}

#[test]
fn every_file_opens_in_the_tools_that_the_documents_name() {
    let packages = "import duckdb, hdrh, jsonschema, pandas, polars, pyarrow, pybtex";
    if !python(&["-c", packages]).is_ok_and(|ended| ended.status.success()) {
        let missing = "no Python with the packages; run `just open-data`";
        assert!(env::var_os("CI").is_none() && env::var_os(PYTHON).is_none(), "{missing}");
        skipped(missing);
        return;
    }
    let place = Place::new();
    // Enough events for every percentile, several subscribers and points.
    let sample = Sample { rates: vec![20, 200], blocks: 6, subscribers: 2, ..Sample::default() };
    let run = sample.write(&place.path("results")).unwrap();
    pollpush(["report".as_ref(), run.as_os_str()]).expect_code(&[0]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [script, page] =
        ["tests/open-data/check.py", "docs/open-data.md"].map(|file| root.join(file));
    let program = env!("CARGO_BIN_EXE_pollpush");
    let arguments =
        [&*script.to_string_lossy(), program, &*run.to_string_lossy(), &*page.to_string_lossy()];
    let ended = python(&arguments).unwrap();
    let [said, errors] =
        [&ended.stdout, &ended.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned());
    assert!(ended.status.success(), "{said}{errors}");
    assert!(said.ends_with("24 trials, 0 faults\n"), "{said}");
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should know that one was not")]
fn skipped(missing: &str) {
    eprintln!("skipped: {missing}");
}

//! The reference record of the repository: whole, citable, and what its records give.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::pollpush;

fn runs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/reference");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

#[test]
fn every_run_of_the_reference_record_verifies_and_can_be_cited() {
    let runs = runs();
    assert!(!runs.is_empty());
    for run in runs {
        // A summary that this program derives otherwise is derived anew by `just reference-report`.
        pollpush(["verify".as_ref(), run.as_os_str()]).expect_code(&[0]);
        pollpush(["cite".as_ref(), run.as_os_str()]).expect_code(&[0]);
    }
}

//! Every scenario file of the repository can be run.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Place, pollpush};

#[test]
fn every_scenario_file_passes_the_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut scenarios: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scenarios.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(!scenarios.is_empty());
    for scenario in scenarios {
        let ended = pollpush(["check".as_ref(), scenario.as_os_str(), "--format=json".as_ref()]);
        ended.expect_code(&[0]);
        let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert!(plan["trials"].as_array().is_some_and(|trials| !trials.is_empty()), "{plan}");
    }
}

#[test]
fn exported_scenarios_are_the_files_of_the_repository_and_never_overwrite() {
    let place = Place::new();
    let folder = place.path("exported");
    let export = || pollpush(["scenarios".as_ref(), "export".as_ref(), folder.as_os_str()]);
    export().expect_code(&[0]);
    let files = |folder: PathBuf| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_file()).collect()
    };
    let exported = [files(folder.clone()), files(folder.join("traces"))].concat();
    for exported in &exported {
        let original = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scenarios")
            .join(exported.strip_prefix(&folder).unwrap());
        assert_eq!(fs::read(exported).unwrap(), fs::read(original).unwrap());
    }
    assert!(exported.iter().any(|file| file.ends_with("traces/uv-main-2026-07.csv")));
    let again = export();
    again.expect_code(&[2]);
    assert!(again.stderr.contains("hint: name a folder without these files"), "{}", again.stderr);
}

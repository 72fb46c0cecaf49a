//! The scenarios that come with the program.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::scenario::schema::text as schema_text;
use crate::scenario::shelf::TRACES_FOLDER;

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// The name it can be run by; its file is `NAME.toml`.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

/// The scenarios of the `scenarios/` folder, the one to begin with first.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn { name: "quickstart", text: include_str!("../../scenarios/quickstart.toml") },
    BuiltIn { name: "mechanisms", text: include_str!("../../scenarios/mechanisms.toml") },
    BuiltIn {
        name: "payment-completed",
        text: include_str!("../../scenarios/payment-completed.toml"),
    },
    BuiltIn { name: "signup-email", text: include_str!("../../scenarios/signup-email.toml") },
    BuiltIn { name: "order-flow", text: include_str!("../../scenarios/order-flow.toml") },
    BuiltIn { name: "multi-step-flow", text: include_str!("../../scenarios/multi-step-flow.toml") },
    BuiltIn { name: "read-your-write", text: include_str!("../../scenarios/read-your-write.toml") },
    BuiltIn { name: "data-on-demand", text: include_str!("../../scenarios/data-on-demand.toml") },
    BuiltIn { name: "live-feed", text: include_str!("../../scenarios/live-feed.toml") },
    BuiltIn { name: "rare-events", text: include_str!("../../scenarios/rare-events.toml") },
    BuiltIn { name: "ci-trigger", text: include_str!("../../scenarios/ci-trigger.toml") },
    BuiltIn { name: "batch-import", text: include_str!("../../scenarios/batch-import.toml") },
    BuiltIn {
        name: "rate-limited-polling",
        text: include_str!("../../scenarios/rate-limited-polling.toml"),
    },
    BuiltIn { name: "fan-out", text: include_str!("../../scenarios/fan-out.toml") },
    BuiltIn { name: "receiver-outage", text: include_str!("../../scenarios/receiver-outage.toml") },
    BuiltIn { name: "outage", text: include_str!("../../scenarios/outage.toml") },
    BuiltIn { name: "kills", text: include_str!("../../scenarios/kills.toml") },
    BuiltIn {
        name: "long-poll-or-webhook",
        text: include_str!("../../scenarios/long-poll-or-webhook.toml"),
    },
    BuiltIn { name: "distances", text: include_str!("../../scenarios/distances.toml") },
    BuiltIn { name: "new-connections", text: include_str!("../../scenarios/new-connections.toml") },
    BuiltIn {
        name: "idle-connections",
        text: include_str!("../../scenarios/idle-connections.toml"),
    },
    BuiltIn { name: "large-events", text: include_str!("../../scenarios/large-events.toml") },
    BuiltIn { name: "lost-packets", text: include_str!("../../scenarios/lost-packets.toml") },
    BuiltIn { name: "nagle", text: include_str!("../../scenarios/nagle.toml") },
    BuiltIn { name: "rate-sweep", text: include_str!("../../scenarios/rate-sweep.toml") },
    BuiltIn { name: "crossover", text: include_str!("../../scenarios/crossover.toml") },
    BuiltIn { name: "break-even", text: include_str!("../../scenarios/break-even.toml") },
    BuiltIn { name: "solo-latency", text: include_str!("../../scenarios/solo-latency.toml") },
    BuiltIn { name: "signed-webhooks", text: include_str!("../../scenarios/signed-webhooks.toml") },
    BuiltIn { name: "tls-webhooks", text: include_str!("../../scenarios/tls-webhooks.toml") },
    BuiltIn { name: "a-a", text: include_str!("../../scenarios/a-a.toml") },
    BuiltIn { name: "known-delay", text: include_str!("../../scenarios/known-delay.toml") },
    BuiltIn { name: "null", text: include_str!("../../scenarios/null.toml") },
];

/// The traces beside them, each with its path.
pub(crate) const TRACES: &[(&str, &str)] =
    &[("traces/uv-main-2026-07.csv", include_str!("../../scenarios/traces/uv-main-2026-07.csv"))];

/// The name of the schema's file, which the first line of each scenario refers to.
const SCHEMA_FILE: &str = "scenario.schema.json";

/// Writes every built-in scenario, its traces and the schema into a folder, which is made if need be.
/// Returns the files written.
///
/// # Errors
///
/// When a file cannot be written, and before anything is written when one of them exists:
/// nothing is ever overwritten.
pub fn export(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let schema = schema_text();
    let files: Vec<(PathBuf, &str)> = BUILT_IN
        .iter()
        .map(|scenario| (folder.join(format!("{}.toml", scenario.name)), scenario.text))
        .chain(TRACES.iter().map(|(path, text)| (folder.join(path), *text)))
        .chain([(folder.join(SCHEMA_FILE), schema.as_str())])
        .collect();
    if let Some((existing, _)) = files.iter().find(|(file, _)| file.symlink_metadata().is_ok()) {
        let message = format!("{} exists and is not overwritten", existing.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    fs::create_dir_all(folder.join(TRACES_FOLDER))?;
    for (file, text) in &files {
        // `create_new` also refuses what appeared, or was linked, since the check above.
        OpenOptions::new().write(true).create_new(true).open(file)?.write_all(text.as_bytes())?;
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, SCHEMA_FILE, TRACES, export};
    use crate::scenario::{load, parse};
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_scenario_of_the_folder_is_built_in_and_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files = std::fs::read_dir(&folder)
            .expect("the folder")
            .map(|file| file.expect("a file").path());
        let scenarios: BTreeSet<String> = files
            .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
            .map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned())
            .collect();
        let built_in: BTreeSet<String> =
            BUILT_IN.iter().map(|scenario| scenario.name.to_owned()).collect();
        assert_eq!(scenarios, built_in);
        for scenario in BUILT_IN {
            assert!(
                scenario.text.starts_with("#:schema ./scenario.schema.json\n"),
                "{}",
                scenario.name
            );
            parse(scenario.name, scenario.text, &[]).expect(scenario.name);
        }
    }

    #[test]
    fn an_export_writes_everything_once_and_overwrites_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("a/b");
        let written = export(&target).expect("written");
        assert_eq!(written.len(), BUILT_IN.len() + TRACES.len() + 1);
        assert_eq!(load(&written[0], &[]).expect("a scenario").text, BUILT_IN[0].text);
        assert_eq!(export(&target).expect_err("again").kind(), std::io::ErrorKind::AlreadyExists);
        std::fs::remove_dir_all(&target).expect("removed");
        std::fs::create_dir(&target).expect("made");
        std::os::unix::fs::symlink("/nowhere/to/be/found", target.join(SCHEMA_FILE))
            .expect("a link");
        assert_eq!(export(&target).expect_err("a link").kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_dir(&target).expect("the folder").count(), 1);
    }
}

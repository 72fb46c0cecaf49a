//! The noise floor: how far apart two identical strategies came on a machine.
//!
//! Runs keep the one they were made under in their manifest. Between runs it is kept in a file
//! beside other machines' and arrangements', which is no part of any run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::atomic;
use super::environment::Environment;
use super::manifest::read_run_id;

/// The version of the file that keeps noise floors; a reader refuses any other.
pub const NOISE_FLOOR_SCHEMA: &str = "pollpush/noise-floor/1";

/// The largest file that is read, in bytes: that of hundreds of machines.
const LARGEST_FILE: u64 = 1 << 20;

/// How far apart two identical strategies came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseFloor {
    /// The run that measured it.
    #[serde(deserialize_with = "read_run_id")]
    pub run_id: String,
    /// When that run ended.
    pub measured: Timestamp,
    /// How the processes shared the machine, as [`Manifest::arrangement`] says it.
    ///
    /// [`Manifest::arrangement`]: super::manifest::Manifest::arrangement
    pub arrangement: String,
    /// The mechanism that was compared with itself.
    pub mechanism: String,
    /// Blocks.
    pub blocks: u32,
    /// For each measure how many times the larger was the smaller, as far as the interval of
    /// the ratio reaches; at least 1.
    pub factors: BTreeMap<String, f64>,
}

/// What a machine is known by, from one boot to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The kernel's random id of this boot.
    pub boot_id: String,
    /// Model name of the first CPU.
    pub cpu_model: Option<String>,
    /// `release`, or `debug` where checks slow the program down.
    pub build_profile: String,
}

impl Machine {
    /// The machine of an environment that was captured here; `None` where the kernel does not
    /// tell its boots apart.
    #[must_use]
    pub fn here(environment: &Environment) -> Option<Machine> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Machine {
            boot_id: boot_id.trim().to_owned(),
            cpu_model: environment.cpu_model.clone(),
            build_profile: environment.build_profile.clone(),
        })
    }
}

/// The file: one noise floor for each machine and arrangement.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    schema: String,
    floors: Vec<KeptFloor>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptFloor {
    machine: Machine,
    floor: NoiseFloor,
}

/// Why a noise floor could not be kept, or one that was kept not be found again.
#[derive(Debug, thiserror::Error)]
pub enum NoiseFloorError {
    /// The system does not let the file be read or written.
    #[error("`{}` is out of reach", path.display())]
    OutOfReach {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is damaged, or was written by something else.
    #[error("`{}` is not as this program writes it: {message}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// The noise floor that a file keeps of a machine and an arrangement; `None` without one, or without
/// the file.
///
/// # Errors
///
/// When the file cannot be read, or is not one that [`keep`] has written.
pub fn kept(
    path: &Path,
    machine: &Machine,
    arrangement: &str,
) -> Result<Option<NoiseFloor>, NoiseFloorError> {
    let floors = read(path)?.into_iter();
    let mut own =
        floors.filter(|kept| kept.machine == *machine && kept.floor.arrangement == arrangement);
    Ok(own.next().map(|kept| kept.floor))
}

/// Keeps a machine's noise floor in a file, in place of an earlier one of its
/// arrangement.
///
/// # Errors
///
/// When the file cannot be written, and when what is there is not one of ours: it is left alone.
pub fn keep(path: &Path, machine: Machine, floor: NoiseFloor) -> Result<(), NoiseFloorError> {
    let mut floors = read(path)?;
    floors.retain(|kept| kept.machine != machine || kept.floor.arrangement != floor.arrangement);
    floors.push(KeptFloor { machine, floor });
    let kept = Kept { schema: NOISE_FLOOR_SCHEMA.to_owned(), floors };
    let mut text = serde_json::to_string_pretty(&kept).expect("text keys and finite numbers");
    text.push('\n');
    path.parent()
        .map_or(Ok(()), atomic::create_folders)
        .and_then(|()| atomic::replace(path, text.as_bytes()))
        .map_err(|source| NoiseFloorError::OutOfReach { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<KeptFloor>, NoiseFloorError> {
    let out_of_reach = |source| NoiseFloorError::OutOfReach { path: path.to_owned(), source };
    let foreign = |message| NoiseFloorError::Foreign { path: path.to_owned(), message };
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(out_of_reach)?,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(out_of_reach)?;
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))?;
    if kept.schema != NOISE_FLOOR_SCHEMA {
        return Err(foreign(format!("it has schema `{}`", kept.schema)));
    }
    let mut factors = kept.floors.iter().flat_map(|kept| kept.floor.factors.values());
    match factors.find(|factor| !(1.0..f64::INFINITY).contains(*factor)) {
        Some(factor) => Err(foreign(format!("{factor} is no factor of at least 1"))),
        None => Ok(kept.floors),
    }
}

#[cfg(test)]
mod tests {
    use super::{Machine, NoiseFloor, NoiseFloorError, keep, kept};
    use crate::record::environment::Environment;
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    fn machine(boot_id: &str) -> Machine {
        Machine {
            boot_id: boot_id.to_owned(),
            cpu_model: Some("Simulated CPU".to_owned()),
            build_profile: "release".to_owned(),
        }
    }

    fn floor(arrangement: &str, p50: f64) -> NoiseFloor {
        NoiseFloor {
            run_id: "3f9a1c20".repeat(8),
            measured: Timestamp::UNIX_EPOCH,
            arrangement: arrangement.to_owned(),
            mechanism: "webhook".to_owned(),
            blocks: 10,
            factors: BTreeMap::from([("latency.p50".to_owned(), p50)]),
        }
    }

    #[test]
    fn every_machine_and_arrangement_has_a_floor_of_its_own_and_the_last_one_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("not/there/yet.json");
        assert_eq!(kept(&path, &machine("a"), "solo").expect("no file"), None);
        for (boot, layout, p50) in
            [("a", "solo", 1.1), ("a", "side-by-side", 1.2), ("b", "solo", 1.3), ("a", "solo", 1.4)]
        {
            keep(&path, machine(boot), floor(layout, p50)).expect("kept");
        }
        for (boot, layout, expected) in [
            ("a", "solo", Some(1.4)),
            ("a", "side-by-side", Some(1.2)),
            ("b", "solo", Some(1.3)),
            ("b", "side-by-side", None),
            ("c", "solo", None),
        ] {
            let found = kept(&path, &machine(boot), layout).expect("read");
            assert_eq!(found, expected.map(|p50| floor(layout, p50)), "{boot} {layout}");
        }
    }

    #[test]
    fn what_is_broken_or_foreign_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("noise-floor.json");
        let absurd = |factor: &str| {
            keep(&path, machine("a"), floor("solo", 2.5)).expect("kept");
            let text = std::fs::read_to_string(&path).expect("read").replace("2.5", factor);
            std::fs::remove_file(&path).expect("removed");
            text
        };
        let of_no_run = absurd("2.5").replace("3f9a", "3F/a");
        for text in [
            String::new(),
            "{".to_owned(),
            "{\"schema\":\"pollpush/noise-floor/2\",\"floors\":[]}".to_owned(),
            "{\"schema\":\"pollpush/noise-floor/1\",\"floors\":[],\"x\":1}".to_owned(),
            absurd("0.5"),
            absurd("1e999"),
            of_no_run,
        ] {
            std::fs::write(&path, &text).expect("written");
            assert!(kept(&path, &machine("a"), "solo").is_err(), "{text}");
            assert!(keep(&path, machine("a"), floor("solo", 1.0)).is_err(), "{text}");
            assert_eq!(std::fs::read_to_string(&path).expect("read"), text);
            std::fs::remove_file(&path).expect("removed");
        }
        std::fs::write(&path, "{\"schema\":\"x\",\"floors\":[]}").expect("written");
        let error = kept(&path, &machine("a"), "solo").expect_err("foreign");
        assert!(matches!(error, NoiseFloorError::Foreign { .. }), "{error}");
        let error = kept(folder.path(), &machine("a"), "solo").expect_err("a folder");
        assert!(matches!(error, NoiseFloorError::OutOfReach { .. }), "{error}");
    }

    #[test]
    fn this_machine_is_known_by_its_boot() {
        let environment = Environment::capture();
        let here = Machine::here(&environment).expect("Linux tells its boot");
        assert!(!here.boot_id.is_empty() && !here.boot_id.contains('\n'));
        assert_eq!(Machine::here(&environment), Some(here));
    }
}

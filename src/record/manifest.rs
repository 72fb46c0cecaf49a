//! The manifest: what was planned, with what, on which machine, and what every file hashes to.
//!
//! It tells evidence from reports. The run id covers the manifest with the digests of all evidence,
//! so whoever cites it cites every byte that was measured. Reports are made anew by newer versions;
//! their digests are kept apart, under a seal of their own, and change no id.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::atomic;
use super::environment::Environment;
use super::error::RecordError;
use super::folder::MANIFEST_FILE;
use super::noise_floor::NoiseFloor;
use super::trial::StrategyRecord;
use crate::affinity::Placement;
use crate::aim::Aims;
use crate::digest::{is_sha256, sha256};
use crate::fault::Fault;
use crate::network::asked::Network;
use crate::schedule::Arrivals;
use crate::stopping::{StopReason, StoppingRule};
use crate::units::{Bytes, Rate, duration_text, some_duration_text};

/// The version of [`Manifest`]; a reader refuses any other.
pub const MANIFEST_SCHEMA: &str = "pollpush/manifest/2";

/// Everything about a run that is not a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`MANIFEST_SCHEMA`].
    pub schema: String,
    /// Identifies the run; see [`Manifest::identity`].
    #[serde(deserialize_with = "read_run_id")]
    pub run_id: String,
    /// The program that made the run.
    pub tool: ToolRecord,
    /// How far the run came.
    pub status: RunStatus,
    /// When the run started; a label.
    pub started: Timestamp,
    /// When it ended; absent while it runs and after it was killed.
    pub finished: Option<Timestamp>,
    /// When it went on after it had been interrupted or killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Timestamp>,
    /// The scenario's title.
    pub title: String,
    /// The question it answers.
    pub question: Option<String>,
    /// The values given beside the scenario file, as `path=value`, in order.
    pub overrides: Vec<String>,
    /// The fault that was planted on purpose; absent from a run that measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected: Option<Fault>,
    /// The seed everything random derives from.
    pub seed: u64,
    /// Whether strategies shared a source: `side-by-side` or `solo`.
    pub layout: String,
    /// Blocks at each point; with a stopping rule, the most.
    pub blocks: u32,
    /// When a point has blocks enough; absent where their number is fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<StoppingRule>,
    /// What is wanted of the strategies; absent if nothing is.
    #[serde(default, skip_serializing_if = "Aims::is_empty")]
    pub aims: Aims,
    /// The combinations of swept parameters; one without a sweep.
    pub points: Vec<PlannedPoint>,
    /// Trials that were planned; with a stopping rule, the most.
    pub trials: u32,
    /// Where a stopping rule ended the points, as they ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped: Vec<StoppedPoint>,
    /// Points that a search along a swept parameter did not need, as it ruled them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ruled_out: Vec<u32>,
    /// The machine.
    pub environment: Environment,
    /// How far apart two identical strategies came on it, in the same arrangement and not long
    /// before; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<NoiseFloor>,
    /// SHA-256 of every file of evidence by its relative path: scenario, trial records, ledgers,
    /// histograms and traces; empty until the end.
    pub files: BTreeMap<String, String>,
    /// What was made of the evidence; absent until then. Not covered by the run id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived: Option<Derived>,
}

/// What was made of a run's evidence, and by which program: tables, reports and charts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The program that made them, which may be newer than the one that measured.
    pub tool: ToolRecord,
    /// SHA-256 of every such file by its relative path.
    pub files: BTreeMap<String, String>,
    /// SHA-256 of the run id and of the two members above; see [`Manifest::seal_of_derived`].
    pub seal: String,
}

/// The program that made a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRecord {
    /// Release version.
    pub version: String,
    /// Source revision, or `unknown`.
    pub commit: String,
}

impl ToolRecord {
    /// This program.
    #[must_use]
    pub fn this() -> ToolRecord {
        ToolRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("POLLPUSH_COMMIT").to_owned(),
        }
    }
}

/// How far a run came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// It is being measured, or was killed.
    #[default]
    Running,
    /// Every planned trial ended.
    Complete,
    /// The user stopped it.
    Interrupted,
}

/// How a stopping rule ended a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppedPoint {
    /// The point's place in the plan, counted from zero.
    pub point: u32,
    /// Blocks that were run at it.
    pub blocks: u32,
    /// How often the blocks so far were looked at, each time with the chance to stop.
    pub looks: u32,
    /// Why it was measured no further.
    pub reason: StopReason,
}

/// One combination of swept parameters, and what was planned at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPoint {
    /// The swept parameters, as written in the scenario; empty without a sweep.
    pub parameters: BTreeMap<String, String>,
    /// The events asked for.
    pub workload: PlannedWorkload,
    /// The strategies compared, in the scenario's order.
    pub strategies: Vec<StrategyRecord>,
    /// The CPUs that processes are pinned to; absent when they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// How long before each event the pacer spins; absent when it does not.
    #[serde(default, with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    pub spin: Option<Duration>,
}

/// The events asked for at a point, and the path they take; the schedule's seed differs from block to block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedWorkload {
    /// Mean events per second.
    pub rate: Rate,
    /// How they are spaced.
    pub arrivals: Arrivals,
    /// Size of an event's `data`.
    pub payload: Bytes,
    /// Time before the measured window, in which events flow but do not count.
    #[serde(with = "duration_text")]
    pub warm_up: Duration,
    /// Length of the measured window.
    #[serde(with = "duration_text")]
    pub window: Duration,
    /// How long after the window outstanding events are waited for, at most.
    #[serde(with = "duration_text")]
    pub drain: Duration,
    /// The round trip of the path; absent when there is none.
    #[serde(default, with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    pub rtt: Option<Duration>,
    /// Everything about the path, and the tier it was made with; absent on bare loopback, and in
    /// records from before this was kept, whose paths were delays inside the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
}

/// Reads the id of a run. It goes into names and citations, where a text of any letters could mean
/// something else.
///
/// # Errors
///
/// When it is none that [`Manifest::identity`] gives.
pub(super) fn read_run_id<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let id = String::deserialize(input)?;
    if is_sha256(&id) {
        return Ok(id);
    }
    Err(D::Error::custom("a run id is a SHA-256 of 64 lower-case hexadecimal digits"))
}

impl Default for Manifest {
    /// A run of nothing, for `..Manifest::default()`.
    fn default() -> Manifest {
        Manifest {
            schema: MANIFEST_SCHEMA.to_owned(),
            run_id: String::new(),
            tool: ToolRecord::default(),
            status: RunStatus::Running,
            started: Timestamp::UNIX_EPOCH,
            finished: None,
            resumed: Vec::new(),
            title: String::new(),
            question: None,
            overrides: Vec::new(),
            injected: None,
            seed: 0,
            layout: "side-by-side".to_owned(),
            blocks: 0,
            stopping: None,
            aims: Aims::default(),
            points: Vec::new(),
            trials: 0,
            stopped: Vec::new(),
            ruled_out: Vec::new(),
            environment: Environment::default(),
            noise_floor: None,
            files: BTreeMap::new(),
            derived: None,
        }
    }
}

/// Members of the manifest that its identity does not cover: itself, and what may be made anew.
const NOT_IDENTIFIED: [&str; 2] = ["run_id", "derived"];

/// Members of the manifest that say when the run ran and how it went, not what was planned.
const OF_THE_MOMENT: [&str; 10] = [
    "run_id",
    "status",
    "started",
    "finished",
    "resumed",
    "stopped",
    "ruled_out",
    "noise_floor",
    "files",
    "derived",
];

impl Manifest {
    /// The run id these contents have: SHA-256, in hexadecimal, of the manifest as compact JSON
    /// with sorted keys, without `run_id` and `derived`.
    ///
    /// From the end of a run on it covers the digest of every file of evidence and stays the same,
    /// whatever reports are made. Until then it covers what is known so far, and changes.
    ///
    /// # Panics
    ///
    /// Never: a manifest is always JSON.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut value = serde_json::to_value(self).expect("a manifest has only text keys");
        let members = value.as_object_mut().expect("a struct is an object");
        members.retain(|name, _| !NOT_IDENTIFIED.contains(&name.as_str()));
        canonical_digest(&value)
    }

    /// The seal of a list of derived files of this run, so that a changed digest is not mistaken
    /// for a changed file.
    #[must_use]
    pub fn seal_of_derived(&self, derived: &Derived) -> String {
        let Derived { tool, files, seal: _ } = derived;
        let value = serde_json::json!({ "run_id": self.run_id, "tool": tool, "files": files });
        canonical_digest(&value)
    }

    /// The manifest as it is written: the same contents are always the same bytes.
    ///
    /// # Panics
    ///
    /// Never: a manifest is always JSON.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest has only text keys");
        text.push('\n');
        text
    }

    /// The first member in which a run differs from another that was planned and begun the same
    /// way; `None` if they only ran at other times and came to other ends.
    ///
    /// # Panics
    ///
    /// Never: a manifest is always JSON.
    #[must_use]
    pub fn first_difference(&self, other: &Manifest) -> Option<String> {
        let planned = |manifest: &Manifest| {
            let mut value = serde_json::to_value(manifest).expect("a manifest has only text keys");
            let members = value.as_object_mut().expect("a struct is an object");
            members.retain(|name, _| !OF_THE_MOMENT.contains(&name.as_str()));
            value["environment"]["load_average"].take();
            value
        };
        let (mine, others) = (planned(self), planned(other));
        let names: BTreeSet<&String> = [&mine, &others]
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(|o| o.keys())
            .collect();
        names.into_iter().find(|name| mine.get(name) != others.get(name)).cloned()
    }

    /// How the processes share the machine, in words: the layout, and whether they are pinned to
    /// CPUs and the pacer spins.
    #[must_use]
    pub fn arrangement(&self) -> String {
        let pinned = self.points.iter().any(|point| point.placement.is_some());
        let spinning = self.points.iter().any(|point| point.spin.is_some());
        let pinned = if pinned { ", pinned" } else { "" };
        let spinning = if spinning { ", spinning" } else { "" };
        format!("{}{pinned}{spinning}", self.layout)
    }

    /// How the stopping rule ended a point; `None` if it has not, or there is no rule.
    #[must_use]
    pub fn stopped_at(&self, point: u32) -> Option<StoppedPoint> {
        self.stopped.iter().find(|stopped| stopped.point == point).copied()
    }

    /// The points that were to be measured, with their places in the plan: all but those that a
    /// search ruled out.
    pub fn searched_points(&self) -> impl Iterator<Item = (u32, &PlannedPoint)> + Clone {
        (0..).zip(&self.points).filter(|(point, _)| !self.ruled_out.contains(point))
    }

    /// Blocks that a point was to have: those it was stopped after, or all that were planned.
    #[must_use]
    pub fn blocks_of(&self, point: u32) -> u32 {
        self.stopped_at(point).map_or(self.blocks, |stopped| stopped.blocks)
    }

    /// Writes the manifest into the run's folder, replacing an earlier one.
    pub(super) fn write(&self, root: &Path) -> Result<(), RecordError> {
        atomic::write(&root.join(MANIFEST_FILE), self.text().as_bytes())
    }

    /// The name of the folder of a run that begins: start, title, and the start of the run id as
    /// it is then. It tells plans apart that begin in the same second; the run id of the end is
    /// another.
    #[must_use]
    pub fn folder_name(&self) -> String {
        let id: String = self.run_id.chars().take(8).collect();
        format!("{}-{}-{id}", self.started.strftime("%Y-%m-%dT%H%M%SZ"), slug(&self.title))
    }
}

fn canonical_digest(value: &Value) -> String {
    let mut canonical = String::new();
    write_sorted(value, &mut canonical);
    sha256(canonical.as_bytes())
}

/// Compact JSON whose objects have sorted keys, whatever order the library keeps them in.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            text.push('{');
            for (place, (name, member)) in members.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(member, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_sorted(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// Letters a slug has at most, so that names stay short enough for every file system.
const SLUG_LENGTH: usize = 40;

/// A title as part of a file name: lower-case ASCII letters, digits and single hyphens.
#[must_use]
pub fn slug(title: &str) -> String {
    let mut slug = String::new();
    for letter in title.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == SLUG_LENGTH {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "run".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Derived, Manifest, RunStatus, StoppedPoint, slug, write_sorted};
    use crate::stopping::StopReason;
    use jiff::Timestamp;

    fn manifest() -> Manifest {
        let started = "2026-11-23T10:45:12.5Z".parse().expect("a time");
        Manifest { title: "Order status".into(), started, ..Manifest::default() }
    }

    #[test]
    fn the_identity_covers_how_the_run_went_and_every_digest_of_evidence() {
        let start = manifest();
        assert_eq!(start.identity().len(), 64);
        let changes: [fn(&mut Manifest); 6] = [
            |end| end.status = RunStatus::Complete,
            |end| end.finished = Some(Timestamp::UNIX_EPOCH),
            |end| _ = end.files.insert("scenario.toml".into(), "00".into()),
            |end| end.seed = 8,
            |end| end.ruled_out.push(3),
            |end| {
                let reason = StopReason::Narrow;
                end.stopped.push(StoppedPoint { point: 0, blocks: 8, looks: 3, reason });
            },
        ];
        for change in changes {
            let mut end = start.clone();
            change(&mut end);
            assert_ne!(end.identity(), start.identity());
        }
    }

    #[test]
    fn runs_of_one_plan_differ_in_nothing_but_the_moment() {
        let mut later = manifest();
        later.started = "2026-01-02T03:04:05Z".parse().expect("a moment");
        later.status = RunStatus::Interrupted;
        later.environment.load_average = Some([1.0, 2.0, 3.0]);
        assert_eq!(later.first_difference(&manifest()), None);
        later.environment.cpu_logical = Some(64);
        assert_eq!(later.first_difference(&manifest()).as_deref(), Some("environment"));
        let other = Manifest { seed: 8, ..manifest() };
        assert_eq!(other.first_difference(&manifest()).as_deref(), Some("seed"));
    }

    #[test]
    fn reports_change_no_identity_and_have_a_seal_of_their_own() {
        let mut run = manifest();
        run.run_id = run.identity();
        let derived = Derived::default();
        let mut other = derived.clone();
        other.files.insert("report.md".into(), "00".into());
        assert_ne!(run.seal_of_derived(&derived), run.seal_of_derived(&other));
        let mut of_another = run.clone();
        of_another.run_id = "00".into();
        assert_ne!(run.seal_of_derived(&other), of_another.seal_of_derived(&other));
        run.derived = Some(other);
        assert_eq!(run.identity(), run.run_id);
    }

    #[test]
    fn canonical_json_has_sorted_keys_and_no_spaces() {
        let value = serde_json::json!({"b": [1, {"z": null, "a": "\"ä"}], "a": 0.5});
        let mut text = String::new();
        write_sorted(&value, &mut text);
        assert_eq!(text, r#"{"a":0.5,"b":[1,{"a":"\"ä","z":null}]}"#);
    }

    #[test]
    fn a_folder_is_named_for_its_start_and_title() {
        let mut manifest = manifest();
        manifest.run_id = "3f9a1c20ffff".into();
        assert_eq!(manifest.folder_name(), "2026-11-23T104512Z-order-status-3f9a1c20");
    }

    #[test]
    fn the_name_of_a_folder_is_one_part_of_a_path_whatever_is_in_the_manifest() {
        let titles =
            ["", "..", "../../x", "a\0b", "a/b\\c", "\u{202e}\n\u{1f980}", "CON", "~", "-"];
        for started in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            for title in titles {
                let mut manifest = Manifest { title: title.into(), started, ..manifest() };
                manifest.run_id = manifest.identity();
                let again: Manifest = serde_json::from_str(&manifest.text()).expect("read");
                let name = again.folder_name();
                let harmless = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
                assert!(name.chars().all(harmless) && name.len() < 100, "{name}");
            }
        }
    }

    #[test]
    fn a_run_id_that_is_no_digest_is_refused() {
        let mut run = manifest();
        run.run_id = run.identity();
        assert_eq!(serde_json::from_str::<Manifest>(&run.text()).expect("read"), run);
        let digest = run.run_id.clone();
        for id in
            ["", "3f9a1c20", &digest.replacen(char::is_numeric, "/", 1), &digest.to_uppercase()]
        {
            run.run_id = id.to_owned();
            let refused = serde_json::from_str::<Manifest>(&run.text()).expect_err("no digest");
            assert_eq!(refused.line(), 3, "{refused}");
            assert!(refused.to_string().contains("a run id is a SHA-256"), "{refused}");
        }
    }

    #[test]
    fn slugs_are_harmless_file_names() {
        for (title, expected) in [
            ("Order status", "order-status"),
            ("../../etc/passwd", "etc-passwd"),
            ("Größe: 5 %", "gr-e-5"),
            ("", "run"),
            ("😀", "run"),
        ] {
            assert_eq!(slug(title), expected);
        }
        assert!(slug(&"long ".repeat(50)).len() <= 40);
    }

    #[test]
    fn unknown_members_are_refused() {
        let mut run = manifest();
        run.run_id = run.identity();
        let mut value = serde_json::to_value(run).expect("JSON");
        assert!(serde_json::from_value::<Manifest>(value.clone()).is_ok());
        value["surprise"] = true.into();
        assert!(serde_json::from_value::<Manifest>(value).is_err());
    }
}

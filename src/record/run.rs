//! A run folder as it is read: a run of last year, or one that was killed while measured.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::RecordError;
use super::folder::{MANIFEST_FILE, SCENARIO_FILE, TRIALS_FILE};
use super::histogram::{HistogramLog, LARGEST_LOG};
use super::ledger::Ledger;
use super::manifest::{MANIFEST_SCHEMA, Manifest};
use super::numbers::Bounded;
use super::seals::{self, Difference};
use super::trial::{TRIAL_SCHEMA, TrialRecord};
use super::{atomic, parquet_file, plain};
use crate::schedule::{Arrivals, LARGEST_TRACE, Trace};
use crate::units::Bytes;

/// The largest manifest that is read. A thousand points of sixteen strategies are 32 MB, several
/// times that if much goes wrong on purpose, and the digests of the files of as many trial records
/// as are read are 40 MB.
pub(super) const LARGEST_MANIFEST: Bytes = Bytes(256 << 20);

/// The most that is read of trial records. One is 13 KB, so those of four strategies in trials of
/// half a minute, for the week that a run takes at most, are 1 GiB.
pub(super) const LARGEST_TRIALS: Bytes = Bytes(2 << 30);

/// The largest scenario that is read: one of more than 256 KiB is not run.
const LARGEST_SCENARIO: Bytes = Bytes(1 << 20);

/// A run folder opened for reading. Ledgers and histograms are read when asked for.
#[derive(Clone, Debug)]
pub struct Run {
    root: PathBuf,
    /// What was planned, with what, on which machine.
    pub manifest: Manifest,
    /// The scenario file, verbatim.
    pub scenario: String,
    /// The trial records, in the order in which they ended.
    pub records: Vec<TrialRecord>,
    /// What the reader should know about the folder, in words for the user.
    pub notes: Vec<String>,
}

impl Run {
    /// Opens a run folder.
    ///
    /// A last line of `trials.jsonl` without its newline was being written when the run was
    /// killed; it is left out and noted.
    ///
    /// # Errors
    ///
    /// When a file is missing, is no plain file, is larger than any that is written, is of an unknown
    /// version, or is malformed anywhere else.
    pub fn open(path: &Path) -> Result<Run, RecordError> {
        let manifest = manifest_of(path)?;
        let Written { records, whole, length } = Written::read(path)?;
        let mut notes = Vec::new();
        if whole < length {
            notes.push(format!(
                "the last line of `{TRIALS_FILE}` is torn: the run was killed while it was \
                 written; the {} trial records before it are whole",
                records.len()
            ));
        }
        let (records, superseded) = latest(records);
        if superseded > 0 {
            notes.push(format!(
                "the run went on after an interruption; {superseded} trial records from before it \
                 are of trials that were run again, and the later ones are used"
            ));
        }
        let scenario = plain::read_text(&path.join(SCENARIO_FILE), LARGEST_SCENARIO)?;
        Ok(Run { root: path.to_owned(), manifest, scenario, records, notes })
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The ledger of a trial; `None` if the trial was not measured or kept only histograms.
    ///
    /// # Errors
    ///
    /// When the record's path leaves the folder, or the file is missing or damaged.
    pub fn ledger(&self, record: &TrialRecord) -> Result<Option<Ledger>, RecordError> {
        let relative = record.measured.as_ref().and_then(|measured| measured.ledger.as_ref());
        relative
            .map(|relative| parquet_file::read(&plain::inside(&self.root, relative)?))
            .transpose()
    }

    /// The trace that arrivals replay; `None` if they replay none.
    ///
    /// # Errors
    ///
    /// When the record's path leaves the folder, or the file is missing or not the one that was
    /// replayed.
    pub fn trace(&self, arrivals: &Arrivals) -> Result<Option<Trace>, RecordError> {
        let Arrivals::Trace(replay) = arrivals else { return Ok(None) };
        let path = plain::inside(&self.root, &replay.file)?;
        let bytes = plain::read(&path, LARGEST_TRACE)?;
        replay.trace(&bytes).map(Some).map_err(|error| RecordError::damaged(&path, &error))
    }

    /// The histogram log of a trial; `None` if the trial was not measured.
    ///
    /// # Errors
    ///
    /// When the record's path leaves the folder, or the file is missing or damaged.
    pub fn histogram(&self, record: &TrialRecord) -> Result<Option<HistogramLog>, RecordError> {
        let Some(measured) = &record.measured else { return Ok(None) };
        let path = plain::inside(&self.root, &measured.histogram)?;
        let bytes = plain::read(&path, LARGEST_LOG)?;
        let log = HistogramLog::decode(bytes);
        log.map(Some).map_err(|error| RecordError::damaged(&path, &error))
    }

    /// Compares the folder with its manifest: every file of evidence and every report, what is
    /// missing and what was added. None if nothing differs.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn verify(&self) -> Result<Vec<Difference>, RecordError> {
        seals::differences(&self.root, &self.manifest)
    }

    /// Compares only what was measured with the manifest: reports may be made anew, evidence
    /// may not. The manifest of a run that was killed holds no digests to compare with.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn verify_evidence(&self) -> Result<Vec<Difference>, RecordError> {
        seals::of_evidence(&self.root, &self.manifest)
    }
}

/// What was written into `trials.jsonl`.
pub(super) struct Written {
    /// Every record, also those of trials that were run again later.
    pub(super) records: Vec<TrialRecord>,
    /// Bytes of the file that are whole lines.
    pub(super) whole: usize,
    /// All its bytes.
    pub(super) length: usize,
}

impl Written {
    /// Reads the trial records of a run folder. A last line without its newline is not looked at:
    /// it may end within a letter.
    pub(super) fn read(root: &Path) -> Result<Written, RecordError> {
        let path = root.join(TRIALS_FILE);
        let bytes = plain::read(&path, LARGEST_TRIALS)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = str::from_utf8(&bytes[..whole]).map_err(|error| RecordError::Malformed {
            path: path.clone(),
            line: bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count(),
            message: error.to_string(),
        })?;
        let records = (1..)
            .zip(text.lines())
            .map(|(line, text)| parse(&path, line, text, TRIAL_SCHEMA))
            .collect::<Result<Vec<TrialRecord>, RecordError>>()?;
        Ok(Written { records, whole, length: bytes.len() })
    }
}

/// The manifest of a run folder alone.
///
/// # Errors
///
/// When it is missing, no plain file, larger than any that is written, of an unknown version, or
/// malformed.
pub fn manifest_of(root: &Path) -> Result<Manifest, RecordError> {
    let path = root.join(MANIFEST_FILE);
    let text = match plain::read_text(&path, LARGEST_MANIFEST) {
        Err(RecordError::Read { source, .. })
            if source.kind() == io::ErrorKind::NotFound && never_began(root) =>
        {
            return Err(RecordError::NeverBegan { path: root.to_owned() });
        }
        read => read?,
    };
    parse(&path, 1, &text, MANIFEST_SCHEMA)
}

/// Whether a folder without a manifest holds what is written before it, and nothing else.
fn never_began(root: &Path) -> bool {
    let before = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.strip_suffix(atomic::UNFINISHED).unwrap_or(&name) {
            SCENARIO_FILE => true,
            MANIFEST_FILE => name != MANIFEST_FILE,
            TRIALS_FILE => entry.metadata().is_ok_and(|metadata| metadata.len() == 0),
            _ => false,
        }
    };
    let entries: Option<Vec<fs::DirEntry>> =
        fs::read_dir(root).ok().and_then(|entries| entries.collect::<io::Result<_>>().ok());
    entries.is_some_and(|entries| !entries.is_empty() && entries.iter().all(before))
}

/// The last record of each strategy of each trial, and how many others there are: a trial that
/// was interrupted is run again when its run goes on.
fn latest(records: Vec<TrialRecord>) -> (Vec<TrialRecord>, usize) {
    let place = |record: &TrialRecord| (record.trial, record.strategy.name.clone());
    let last: BTreeMap<(u32, String), usize> =
        records.iter().enumerate().map(|(index, record)| (place(record), index)).collect();
    let all = records.len();
    let kept: Vec<TrialRecord> = records
        .into_iter()
        .enumerate()
        .filter(|(index, record)| last.get(&place(record)) == Some(index))
        .map(|(_, record)| record)
        .collect();
    let superseded = all - kept.len();
    (kept, superseded)
}

/// The one member that every version has.
#[derive(Deserialize)]
struct Versioned {
    schema: String,
}

fn parse<T: for<'de> Deserialize<'de>>(
    path: &Path,
    line: usize,
    text: &str,
    known: &'static str,
) -> Result<T, RecordError> {
    let malformed = |error: serde_json::Error| RecordError::Malformed {
        path: path.to_owned(),
        line: line + error.line().saturating_sub(1),
        message: error.to_string(),
    };
    let found = serde_json::from_str::<Versioned>(text).map_err(malformed)?.schema;
    if found != known {
        return Err(RecordError::UnknownSchema { path: path.to_owned(), found, known });
    }
    serde_json::from_str::<Bounded>(text).map_err(malformed)?;
    serde_json::from_str(text).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::{
        LARGEST_MANIFEST, LARGEST_SCENARIO, LARGEST_TRIALS, MANIFEST_FILE, Run, SCENARIO_FILE,
        TRIALS_FILE,
    };
    use crate::record::error::RecordError;
    use crate::record::sample::Sample;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    fn sample() -> (tempfile::TempDir, PathBuf) {
        let out = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(out.path()).expect("written");
        (out, path)
    }

    fn edit(path: &Path, file: &str, change: impl FnOnce(String) -> String) {
        let path = path.join(file);
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(&path, change(text)).expect("written");
    }

    #[test]
    fn a_run_reads_back_with_ledgers_and_histograms() {
        let (_out, path) = sample();
        let run = Run::open(&path).expect("opened");
        assert_eq!(run.records.len(), 4);
        assert_eq!(run.verify().expect("verified"), []);
        for record in &run.records {
            let events = record.measured.as_ref().expect("measured").events;
            let ledger = run.ledger(record).expect("read").expect("kept");
            assert_eq!(ledger.counts(1_000_000_000, 9_000_000_000, false), events);
            let log = run.histogram(record).expect("read").expect("measured");
            let totals = log.totals(crate::record::histogram::Tag::Latency);
            assert_eq!(totals.count, events.delivered);
        }
    }

    #[test]
    fn a_torn_last_line_is_noted_and_left_out() {
        let (_out, path) = sample();
        edit(&path, TRIALS_FILE, |text| text[..text.len() - 20].to_owned());
        let run = Run::open(&path).expect("opened");
        assert_eq!(run.records.len(), 3);
        assert_eq!(run.notes.len(), 1);
    }

    #[test]
    fn a_last_line_that_ends_within_a_letter_is_torn_and_not_damaged() {
        let (_out, path) = sample();
        let trials = path.join(TRIALS_FILE);
        let mut bytes = std::fs::read(&trials).expect("read");
        bytes.extend(&"{\"schema\":\"é".as_bytes()[..12]);
        assert!(str::from_utf8(&bytes).is_err());
        std::fs::write(&trials, &bytes).expect("written");
        let run = Run::open(&path).expect("opened");
        assert_eq!((run.records.len(), run.notes.len()), (4, 1));
        bytes.push(b'\n');
        std::fs::write(&trials, &bytes).expect("written");
        let error = Run::open(&path).expect_err("malformed");
        assert!(matches!(error, RecordError::Malformed { line: 5, .. }), "{error}");
    }

    #[test]
    fn a_folder_that_was_never_complete_is_told_from_one_that_lost_its_manifest() {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = || Run::open(folder.path()).expect_err("no run");
        assert!(matches!(opened(), RecordError::Read { .. }), "nothing says that it is of a run");
        for name in ["scenario.toml.unfinished", "scenario.toml", TRIALS_FILE] {
            std::fs::write(folder.path().join(name), "").expect("written");
            assert!(matches!(opened(), RecordError::NeverBegan { .. }), "{name}");
        }
        std::fs::write(folder.path().join(TRIALS_FILE), "{}\n").expect("written");
        assert!(matches!(opened(), RecordError::Read { .. }), "it holds a trial");
    }

    #[test]
    fn a_malformed_line_is_named() {
        let (_out, path) = sample();
        edit(&path, TRIALS_FILE, |text| text.replacen("\n{", "\n#{", 1));
        let error = Run::open(&path).expect_err("malformed");
        assert!(matches!(error, RecordError::Malformed { line: 2, .. }), "{error}");
        edit(&path, TRIALS_FILE, |text| text.replacen("\n#{", "\n{\"surprise\":1,", 1));
        assert!(matches!(Run::open(&path), Err(RecordError::Malformed { line: 2, .. })));
    }

    #[test]
    fn a_number_beyond_what_any_trial_counts_is_refused_at_its_line() {
        let (_out, path) = sample();
        edit(&path, TRIALS_FILE, |text| {
            let (first, others) = text.split_once('\n').expect("lines");
            let mut record: serde_json::Value = serde_json::from_str(first).expect("JSON");
            record["measured"]["source"]["window"]["useful"] = u64::MAX.into();
            format!("{record}\n{others}")
        });
        let error = Run::open(&path).expect_err("too much");
        assert!(matches!(error, RecordError::Malformed { line: 1, .. }), "{error}");
        assert!(error.to_string().contains("18446744073709551615"), "{error}");
    }

    #[test]
    fn a_run_id_that_is_no_digest_is_refused_at_its_line() {
        let (_out, path) = sample();
        let id = Run::open(&path).expect("opened").manifest.run_id;
        edit(&path, MANIFEST_FILE, |text| text.replacen(&id, &format!("../{}", &id[3..]), 1));
        let error = Run::open(&path).expect_err("no digest");
        assert!(matches!(error, RecordError::Malformed { line: 3, .. }), "{error}");
        assert!(error.to_string().contains("a run id is a SHA-256"), "{error}");
    }

    #[test]
    fn other_versions_are_refused() {
        for (file, from, to) in
            [(MANIFEST_FILE, "manifest/2", "manifest/3"), (TRIALS_FILE, "trial/1", "trial/2")]
        {
            let (_out, path) = sample();
            edit(&path, file, |text| text.replacen(from, to, 1));
            let error = Run::open(&path).expect_err("unknown");
            assert!(matches!(error, RecordError::UnknownSchema { .. }), "{error}");
        }
    }

    #[test]
    fn a_record_cannot_point_out_of_the_folder() {
        let (out, path) = sample();
        let run = Run::open(&path).expect("opened");
        let mut record = run.records[0].clone();
        let secret = out.path().join("secret");
        std::fs::write(&secret, "secret").expect("written");
        symlink(&secret, path.join("link")).expect("linked");
        for escape in ["../secret", "/etc/passwd", "link"] {
            let measured = record.measured.as_mut().expect("measured");
            measured.histogram = escape.to_owned();
            measured.ledger = Some(escape.to_owned());
            for refused in [run.ledger(&record).err(), run.histogram(&record).err()] {
                let refused = refused.expect("refused");
                match refused {
                    RecordError::NotPlain { .. } => assert_eq!(escape, "link"),
                    RecordError::Outside { .. } => assert_ne!(escape, "link"),
                    other => panic!("{escape}: {other}"),
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_a_link_or_has_no_end_is_not_read() {
        let (out, path) = sample();
        let shelf = out.path().join("shelf");
        symlink(&path, &shelf).expect("linked");
        assert!(Run::open(&shelf).is_ok(), "the folder itself may be reached through one");
        for file in [MANIFEST_FILE, TRIALS_FILE, SCENARIO_FILE] {
            let (file, away) = (path.join(file), out.path().join("away"));
            std::fs::rename(&file, &away).expect("moved");
            for to in [away.as_path(), Path::new("/dev/zero")] {
                symlink(to, &file).expect("linked");
                let error = Run::open(&path).expect_err("a link");
                assert!(matches!(error, RecordError::NotPlain { .. }), "{error}");
                assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
                std::fs::remove_file(&file).expect("removed");
            }
            std::fs::rename(&away, &file).expect("moved back");
        }
        assert!(Run::open(&path).is_ok());
    }

    #[test]
    fn a_file_larger_than_any_that_is_written_is_not_read() {
        let (_out, path) = sample();
        for (file, most) in [
            (MANIFEST_FILE, LARGEST_MANIFEST),
            (TRIALS_FILE, LARGEST_TRIALS),
            (SCENARIO_FILE, LARGEST_SCENARIO),
        ] {
            let file = std::fs::File::options().write(true).open(path.join(file)).expect("opened");
            let length = file.metadata().expect("a length").len();
            // What is behind its end is zeros, and takes no room on the disk.
            file.set_len(most.0 + 1).expect("lengthened");
            let error = Run::open(&path).expect_err("larger");
            assert!(matches!(error, RecordError::TooLarge { .. }), "{error}");
            file.set_len(length).expect("shortened");
        }
        assert!(Run::open(&path).is_ok());
        for file in ["ledger/0000-webhook.parquet", "histograms/0000-webhook.hlog"] {
            let file = std::fs::File::options().write(true).open(path.join(file)).expect("opened");
            file.set_len(1 << 40).expect("lengthened");
        }
        let run = Run::open(&path).expect("opened");
        let webhook = run.records.iter().find(|record| record.strategy.name == "webhook");
        let webhook = webhook.expect("a webhook");
        for error in [run.ledger(webhook).err(), run.histogram(webhook).err()] {
            assert!(matches!(error, Some(RecordError::TooLarge { .. })), "{error:?}");
        }
    }

    #[test]
    fn a_truncated_ledger_is_an_error() {
        let (_out, path) = sample();
        let run = Run::open(&path).expect("opened");
        std::fs::write(path.join("ledger/0000-webhook.parquet"), "PAR1").expect("written");
        let webhook = run.records.iter().find(|record| record.strategy.name == "webhook");
        let error = run.ledger(webhook.expect("a webhook")).expect_err("damaged");
        assert!(matches!(error, RecordError::Damaged { .. }), "{error}");
    }
}

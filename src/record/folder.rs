//! The folder of a run while it is being measured.
//!
//! Killed at any moment, it keeps every finished trial: a trial's files are complete before
//! the line that names them is appended, and the line is synced before the next trial starts.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::derived::is_evidence;
use super::error::RecordError;
use super::intervals;
use super::ledger::{LEDGER_ROW_LIMIT, Ledger};
use super::manifest::{MANIFEST_SCHEMA, Manifest, RunStatus, StoppedPoint, slug};
use super::run::{LARGEST_TRIALS, Run, Written, manifest_of};
use super::trial::{Measured, TrialRecord, Workload};
use super::{atomic, parquet_file, plain};
use crate::digest::sha256_file;
use crate::units::nanoseconds;

/// The scenario file, verbatim.
pub const SCENARIO_FILE: &str = "scenario.toml";
/// The manifest.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The trial records, one a line.
pub const TRIALS_FILE: &str = "trials.jsonl";

/// Folders of the files of trials.
const TRIAL_FOLDERS: [&str; 2] = ["ledger/", "histograms/"];

/// Files that only this room writes.
const OWN_FILES: [&str; 3] = [SCENARIO_FILE, MANIFEST_FILE, TRIALS_FILE];

/// A run folder that is being filled.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    manifest: Manifest,
    trials: File,
    /// Bytes of `trials.jsonl` that are whole, synced lines.
    trials_length: u64,
    /// Rows above which a ledger is not kept.
    row_limit: usize,
}

impl RunFolder {
    /// Makes the folder of a new run below `out_dir` and writes scenario and manifest into it.
    ///
    /// Of the manifest, `schema`, `run_id`, `status`, `finished` and `files` are set here.
    /// `needed` estimates the bytes the run will write; everything that can be known to fail
    /// later fails now, before anything is measured.
    ///
    /// # Errors
    ///
    /// When the folder exists, cannot be written to, or its disk has less than `needed` free.
    pub fn create(
        out_dir: &Path,
        mut manifest: Manifest,
        scenario: &str,
        needed: u64,
    ) -> Result<RunFolder, RecordError> {
        MANIFEST_SCHEMA.clone_into(&mut manifest.schema);
        manifest.status = RunStatus::Running;
        manifest.finished = None;
        manifest.files.clear();
        manifest.derived = None;
        manifest.run_id = manifest.identity();

        atomic::create_folders(out_dir).map_err(not_writable(out_dir))?;
        require_space(out_dir, needed)?;
        let root = out_dir.join(manifest.folder_name());
        // Not `create_dir_all`: an existing folder must be an error, without a race.
        fs::create_dir(&root).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => RecordError::Exists { path: root.clone() },
            _ => not_writable(out_dir)(error),
        })?;
        let trials = begin(&root, &manifest, scenario).inspect_err(|_| {
            // Nothing is measured, so nothing is lost with it. The first error matters more.
            let _ = fs::remove_dir_all(&root);
        })?;
        Ok(RunFolder { root, manifest, trials, trials_length: 0, row_limit: LEDGER_ROW_LIMIT })
    }

    /// Opens the folder of a run that was interrupted or killed, to go on with it; returns it
    /// with what it holds so far.
    ///
    /// What a kill left half written is taken away: a torn last line, files that were never
    /// finished, and ledgers and histograms of a trial whose line was not written. `needed`
    /// estimates the bytes the whole run writes.
    ///
    /// # Errors
    ///
    /// When the folder is no run, the run has come to its end or is still being measured, or the
    /// folder cannot be written to.
    pub fn reopen(
        path: &Path,
        needed: u64,
        at: Timestamp,
    ) -> Result<(RunFolder, Run), RecordError> {
        if manifest_of(path)?.status == RunStatus::Complete {
            return Err(RecordError::Ended { path: path.to_owned() });
        }
        let trials_path = path.join(TRIALS_FILE);
        plain::check(&trials_path)?;
        let trials = OpenOptions::new().append(true).open(&trials_path);
        let trials = trials.map_err(RecordError::writing(&trials_path))?;
        lock(&trials, path)?;
        // Only now: another process may have gone on with it until a moment ago.
        let run = Run::open(path)?;
        if run.manifest.status == RunStatus::Complete {
            return Err(RecordError::Ended { path: path.to_owned() });
        }
        if let Some(difference) = run.verify_evidence()?.first() {
            let message = format!("{difference} since the run was interrupted");
            return Err(RecordError::Damaged { path: path.to_owned(), message });
        }
        require_space(path, needed)?;
        let Written { records, whole, .. } = Written::read(path)?;
        trials.set_len(whole as u64).map_err(RecordError::writing(&trials_path))?;
        clear_unfinished(path)?;
        clear_unnamed(path, &records)?;
        let mut manifest = run.manifest.clone();
        manifest.status = RunStatus::Running;
        manifest.finished = None;
        manifest.files.clear();
        manifest.derived = None;
        manifest.resumed.push(at);
        manifest.run_id = manifest.identity();
        manifest.write(path)?;
        let root = path.to_owned();
        let trials_length = whole as u64;
        let folder =
            RunFolder { root, manifest, trials, trials_length, row_limit: LEDGER_ROW_LIMIT };
        Ok((folder, run))
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The manifest as it is on disk.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Records a finished trial of one strategy and returns the record as written.
    ///
    /// A measured trial comes with its ledger, from which `events`, `ledger` and `histogram`
    /// of the record are filled in. A ledger of more than [`LEDGER_ROW_LIMIT`] rows is not
    /// kept; its histograms are. When this returns, the trial survives a power cut.
    ///
    /// # Errors
    ///
    /// When something cannot be written; trials recorded before are unharmed.
    ///
    /// # Panics
    ///
    /// Never: a record is always JSON, and there are more names than files.
    pub fn append(
        &mut self,
        mut record: TrialRecord,
        ledger: Option<&Ledger>,
    ) -> Result<TrialRecord, RecordError> {
        let stem = self.unused_stem(&record);
        let unmatched = |what| RecordError::Unmatched {
            trial: record.trial,
            strategy: record.strategy.name.clone(),
            what,
        };
        match (&mut record.measured, ledger) {
            (Some(measured), Some(ledger)) => {
                let (start, window) = (record.workload.warm_up, record.workload.window);
                let [start, end] = [start, start + window].map(nanoseconds);
                measured.events = ledger.counts(start, end, record.strategy.promise.coalesces);
                self.write_artefacts(&stem, &record.workload, &record.started, measured, ledger)?;
            }
            (None, None) => {}
            (Some(_), None) => return Err(unmatched("been measured, but has no ledger")),
            (None, Some(_)) => return Err(unmatched("a ledger, but was not measured")),
        }
        let mut line = serde_json::to_vec(&record).expect("a record has only text keys");
        line.push(b'\n');
        let length = self.trials_length;
        append_or_restore(&mut self.trials, &line, File::sync_data, |file| file.set_len(length))
            .map_err(RecordError::writing(&self.root.join(TRIALS_FILE)))?;
        self.trials_length += line.len() as u64;
        Ok(record)
    }

    /// Notes that a point needs no further blocks, so that a run that is killed later is known to
    /// have measured the point to its end.
    ///
    /// # Errors
    ///
    /// When the manifest cannot be written; the one before is unharmed.
    pub fn stop_point(&mut self, stopped: StoppedPoint) -> Result<(), RecordError> {
        self.manifest.stopped.push(stopped);
        self.manifest.run_id = self.manifest.identity();
        self.manifest.write(&self.root)
    }

    /// Notes points that need not be measured.
    ///
    /// # Errors
    ///
    /// When the manifest cannot be written; the one before is unharmed.
    pub fn rule_out(&mut self, points: &[u32]) -> Result<(), RecordError> {
        self.manifest.ruled_out.extend(points);
        self.manifest.run_id = self.manifest.identity();
        self.manifest.write(&self.root)
    }

    /// Writes a derived file, such as `summary.json` or `charts/latency.svg`, replacing an
    /// earlier one. Folders on the way are made.
    ///
    /// # Errors
    ///
    /// When the path leaves the run folder, names a file of the record itself, or meets a link or
    /// anything else that is no plain file or folder; or when it cannot be written.
    pub fn write(&self, relative: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let path = plain::inside(&self.root, relative)?;
        if OWN_FILES.iter().any(|own| path == self.root.join(own)) {
            return Err(RecordError::Reserved { path: relative.to_owned() });
        }
        if let Some(parent) = path.parent() {
            atomic::create_folders(parent).map_err(RecordError::writing(parent))?;
        }
        atomic::write(&path, bytes)
    }

    /// Ends the run: hashes all evidence and writes the final manifest with the run id.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or the manifest cannot be written; the manifest then still
    /// says `running`.
    pub fn finish(mut self, status: RunStatus, at: Timestamp) -> Result<PathBuf, RecordError> {
        if status == RunStatus::Running {
            return Err(RecordError::StillRunning);
        }
        for relative in files_below(&self.root)?.into_iter().filter(|path| is_evidence(path)) {
            let path = self.root.join(&relative);
            let digest = sha256_file(&path).map_err(RecordError::reading(&path))?;
            self.manifest.files.insert(relative, digest);
        }
        self.manifest.status = status;
        self.manifest.finished = Some(at);
        self.manifest.run_id = self.manifest.identity();
        self.manifest.write(&self.root)?;
        Ok(self.root)
    }

    fn write_artefacts(
        &self,
        stem: &str,
        workload: &Workload,
        started: &str,
        measured: &mut Measured,
        ledger: &Ledger,
    ) -> Result<(), RecordError> {
        measured.ledger = None;
        if ledger.rows() <= self.row_limit {
            let name = format!("ledger/{stem}.parquet");
            let path = self.root.join(&name);
            let unstorable = |message| RecordError::Unstorable { path: path.clone(), message };
            ledger.check().map_err(|error| unstorable(error.to_string()))?;
            let bytes =
                parquet_file::encode(ledger).map_err(|error| unstorable(error.to_string()))?;
            self.write(&name, &bytes)?;
            measured.ledger = Some(name);
        }
        measured.histogram = format!("histograms/{stem}.hlog");
        let path = self.root.join(&measured.histogram);
        let started: Timestamp = started.parse().map_err(|error| RecordError::Unstorable {
            path,
            message: format!("its start `{started}` is not RFC 3339: {error}"),
        })?;
        let bytes = intervals::encode(ledger, started, workload.warm_up);
        self.write(&measured.histogram, &bytes)
    }

    /// The name of the trial's files without folder and ending.
    fn unused_stem(&self, record: &TrialRecord) -> String {
        let stem = format!("{:04}-{}", record.trial, slug(&record.strategy.name));
        let used = |stem: &str| self.root.join(format!("histograms/{stem}.hlog")).exists();
        // Names such as "a b" and "a-b" are two strategies and one slug.
        let numbered = (2_u32..).map(|number| format!("{stem}-{number}"));
        std::iter::once(stem.clone())
            .chain(numbered)
            .find(|stem| !used(stem))
            .expect("there are more numbers than files")
    }
}

/// Fills the folder of a new run with what is there before the first trial, the manifest last;
/// returns its trial records, locked.
fn begin(root: &Path, manifest: &Manifest, scenario: &str) -> Result<File, RecordError> {
    atomic::sync_folder_of(root).map_err(RecordError::writing(root))?;
    atomic::write(&root.join(SCENARIO_FILE), scenario.as_bytes())?;
    let path = root.join(TRIALS_FILE);
    let trials = OpenOptions::new().append(true).create_new(true).open(&path);
    let trials = trials.map_err(RecordError::writing(&path))?;
    lock(&trials, root)?;
    manifest.write(root)?;
    Ok(trials)
}

/// Takes away files that were being written when their writer was killed. The folder must be
/// nobody else's meanwhile.
pub(super) fn clear_unfinished(root: &Path) -> Result<(), RecordError> {
    for (relative, _) in entries_below(root)? {
        if relative.ends_with(atomic::UNFINISHED) {
            remove(&root.join(relative))?;
        }
    }
    Ok(())
}

/// Takes away ledgers and histograms that no record names: their trial was being recorded when the
/// run was killed, and is run again.
fn clear_unnamed(root: &Path, records: &[TrialRecord]) -> Result<(), RecordError> {
    let measured = records.iter().filter_map(|record| record.measured.as_ref());
    let named: BTreeSet<&str> = measured
        .flat_map(|measured| measured.ledger.iter().chain([&measured.histogram]))
        .map(String::as_str)
        .collect();
    for (relative, _) in entries_below(root)? {
        let of_trial = TRIAL_FOLDERS.iter().any(|folder| relative.starts_with(folder));
        if of_trial && !named.contains(relative.as_str()) {
            remove(&root.join(relative))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), RecordError> {
    fs::remove_file(path).map_err(RecordError::writing(path))
}

/// The folder of a run, for whoever derives something from it; `None` while it is being measured.
/// As long as this is held, nobody goes on with the run.
pub(super) fn hold(root: &Path) -> Option<File> {
    let trials = plain::open(&root.join(TRIALS_FILE), LARGEST_TRIALS).ok()?;
    trials.try_lock().is_ok().then_some(trials)
}

/// Keeps others from filling the folder, as long as its trial records are open.
fn lock(trials: &File, root: &Path) -> Result<(), RecordError> {
    trials.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => RecordError::InUse { path: root.to_owned() },
        TryLockError::Error(error) => RecordError::writing(&root.join(TRIALS_FILE))(error),
    })
}

fn not_writable(path: &Path) -> impl FnOnce(io::Error) -> RecordError + '_ {
    move |source| RecordError::NotWritable { path: path.to_owned(), source }
}

fn require_space(path: &Path, needed: u64) -> Result<(), RecordError> {
    let disk = rustix::fs::statvfs(path).map_err(|error| RecordError::NotWritable {
        path: path.to_owned(),
        source: error.into(),
    })?;
    let available = disk.f_bavail.saturating_mul(disk.f_frsize);
    if available < needed {
        return Err(RecordError::DiskFull { path: path.to_owned(), available, needed });
    }
    Ok(())
}

/// Appends a line and syncs it; if that fails, takes back what was written of it.
fn append_or_restore<F: Write>(
    file: &mut F,
    line: &[u8],
    sync: impl Fn(&F) -> io::Result<()>,
    restore: impl Fn(&F) -> io::Result<()>,
) -> io::Result<()> {
    file.write_all(line).and_then(|()| sync(file)).inspect_err(|_| {
        // If even this fails, readers still skip the torn line.
        let _ = restore(file);
    })
}

/// The files below a folder as relative paths with `/`, sorted; without the manifest, links
/// and files that were never finished.
pub(crate) fn files_below(root: &Path) -> Result<Vec<String>, RecordError> {
    let mut found = entries_below(root)?;
    found.retain(|(path, is_file)| *is_file && !path.ends_with(atomic::UNFINISHED));
    Ok(found.into_iter().map(|(path, _)| path).collect())
}

/// Everything below a folder but folders and the manifest, sorted: its relative path with `/`,
/// and whether it is a plain file.
pub(super) fn entries_below(root: &Path) -> Result<Vec<(String, bool)>, RecordError> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        for entry in fs::read_dir(&path).map_err(RecordError::reading(&path))? {
            let entry = entry.map_err(RecordError::reading(&path))?;
            let kind = entry.file_type().map_err(RecordError::reading(&path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if kind.is_dir() {
                folders.push(relative);
            } else if relative != MANIFEST_FILE {
                files.push((relative, kind.is_file()));
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{
        MANIFEST_FILE, Manifest, RunFolder, TRIALS_FILE, append_or_restore, entries_below, hold,
    };
    use crate::record::error::RecordError;
    use crate::record::ledger::Ledger;
    use crate::record::manifest::RunStatus;
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use crate::record::trial::TrialRecord;
    use jiff::Timestamp;
    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::os::unix::fs::symlink;

    fn create(out: &std::path::Path) -> Result<RunFolder, RecordError> {
        let manifest = Manifest { title: "Order status".into(), ..Manifest::default() };
        RunFolder::create(out, manifest, "title = \"Order status\"\n", 1)
    }

    #[test]
    fn a_new_folder_holds_scenario_and_a_running_manifest() {
        let out = tempfile::tempdir().expect("a folder");
        let folder = create(&out.path().join("results")).expect("created");
        let text = std::fs::read_to_string(folder.path().join(MANIFEST_FILE)).expect("read");
        let manifest: Manifest = serde_json::from_str(&text).expect("a manifest");
        assert_eq!(manifest.status, RunStatus::Running);
        assert_eq!(manifest.run_id, manifest.identity());
        let name = folder.path().file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(name, format!("1970-01-01T000000Z-order-status-{}", &manifest.run_id[..8]));
    }

    #[test]
    fn an_existing_folder_is_never_overwritten() {
        let out = tempfile::tempdir().expect("a folder");
        create(out.path()).expect("created");
        assert!(matches!(create(out.path()), Err(RecordError::Exists { .. })));
    }

    #[test]
    fn a_full_disk_or_a_file_in_the_way_fails_before_anything_is_measured() {
        let out = tempfile::tempdir().expect("a folder");
        let full = RunFolder::create(out.path(), Manifest::default(), "", u64::MAX);
        assert!(matches!(full, Err(RecordError::DiskFull { .. })), "{full:?}");
        let file = out.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert!(matches!(create(&file), Err(RecordError::NotWritable { .. })));
    }

    #[test]
    fn derived_files_stay_in_the_folder_and_off_the_record() {
        let out = tempfile::tempdir().expect("a folder");
        let folder = create(out.path()).expect("created");
        assert!(matches!(folder.write("../x", b""), Err(RecordError::Outside { .. })));
        assert!(matches!(folder.write(TRIALS_FILE, b""), Err(RecordError::Reserved { .. })));
        folder.write("charts/latency.svg", b"<svg/>").expect("written");
        folder.write("charts/latency.svg", b"<svg />").expect("replaced");
        let written = std::fs::read(folder.path().join("charts/latency.svg")).expect("read");
        assert_eq!(written, b"<svg />");
    }

    #[test]
    fn the_final_manifest_hashes_all_evidence() {
        let out = tempfile::tempdir().expect("a folder");
        let folder = create(out.path()).expect("created");
        let planned = folder.manifest().run_id.clone();
        folder.write("traces/a.csv", b"abc").expect("written");
        folder.write("charts/a.svg", b"a picture").expect("written");
        let path = folder.finish(RunStatus::Complete, Timestamp::UNIX_EPOCH).expect("finished");
        let text = std::fs::read_to_string(path.join(MANIFEST_FILE)).expect("read");
        let manifest: Manifest = serde_json::from_str(&text).expect("a manifest");
        let names: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["scenario.toml", "traces/a.csv", "trials.jsonl"]);
        assert_eq!(manifest.files["traces/a.csv"], crate::digest::sha256(b"abc"));
        assert_eq!(manifest.run_id, manifest.identity());
        assert_ne!(manifest.run_id, planned);
    }

    #[test]
    fn a_run_does_not_finish_running() {
        let out = tempfile::tempdir().expect("a folder");
        let folder = create(out.path()).expect("created");
        let finished = folder.finish(RunStatus::Running, Timestamp::UNIX_EPOCH);
        assert!(matches!(finished, Err(RecordError::StillRunning)));
    }

    /// A measured record of the sample and its ledger, as if just measured.
    fn measured() -> (TrialRecord, Ledger) {
        let out = tempfile::tempdir().expect("a folder");
        let run = Run::open(&Sample::default().write(out.path()).expect("written")).expect("run");
        let record = run.records[0].clone();
        let ledger = run.ledger(&record).expect("read").expect("kept");
        (record, ledger)
    }

    #[test]
    fn a_run_that_was_killed_keeps_every_finished_trial() {
        let out = tempfile::tempdir().expect("a folder");
        let mut folder = create(out.path()).expect("created");
        let (record, ledger) = measured();
        let record = folder.append(record, Some(&ledger)).expect("recorded");
        // Killed while the next trial's ledger was written and its line not yet appended.
        folder.write("ledger/0001-webhook.parquet", b"PAR1").expect("written");
        let path = folder.path().to_owned();
        drop(folder);
        let run = Run::open(&path).expect("opened");
        assert_eq!(run.manifest.status, RunStatus::Running);
        assert_eq!(run.records, [record]);
        assert_eq!(run.ledger(&run.records[0]).expect("read"), Some(ledger));
    }

    #[test]
    fn a_run_that_was_killed_goes_on_with_whole_records() {
        let out = tempfile::tempdir().expect("a folder");
        let mut folder = create(out.path()).expect("created");
        let (record, ledger) = measured();
        let record = folder.append(record, Some(&ledger)).expect("recorded");
        let path = folder.path().to_owned();
        let reopen = || RunFolder::reopen(&path, 1, Timestamp::UNIX_EPOCH);
        assert!(matches!(reopen(), Err(RecordError::InUse { .. })), "it is still being filled");
        drop(folder);
        let trials = path.join(TRIALS_FILE);
        let mut text = std::fs::read(&trials).expect("read");
        let whole = text.len();
        text.extend_from_slice(b"{\"schema\":");
        std::fs::write(&trials, &text).expect("torn");
        // Of a trial that was being recorded, and of nothing.
        for left in ["histograms/x.hlog.unfinished", "ledger/0001-webhook.parquet"] {
            std::fs::write(path.join(left), "").expect("written");
        }

        let (mut folder, run) = reopen().expect("goes on");
        assert_eq!(run.records, std::slice::from_ref(&record));
        assert_eq!(std::fs::read(&trials).expect("read").len(), whole);
        let of_trials = entries_below(&path).expect("read").into_iter().map(|(entry, _)| entry);
        let of_trials: Vec<String> = of_trials.filter(|entry| entry.contains('/')).collect();
        let measured = record.measured.clone().expect("measured");
        assert_eq!(of_trials, [measured.histogram, measured.ledger.expect("kept")]);
        assert_eq!(folder.manifest().resumed, [Timestamp::UNIX_EPOCH]);

        // The trial is measured again: the later record counts, and both are kept.
        let again = folder.append(record, Some(&ledger)).expect("recorded");
        folder.finish(RunStatus::Complete, Timestamp::UNIX_EPOCH).expect("finished");
        let run = Run::open(&path).expect("opened");
        assert_eq!(run.records, [again]);
        assert_eq!(run.notes.len(), 1, "{:?}", run.notes);
        assert!(matches!(reopen(), Err(RecordError::Ended { .. })));
    }

    #[test]
    fn a_run_goes_on_through_no_link() {
        let out = tempfile::tempdir().expect("a folder");
        let folder = create(out.path()).expect("created");
        symlink(out.path(), folder.path().join("traces")).expect("linked");
        let refused = folder.write("traces/a.csv", b"");
        assert!(matches!(refused, Err(RecordError::NotPlain { .. })), "{refused:?}");
        assert!(!out.path().join("a.csv").exists());
        let path = folder.path().to_owned();
        drop(folder);
        let (trials, elsewhere) = (path.join(TRIALS_FILE), out.path().join("elsewhere"));
        std::fs::rename(&trials, &elsewhere).expect("moved");
        symlink(&elsewhere, &trials).expect("linked");
        let reopened = RunFolder::reopen(&path, 1, Timestamp::UNIX_EPOCH).expect_err("a link");
        assert!(matches!(reopened, RecordError::NotPlain { .. }), "{reopened}");
        assert!(hold(&path).is_none());
    }

    #[test]
    fn an_interrupted_run_whose_evidence_was_changed_does_not_go_on() {
        let out = tempfile::tempdir().expect("a folder");
        let folder = create(out.path()).expect("created");
        let path = folder.finish(RunStatus::Interrupted, Timestamp::UNIX_EPOCH).expect("finished");
        let scenario = path.join(super::SCENARIO_FILE);
        std::fs::write(scenario, "title = \"Another\"\n").expect("written");
        let reopened = RunFolder::reopen(&path, 1, Timestamp::UNIX_EPOCH);
        assert!(matches!(reopened, Err(RecordError::Damaged { .. })));
    }

    #[test]
    fn names_with_one_slug_get_their_own_files() {
        let out = tempfile::tempdir().expect("a folder");
        let mut folder = create(out.path()).expect("created");
        let (mut record, ledger) = measured();
        let mut append = |name: &str| {
            record.strategy.name = name.to_owned();
            let written = folder.append(record.clone(), Some(&ledger)).expect("recorded");
            written.measured.expect("measured").histogram
        };
        assert_eq!(append("a b"), "histograms/0000-a-b.hlog");
        assert_eq!(append("a-b"), "histograms/0000-a-b-2.hlog");
    }

    #[test]
    fn a_ledger_above_the_limit_leaves_its_histograms() {
        let out = tempfile::tempdir().expect("a folder");
        let mut folder = create(out.path()).expect("created");
        let (record, ledger) = measured();
        folder.row_limit = ledger.rows() - 1;
        let record = folder.append(record, Some(&ledger)).expect("recorded");
        let path = folder.path().to_owned();
        let run = Run::open(&path).expect("opened");
        assert_eq!(run.ledger(&record).expect("read"), None);
        assert!(run.histogram(&record).expect("read").is_some());
    }

    #[test]
    fn a_measurement_and_its_ledger_come_together() {
        let out = tempfile::tempdir().expect("a folder");
        let mut folder = create(out.path()).expect("created");
        let (record, ledger) = measured();
        let bare = folder.append(record.clone(), None);
        assert!(matches!(bare, Err(RecordError::Unmatched { .. })));
        let unmeasured = TrialRecord { measured: None, ..record };
        let odd = folder.append(unmeasured.clone(), Some(&ledger));
        assert!(matches!(odd, Err(RecordError::Unmatched { .. })));
        assert!(folder.append(unmeasured, None).is_ok());
    }

    /// A disk with room for a few bytes.
    struct SmallDisk {
        content: RefCell<Vec<u8>>,
        room: usize,
    }

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let content = self.content.get_mut();
            let length = bytes.len().min(self.room - content.len());
            if length == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            content.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_does_not_fit_is_taken_back() {
        let mut disk = SmallDisk { content: RefCell::new(b"first\n".to_vec()), room: 9 };
        let restore = |disk: &SmallDisk| {
            disk.content.borrow_mut().truncate(6);
            Ok(())
        };
        let error = append_or_restore(&mut disk, b"second\n", |_| Ok(()), restore);
        assert_eq!(error.expect_err("full").kind(), io::ErrorKind::StorageFull);
        assert_eq!(*disk.content.borrow(), b"first\n");
        let unsynced = |_: &SmallDisk| Err(io::ErrorKind::Other.into());
        assert!(append_or_restore(&mut disk, b"2\n", unsynced, restore).is_err());
        assert_eq!(*disk.content.borrow(), b"first\n");
    }
}

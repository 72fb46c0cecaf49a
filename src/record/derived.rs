//! What is derived from the record: reports and charts, rewritten at will.
//!
//! Replacing them never touches the evidence, nor the digests that seal it, nor the run id: a
//! ledger that was changed after the run still differs from its digest afterwards.

use std::path::{Path, PathBuf};

use super::error::RecordError;
use super::folder::{MANIFEST_FILE, SCENARIO_FILE, TRIALS_FILE, clear_unfinished, hold};
use super::manifest::{Derived, Manifest, ToolRecord};
use super::run::Run;
use super::{atomic, plain};
use crate::digest::sha256;
use crate::units::Bytes;

/// A file to be written into a run folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedFile {
    /// Where, relative to the run folder.
    pub path: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// The largest file that is read of those that are derived. The page of one point with seven
/// strategies is 280 KB, so that of a thousand points with sixteen is 640 MB.
const LARGEST_DERIVED: Bytes = Bytes(1 << 30);

/// Folders that hold evidence.
const EVIDENCE_FOLDERS: [&str; 3] = ["ledger/", "histograms/", "traces/"];

/// Whether a file of a run folder holds what was measured or asked for.
pub(super) fn is_evidence(path: &str) -> bool {
    [SCENARIO_FILE, TRIALS_FILE].contains(&path)
        || EVIDENCE_FOLDERS.iter().any(|folder| path.starts_with(folder))
}

/// Writes a file that is derived from several runs and belongs to none of them, in place of an
/// earlier one.
///
/// # Errors
///
/// When it cannot be written; an earlier one is then unharmed.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    atomic::write(path, bytes)
}

/// Writes derived files into the folder of a run, and their digests into its manifest, with this
/// program as their maker.
///
/// The manifest of a run that was killed has no digests, and gets none. Files that were being
/// written when a program was killed are taken away, unless the run is being measured.
///
/// # Errors
///
/// When a path leaves the folder, names evidence, or meets a link or anything else that is no plain
/// file or folder, and then nothing is written; or when a file cannot be written.
pub fn replace(run: &Run, files: &[DerivedFile]) -> Result<(), RecordError> {
    let held = hold(run.path());
    if held.is_some() {
        clear_unfinished(run.path())?;
    }
    let place = |file: &DerivedFile| {
        if file.path == MANIFEST_FILE || is_evidence(&file.path) {
            return Err(RecordError::Reserved { path: file.path.clone() });
        }
        plain::inside(run.path(), &file.path)
    };
    let places = files.iter().map(place).collect::<Result<Vec<PathBuf>, RecordError>>()?;
    let mut manifest: Manifest = run.manifest.clone();
    let mut derived = manifest.derived.take().unwrap_or_default();
    for (file, path) in files.iter().zip(places) {
        if let Some(parent) = path.parent() {
            atomic::create_folders(parent).map_err(RecordError::writing(parent))?;
        }
        atomic::write(&path, &file.bytes)?;
        derived.files.insert(file.path.clone(), sha256(&file.bytes));
    }
    // While a run is being measured its manifest is the measuring process's to write.
    if run.manifest.files.is_empty() {
        return Ok(());
    }
    derived = Derived { tool: ToolRecord::this(), ..derived };
    derived.seal = manifest.seal_of_derived(&derived);
    manifest.derived = Some(derived);
    manifest.write(run.path())
}

/// What is in a derived file of a run folder.
///
/// # Errors
///
/// When the path leaves the folder, or is no plain file, or one that is larger than any that is
/// written; or when it cannot be read.
pub fn read(root: &Path, path: &str) -> Result<Vec<u8>, RecordError> {
    plain::read(&plain::inside(root, path)?, LARGEST_DERIVED)
}

#[cfg(test)]
mod tests {
    use super::{DerivedFile, read, replace};
    use crate::record::error::RecordError;
    use crate::record::run::Run;
    use crate::record::sample::Sample;
    use std::os::unix::fs::symlink;

    fn file(path: &str, text: &str) -> DerivedFile {
        DerivedFile { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn derived_files_are_sealed_and_evidence_keeps_its_seal() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(folder.path()).expect("a run");
        let run = Run::open(&path).expect("a run");
        let before = run.manifest.files.clone();
        replace(&run, &[file("charts/new.svg", "<svg/>")]).expect("written");
        let run = Run::open(&path).expect("a run");
        let derived = run.manifest.derived.as_ref().expect("made");
        assert!(derived.files.contains_key("charts/new.svg"));
        assert_eq!(run.manifest.files, before);
        assert_eq!(run.manifest.identity(), run.manifest.run_id);
        assert_eq!(run.verify().expect("readable"), []);
    }

    #[test]
    fn what_was_never_finished_is_taken_away_unless_somebody_measures() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(folder.path()).expect("a run");
        let left = path.join("report.md.unfinished");
        std::fs::write(&left, "half").expect("written");
        let measuring = std::fs::File::open(path.join("trials.jsonl")).expect("trials");
        measuring.lock().expect("locked");
        let run = Run::open(&path).expect("a run");
        replace(&run, &[]).expect("written");
        assert!(left.exists(), "it may be of whoever measures");
        drop(measuring);
        replace(&run, &[]).expect("written");
        assert!(!left.exists());
    }

    #[test]
    fn reports_are_not_written_through_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(folder.path()).expect("a run");
        let elsewhere = folder.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).expect("a folder");
        let files = [file("report.md", "new"), file("charts/new.svg", "<svg/>")];
        // As long as somebody measures, what is unfinished is left where it is.
        let measuring = std::fs::File::open(path.join("trials.jsonl")).expect("trials");
        measuring.lock().expect("locked");
        for (link, to) in [
            ("charts", elsewhere.clone()),
            ("report.md", elsewhere.join("report.md")),
            ("report.md.unfinished", elsewhere.join("report.md")),
        ] {
            symlink(to, path.join(link)).expect("linked");
            let refused = replace(&Run::open(&path).expect("a run"), &files).expect_err("refused");
            assert!(matches!(refused, RecordError::NotPlain { .. }), "{refused}");
            assert!(refused.to_string().contains(link), "{refused}");
            assert_eq!(std::fs::read_dir(&elsewhere).expect("a folder").count(), 0, "{link}");
            assert!(!path.join("report.md").is_file(), "nothing is written by halves");
            std::fs::remove_file(path.join(link)).expect("removed");
        }
        // The run folder itself may be reached through one.
        let shelf = folder.path().join("shelf");
        symlink(&path, &shelf).expect("linked");
        replace(&Run::open(&shelf).expect("a run"), &files).expect("written");
        assert_eq!(read(&shelf, "report.md").expect("read"), b"new");
    }

    #[test]
    fn the_manifest_of_a_run_under_way_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(folder.path()).expect("a run");
        let mut run = Run::open(&path).expect("a run");
        run.manifest.files.clear();
        let before = std::fs::read(path.join("manifest.json")).expect("read");
        replace(&run, &[file("report.md", "")]).expect("written");
        assert_eq!(std::fs::read(path.join("manifest.json")).expect("read"), before);
    }

    #[test]
    fn evidence_cannot_be_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let run =
            Run::open(&Sample::default().write(folder.path()).expect("a run")).expect("a run");
        for path in ["trials.jsonl", "manifest.json", "scenario.toml", "ledger/x.parquet"] {
            let refused = replace(&run, &[file(path, "")]);
            assert!(matches!(refused, Err(RecordError::Reserved { .. })), "{path}");
        }
        assert!(matches!(replace(&run, &[file("../x", "")]), Err(RecordError::Outside { .. })));
    }
}

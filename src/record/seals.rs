//! Seals: whether a run folder is, to the byte, what its manifest says.

use std::fmt;
use std::path::Path;

use super::error::RecordError;
use super::folder::{MANIFEST_FILE, entries_below};
use super::manifest::Manifest;
use super::run::LARGEST_MANIFEST;
use super::{atomic, plain};
use crate::digest::sha256_file;

/// One way in which a folder is not what its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The file, relative to the run folder.
    pub file: String,
    /// What is wrong with it, in words that follow its name.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.file, self.what)
    }
}

/// Every difference between a folder and its manifest: changed, missing and added files, and a
/// manifest that was edited. Reports count as well.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn differences(root: &Path, manifest: &Manifest) -> Result<Vec<Difference>, RecordError> {
    let mut found = of_evidence(root, manifest)?;
    found.extend(of_manifest(root, manifest)?);
    if let Some(derived) = &manifest.derived {
        found.extend(of_files(root, derived.files.iter())?);
    }
    found.extend(unlisted(root, manifest)?);
    Ok(found)
}

/// The differences between a folder's evidence and its manifest, and between a manifest and its
/// run id. The manifest of a run that was killed holds no digests to compare with.
///
/// # Errors
///
/// When the folder cannot be read.
pub(super) fn of_evidence(
    root: &Path,
    manifest: &Manifest,
) -> Result<Vec<Difference>, RecordError> {
    let mut found = Vec::new();
    let identity = manifest.identity();
    if identity != manifest.run_id {
        let what =
            format!("was edited: its run id is {}, its contents give {identity}", manifest.run_id);
        found.push(Difference { file: MANIFEST_FILE.to_owned(), what });
    }
    found.extend(of_files(root, manifest.files.iter())?);
    Ok(found)
}

/// Whatever of the manifest its run id does not cover.
fn of_manifest(root: &Path, manifest: &Manifest) -> Result<Vec<Difference>, RecordError> {
    let mut found = Vec::new();
    let mut say = |what: &str| {
        found.push(Difference { file: MANIFEST_FILE.to_owned(), what: what.to_owned() });
    };
    let path = root.join(MANIFEST_FILE);
    let bytes = plain::read(&path, LARGEST_MANIFEST)?;
    // Blanks and spellings that mean the same are a change too.
    if bytes != manifest.text().as_bytes() {
        say("is not written as this program writes it: it was edited");
    }
    if manifest.files.is_empty() {
        say("has no digests: the run was killed before its end, and nothing of it was sealed; \
             `pollpush run --resume` goes on with it");
    }
    let broken = |derived| manifest.seal_of_derived(derived) != derived.seal;
    if manifest.derived.as_ref().is_some_and(broken) {
        say("was edited: what it says of the reports does not fit the seal they were given");
    }
    Ok(found)
}

fn of_files<'a>(
    root: &Path,
    sealed: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<Vec<Difference>, RecordError> {
    let mut found = Vec::new();
    for (file, expected) in sealed {
        let path = root.join(file);
        // What is behind a link, or out of the folder, is none of the files that were sealed.
        let is_file = plain::inside(root, file).is_ok()
            && path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        let what = if is_file {
            let digest = sha256_file(&path).map_err(RecordError::reading(&path))?;
            (digest != *expected)
                .then(|| format!("was changed: its SHA-256 is {digest}, and was {expected}"))
        } else {
            Some("is missing".to_owned())
        };
        found.extend(what.map(|what| Difference { file: file.clone(), what }));
    }
    Ok(found)
}

/// What was put into the folder. Of a run that was killed nothing is listed, so nothing is said.
fn unlisted(root: &Path, manifest: &Manifest) -> Result<Vec<Difference>, RecordError> {
    if manifest.files.is_empty() {
        return Ok(Vec::new());
    }
    let reports = manifest.derived.as_ref().map(|derived| &derived.files);
    let is_listed = |path: &String| {
        manifest.files.contains_key(path) || reports.is_some_and(|files| files.contains_key(path))
    };
    let found = entries_below(root)?.into_iter().filter_map(|(file, is_file)| {
        let what = match (is_listed(&file), is_file) {
            (_, false) => "is not a plain file",
            (false, true) if file.ends_with(atomic::UNFINISHED) => {
                "was never finished: its writer was killed; `pollpush report` takes it away"
            }
            (false, true) => "was added: the manifest does not list it",
            (true, true) => return None,
        };
        Some(Difference { file, what: what.to_owned() })
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::{Difference, differences};
    use crate::record::derived::{DerivedFile, replace};
    use crate::record::run::{Run, manifest_of};
    use crate::record::sample::Sample;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// A run with a report.
    fn sample() -> (tempfile::TempDir, PathBuf) {
        let out = tempfile::tempdir().expect("a folder");
        let path = Sample::default().write(out.path()).expect("written");
        let report = DerivedFile { path: "report.md".to_owned(), bytes: b"# Report\n".to_vec() };
        replace(&Run::open(&path).expect("opened"), &[report]).expect("written");
        (out, path)
    }

    fn found(path: &Path) -> Vec<Difference> {
        differences(path, &manifest_of(path).expect("a manifest")).expect("readable")
    }

    fn edit(path: &Path, file: &str, change: impl FnOnce(String) -> String) {
        let path = path.join(file);
        let text = fs::read_to_string(&path).expect("read");
        fs::write(&path, change(text)).expect("written");
    }

    #[test]
    fn whatever_changed_after_the_end_is_named() {
        let (_out, path) = sample();
        assert_eq!(found(&path), []);
        edit(&path, "scenario.toml", |text| text + "# edited\n");
        edit(&path, "report.md", |text| text + "better\n");
        fs::write(path.join("extra"), "").expect("written");
        fs::write(path.join("left.unfinished"), "").expect("written");
        fs::remove_file(path.join("ledger/0000-webhook.parquet")).expect("removed");
        std::os::unix::fs::symlink("/etc/passwd", path.join("link")).expect("linked");
        let files: Vec<String> = found(&path).into_iter().map(|one| one.file).collect();
        let expected = [
            "ledger/0000-webhook.parquet",
            "scenario.toml",
            "report.md",
            "extra",
            "left.unfinished",
            "link",
        ];
        assert_eq!(files, expected);
    }

    #[test]
    fn a_manifest_that_was_edited_is_named_whatever_was_edited() {
        type Edit = fn(String) -> String;
        let edits: [Edit; 4] = [
            |text| text.replacen("\"seed\": 7", "\"seed\": 8", 1),
            // What no program tells apart.
            |text| text.replacen("  \"seed\"", " \t\"seed\"", 1),
            |text| text.replacen("\"report.md\": \"", "\"report.txt\": \"", 1),
            |text| text.replacen("\"derived\": {", "\"derived\": {\n", 1),
        ];
        for change in edits {
            let (_out, path) = sample();
            edit(&path, "manifest.json", change);
            let named = found(&path).iter().any(|one| one.file == "manifest.json");
            assert!(named, "{:?}", found(&path));
        }
    }

    #[test]
    fn a_link_to_the_same_bytes_is_not_the_file() {
        let (out, path) = sample();
        let elsewhere = out.path().join("scenario.toml");
        fs::rename(path.join("scenario.toml"), &elsewhere).expect("moved");
        std::os::unix::fs::symlink(elsewhere, path.join("scenario.toml")).expect("linked");
        let said: Vec<String> = found(&path).iter().map(ToString::to_string).collect();
        let expected = ["`scenario.toml` is missing", "`scenario.toml` is not a plain file"];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_link_to_a_folder_of_the_same_files_is_not_the_folder() {
        let (out, path) = sample();
        let elsewhere = out.path().join("histograms");
        fs::rename(path.join("histograms"), &elsewhere).expect("moved");
        std::os::unix::fs::symlink(elsewhere, path.join("histograms")).expect("linked");
        let said: Vec<String> = found(&path).iter().map(ToString::to_string).collect();
        assert!(said.contains(&"`histograms/0000-webhook.hlog` is missing".to_owned()), "{said:?}");
        assert!(said.contains(&"`histograms` is not a plain file".to_owned()), "{said:?}");
    }
}

//! Files that are either wholly there or not at all, whenever the machine stops.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::RecordError;
use super::plain;

/// Ends the names of files that are not finished. A kill may leave one; whoever writes into the
/// folder next takes it away.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Replaces `path` with `bytes` so that a reader sees the old file or the new one.
///
/// The bytes go to a temporary file beside it, are synced, renamed, and the folder is synced.
///
/// # Errors
///
/// [`RecordError::NotPlain`] if one of the two is there and is no plain file, and
/// [`RecordError::Write`]; an earlier file at `path` is then unharmed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    plain::check(path)?;
    plain::check(&unfinished(path))?;
    replace(path, bytes).map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

/// [`write`], for files of no run.
///
/// # Errors
///
/// As the system says; an earlier file at `path` is then unharmed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = unfinished(path);
    let written = write_synced(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, path))
        .and_then(|()| sync_folder_of(path));
    written.inspect_err(|_| {
        // The disk may be full: leave as little behind as possible. The first error matters more.
        let _ = fs::remove_file(&unfinished);
    })
}

/// The temporary file beside a file.
fn unfinished(path: &Path) -> PathBuf {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    PathBuf::from(unfinished)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).custom_flags(plain::NO_LINK);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a folder and those above it, as far as they are missing, so that they survive a power cut.
///
/// # Errors
///
/// As the system says; some of them may then be there.
pub(crate) fn create_folders(path: &Path) -> io::Result<()> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(missing).collect();
    fs::create_dir_all(path)?;
    missing.into_iter().try_for_each(sync_folder_of)
}

/// Makes a name in a folder survive a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{replace, write};
    use crate::record::error::RecordError;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        write(&path, b"old").expect("written");
        // A folder in the way of the temporary file makes the write fail.
        std::fs::create_dir(folder.path().join("file.unfinished")).expect("a folder");
        assert!(write(&path, b"new").is_err());
        assert_eq!(std::fs::read(&path).expect("read"), b"old");
    }
    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, elsewhere) = (folder.path().join("file"), folder.path().join("elsewhere"));
        std::fs::write(&elsewhere, "kept").expect("written");
        for link in [path.clone(), folder.path().join("file.unfinished")] {
            symlink(&elsewhere, &link).expect("linked");
            let refused = write(&path, b"new").expect_err("refused");
            assert!(matches!(refused, RecordError::NotPlain { .. }), "{refused}");
            assert!(link.is_symlink());
            std::fs::remove_file(&link).expect("removed");
        }
        symlink(&elsewhere, folder.path().join("file.unfinished")).expect("linked");
        assert!(replace(&path, b"new").is_err(), "as if it had come a moment later");
        assert_eq!(std::fs::read(&elsewhere).expect("read"), b"kept");
    }
}

//! Files that are either wholly there or not at all, whenever the machine stops.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::error::RecordError;

/// Ends the names of files that are not finished. A kill may leave one; whoever writes into the
/// folder next takes it away.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Joins a relative path to `root` unless it would leave it.
///
/// # Errors
///
/// [`RecordError::Outside`] for an empty or absolute path and for one with `.` or `..` parts.
pub(crate) fn inside(root: &Path, relative: &str) -> Result<PathBuf, RecordError> {
    let path = Path::new(relative);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if relative.is_empty() || !plain || relative.contains('\0') {
        return Err(RecordError::Outside { path: relative.to_owned() });
    }
    Ok(root.join(path))
}

/// Replaces `path` with `bytes` so that a reader sees the old file or the new one.
///
/// The bytes go to a temporary file beside it, are synced, renamed, and the folder is synced.
///
/// # Errors
///
/// [`RecordError::Write`]; an earlier file at `path` is then unharmed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    replace(path, bytes).map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

/// [`write`], for files of no run.
///
/// # Errors
///
/// As the system says; an earlier file at `path` is then unharmed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let written = write_synced(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, path))
        .and_then(|()| sync_folder_of(path));
    written.inspect_err(|_| {
        // The disk may be full: leave as little behind as possible. The first error matters more.
        let _ = fs::remove_file(&unfinished);
    })
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
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
    use super::{inside, write};
    use std::path::Path;

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../../x", "./x", "a\0b"] {
            assert!(inside(Path::new("run"), path).is_err(), "{path:?}");
        }
        assert_eq!(inside(Path::new("run"), "a/b").expect("plain"), Path::new("run/a/b"));
    }

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
}

//! What may be opened: plain files in plain folders, up to a size.
//!
//! A run folder may come from a stranger. A link in it could lead what is written out of the folder,
//! and what is read to a file that is none of the run's or that has no end. This program makes no
//! links, so it follows none; only the run folder itself may be reached through one.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use super::error::RecordError;
use crate::units::Bytes;

/// Opens no link. What was looked at may be another by the time it is opened.
pub(super) const NO_LINK: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// Does not wait for the other end of a pipe.
const NO_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// Joins a relative path to `root` unless it would leave it, by its parts or through a link. What it
/// names, and the folders on the way, may be missing.
///
/// # Errors
///
/// [`RecordError::Outside`] for an empty or absolute path and for one with `.` or `..` parts;
/// [`RecordError::NotPlain`] if there is a link, a file among the folders, or anything but a file
/// at the end; [`RecordError::Read`] if that cannot be known.
pub(super) fn inside(root: &Path, relative: &str) -> Result<PathBuf, RecordError> {
    let mut parts = Path::new(relative).components().peekable();
    let plain = parts.clone().all(|part| matches!(part, Component::Normal(_)));
    if relative.is_empty() || !plain || relative.contains('\0') {
        return Err(RecordError::Outside { path: relative.to_owned() });
    }
    let mut path = root.to_owned();
    while let Some(part) = parts.next() {
        path.push(part);
        let expected = if parts.peek().is_some() { Kind::Folder } else { Kind::File };
        if !is_there(&path, expected)? {
            return Ok(root.join(relative));
        }
    }
    Ok(path)
}

/// Refuses anything but a plain file, or nothing.
///
/// # Errors
///
/// [`RecordError::NotPlain`] for a link, a folder, a pipe and so on; [`RecordError::Read`] if that
/// cannot be known.
pub(super) fn check(path: &Path) -> Result<(), RecordError> {
    is_there(path, Kind::File).map(|_| ())
}

/// Opens a plain file for reading.
///
/// # Errors
///
/// As [`check`], [`RecordError::TooLarge`] for a file of more than `most` bytes, and
/// [`RecordError::Read`] if it is missing or may not be read.
pub(super) fn open(path: &Path, most: Bytes) -> Result<File, RecordError> {
    check(path)?;
    let file = OpenOptions::new().read(true).custom_flags(NO_LINK | NO_WAIT).open(path);
    let file = file.map_err(RecordError::reading(path))?;
    let metadata = file.metadata().map_err(RecordError::reading(path))?;
    refuse_other(path, &metadata, Kind::File)?;
    if metadata.len() > most.0 {
        return Err(RecordError::TooLarge { path: path.to_owned(), most });
    }
    Ok(file)
}

/// What is in a plain file.
///
/// # Errors
///
/// As [`open`].
pub(super) fn read(path: &Path, most: Bytes) -> Result<Vec<u8>, RecordError> {
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    let read = open(path, most)?.take(most.0.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(RecordError::reading(path))?;
    if bytes.len() > most.as_usize() {
        return Err(RecordError::TooLarge { path: path.to_owned(), most });
    }
    Ok(bytes)
}

/// The text in a plain file.
///
/// # Errors
///
/// As [`open`], and [`RecordError::Read`] if it is no UTF-8.
pub(super) fn read_text(path: &Path, most: Bytes) -> Result<String, RecordError> {
    let text = String::from_utf8(read(path, most)?);
    text.map_err(|error| RecordError::reading(path)(io::Error::new(ErrorKind::InvalidData, error)))
}

/// What belongs at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

/// Whether anything is at a path; an error if it is not what belongs there.
fn is_there(path: &Path, expected: Kind) -> Result<bool, RecordError> {
    match path.symlink_metadata() {
        Ok(metadata) => refuse_other(path, &metadata, expected).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(RecordError::reading(path)(error)),
    }
}

fn refuse_other(path: &Path, found: &Metadata, expected: Kind) -> Result<(), RecordError> {
    let what = match expected {
        _ if found.is_symlink() => "a symbolic link",
        Kind::File if !found.is_file() => "no plain file",
        Kind::Folder if !found.is_dir() => "no folder",
        Kind::File | Kind::Folder => return Ok(()),
    };
    Err(RecordError::NotPlain { path: path.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use super::{check, inside, open, read, read_text};
    use crate::record::error::RecordError;
    use crate::units::Bytes;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../../x", "./x", "a\0b"] {
            let refused = inside(Path::new("run"), path);
            assert!(matches!(refused, Err(RecordError::Outside { .. })), "{path:?}");
        }
        assert_eq!(inside(Path::new("run"), "a/b").expect("plain"), Path::new("run/a/b"));
    }

    #[test]
    fn a_path_through_a_link_is_refused_wherever_the_link_leads() {
        let out = tempfile::tempdir().expect("a folder");
        let run = out.path().join("run");
        fs::create_dir_all(run.join("real/deep")).expect("folders");
        fs::write(run.join("file"), "").expect("written");
        symlink(out.path(), run.join("out")).expect("linked");
        symlink("real", run.join("in")).expect("linked");
        symlink("nowhere", run.join("dangling")).expect("linked");
        symlink("file", run.join("real/deep/link")).expect("linked");
        for path in ["out/x", "in/x", "dangling", "dangling/x", "real/deep/link", "file/x", "real"]
        {
            let refused = inside(&run, path);
            assert!(matches!(refused, Err(RecordError::NotPlain { .. })), "{path}: {refused:?}");
        }
        // The folder itself may be reached through one.
        symlink(&run, out.path().join("shelf")).expect("linked");
        for path in ["file", "real/deep/new", "new/folder/new"] {
            assert!(inside(&out.path().join("shelf"), path).is_ok(), "{path}");
        }
    }

    #[test]
    fn nothing_but_a_plain_file_is_opened() {
        let out = tempfile::tempdir().expect("a folder");
        let path = |name: &str| out.path().join(name);
        fs::write(path("file"), "text").expect("written");
        symlink("file", path("link")).expect("linked");
        symlink("/dev/zero", path("endless")).expect("linked");
        fs::create_dir(path("folder")).expect("a folder");
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        assert_eq!(read_text(&path("file"), Bytes(4)).expect("read"), "text");
        for name in ["link", "endless", "folder", "pipe"] {
            let refused = open(&path(name), Bytes(4)).expect_err("not plain");
            assert!(matches!(refused, RecordError::NotPlain { .. }), "{name}: {refused}");
            assert!(refused.to_string().contains(name), "{refused}");
            assert!(check(&path(name)).is_err(), "{name}");
        }
        let device = open(Path::new("/dev/zero"), Bytes(4)).expect_err("not plain");
        assert!(matches!(device, RecordError::NotPlain { .. }), "{device}");
        assert!(matches!(open(&path("none"), Bytes(4)), Err(RecordError::Read { .. })));
        assert!(check(&path("none")).is_ok());
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let out = tempfile::tempdir().expect("a folder");
        let path = out.path().join("file");
        fs::write(&path, "12345").expect("written");
        assert_eq!(read(&path, Bytes(5)).expect("read"), b"12345");
        let refused = read(&path, Bytes(4)).expect_err("larger");
        assert!(matches!(refused, RecordError::TooLarge { .. }), "{refused}");
        // It takes no room on the disk, and is not read to be refused.
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(1 << 40))
            .expect("long");
        assert!(matches!(read(&path, Bytes(1 << 31)), Err(RecordError::TooLarge { .. })));
    }
}

//! Files that hold secrets, which never come from an argument: every process of the machine
//! could read that.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;

use crate::cli::terminal::Terminal;

/// The most that is read of a file of secrets, in bytes.
const FILE_LIMIT: u64 = 64 * 1024;

/// What a file of secrets holds; a warning says if others can read it too.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn read(path: &Path, terminal: &mut Terminal) -> anyhow::Result<String> {
    let cannot = || format!("{} cannot be read", path.display());
    let file = File::open(path).with_context(cannot)?;
    let mode = file.metadata().with_context(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        let warning = format!("{} can be read by others", path.display());
        terminal.warning(&warning, "take their rights away: chmod 600 FILE");
    }
    let mut text = String::new();
    file.take(FILE_LIMIT).read_to_string(&mut text).with_context(cannot)?;
    Ok(text)
}

/// Writes a new file that only its owner can read.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] when there is something at the path, which stays as it is.
pub(super) fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}

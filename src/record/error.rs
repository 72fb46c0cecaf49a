//! What can go wrong with a run folder, naming the path and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use crate::units::Bytes;

/// Why a run folder could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A folder of the same name is already there.
    #[error(
        "`{}` exists and is never overwritten; move it away or choose another `--out`",
        path.display()
    )]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The results folder cannot be written to.
    #[error(
        "cannot write to `{}`; choose a folder you may write to with `--out`",
        path.display()
    )]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The disk is too full for the run that is planned.
    #[error(
        "`{}` has {available} bytes free and the run needs about {needed}; free some space, \
         shorten the run or choose another disk with `--out`",
        path.display()
    )]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// Bytes that are free.
        available: u64,
        /// Bytes that the run is expected to write.
        needed: u64,
    },
    /// A file could not be written; what was there before is unharmed.
    #[error(
        "cannot write `{}`; check free space and permissions; trials recorded before are intact",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read `{}`; check that it is a run folder and complete", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A run that was killed before its folder was complete: nothing was measured.
    #[error(
        "`{}` has no manifest: the run was killed before anything was measured; remove the folder",
        path.display()
    )]
    NeverBegan {
        /// The folder.
        path: PathBuf,
    },
    /// A path would leave the run folder.
    #[error("`{path}` leaves the run folder; only plain relative paths may be used")]
    Outside {
        /// The path as it was given.
        path: String,
    },
    /// There is a link, or something else that is no plain file or folder, where one belongs.
    #[error(
        "`{}` is {what}; only plain files in plain folders are read and written: remove it, or put \
         a copy of what belongs there in its place",
        path.display()
    )]
    NotPlain {
        /// What is there.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file is larger than any of its kind that is written.
    #[error(
        "`{}` is larger than {most}, and no such file is that large; it was damaged or edited",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        most: Bytes,
    },
    /// A derived file would replace a file of the record itself.
    #[error("`{path}` belongs to the record and cannot be replaced; choose another name")]
    Reserved {
        /// The path as it was given.
        path: String,
    },
    /// A file is written in a version this program does not know.
    #[error(
        "`{}` has schema `{found}`, this program reads `{known}`; use the version of pollpush \
         that wrote it",
        path.display()
    )]
    UnknownSchema {
        /// The file.
        path: PathBuf,
        /// The schema it names.
        found: String,
        /// The schema that is understood.
        known: &'static str,
    },
    /// A file of text is not what it should be.
    #[error("`{}`, line {line}: {message}; the file was damaged or edited", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A ledger or histogram is not what it should be.
    #[error("`{}` cannot be understood: {message}; the file was damaged or edited", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Values that cannot be stored, such as a time beyond 2⁶³ ns.
    #[error("`{}` cannot be written: {message}", path.display())]
    Unstorable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A measured trial came without its ledger, or a ledger without a measured trial.
    #[error(
        "trial {trial} of `{strategy}` has {what}; a measured trial is recorded with its ledger"
    )]
    Unmatched {
        /// The trial.
        trial: u32,
        /// The strategy's name.
        strategy: String,
        /// What it has.
        what: &'static str,
    },
    /// A run that came to its end has nothing left to measure.
    #[error("`{}` has come to its planned end; `pollpush report` shows it", path.display())]
    Ended {
        /// The run folder.
        path: PathBuf,
    },
    /// Another program is filling the folder.
    #[error("`{}` is being measured by another process; wait for its end", path.display())]
    InUse {
        /// The run folder.
        path: PathBuf,
    },
    /// The run's status cannot be set to this.
    #[error("a run cannot be finished as `running`; finish it as complete or interrupted")]
    StillRunning,
}

impl RecordError {
    /// For `map_err`: a write to `path` failed.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> RecordError + '_ {
        move |source| RecordError::Write { path: path.to_owned(), source }
    }

    /// For `map_err`: a read of `path` failed.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> RecordError + '_ {
        move |source| RecordError::Read { path: path.to_owned(), source }
    }

    /// A file of numbers is not what it should be.
    pub(crate) fn damaged(path: &Path, message: &impl ToString) -> RecordError {
        RecordError::Damaged { path: path.to_owned(), message: message.to_string() }
    }
}

//! The secret that the sender shares: from a file or the environment, never from an argument,
//! which every process of the machine could read.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;

use crate::cli::outcome::UsageError;
use crate::cli::terminal::Terminal;
use crate::wire::signature::{Scheme, Verifier};

/// The variable that holds the secret.
const VARIABLE: &str = "POLLPUSH_SECRET";

/// The most that is read of a file of secrets, in bytes.
const FILE_LIMIT: u64 = 64 * 1024;

/// What verifies signatures of a scheme; nothing if there is no scheme.
///
/// # Errors
///
/// When there is no secret, it cannot be read or is not one, or a file is given without need.
pub(super) fn verifier(
    scheme: Option<Scheme>,
    file: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<Option<Verifier>> {
    let usage = |message: String, hint: &str| UsageError { message, hint: hint.to_owned() };
    let Some(scheme) = scheme else {
        return match file {
            None => Ok(None),
            Some(_) => Err(usage(
                "a secret verifies nothing without a style of signing".to_owned(),
                "say how deliveries are signed: `--sign standard-webhooks`, for example",
            )
            .into()),
        };
    };
    let (text, place) = if let Some(file) = file {
        (read(file, terminal)?, file.display().to_string())
    } else {
        let text = std::env::var(VARIABLE).map_err(|_| {
            usage(
                "signatures cannot be verified without the sender's secret".to_owned(),
                "give a file with `--secret-file`, or set POLLPUSH_SECRET",
            )
        })?;
        (text, VARIABLE.to_owned())
    };
    let secrets = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<_> =
        secrets.map(|secret| scheme.key(secret)).collect::<Result<_, _>>().map_err(|error| {
            usage(format!("{place}: {error}"), "copy it from the sender's settings")
        })?;
    if keys.is_empty() {
        return Err(usage(format!("{place} holds no secret"), "write the secret into it").into());
    }
    Ok(Some(Verifier::new(scheme, keys)))
}

fn read(path: &Path, terminal: &mut Terminal) -> anyhow::Result<String> {
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

//! The secret that the sender shares: from a file or the environment.

use std::path::Path;

use crate::cli::outcome::UsageError;
use crate::cli::secret_file;
use crate::cli::terminal::Terminal;
use crate::wire::signature::{Scheme, Verifier};

/// The variable that holds the secret.
const VARIABLE: &str = "POLLPUSH_SECRET";

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
        (secret_file::read(file, terminal)?, file.display().to_string())
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

//! Who may use the source, how often, and over what: the options that put a guard before it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::cli::outcome::UsageError;
use crate::cli::secret_file;
use crate::cli::terminal::Terminal;
use crate::units::Rate;
use crate::wire::auth::{AUDIENCE, Auth, Keyring, TOKEN_PATH};
use crate::wire::limit::RateLimit;
use crate::wire::link::{Line, Link};
use crate::wire::tls::Authority;

/// The options of `serve` about access.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// What a request must prove itself with.
    #[arg(long, value_enum, default_value_t, value_name = "STYLE")]
    auth: Proof,

    /// A file of secrets for `--auth`; if it does not exist, it is made with new ones.
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// How often clients may ask in the long run, such as `2/s`; as often as they like without it.
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<Rate>,

    /// Requests that may be made at once under a rate limit.
    #[arg(long, value_name = "COUNT", default_value = "10", requires = "rate_limit")]
    burst: NonZeroU32,

    /// Serve over TLS, with a certificate made for this run.
    #[arg(long, requires = "ca_file")]
    tls: bool,

    /// The file to make for the certificate that clients have to trust, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_file: Option<PathBuf>,
}

/// The styles of authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Proof {
    /// Nothing: everybody may ask.
    #[default]
    None,
    /// A key in the header `X-API-Key`.
    ApiKey,
    /// A JSON Web Token that the client signs itself (HS256).
    Jwt,
    /// A token that the source issues for an id and a secret (OAuth 2.0 client credentials).
    #[value(name = "oauth2")]
    OAuth2,
}

impl Proof {
    fn auth(self) -> Auth {
        match self {
            Proof::None => Auth::None,
            Proof::ApiKey => Auth::ApiKey,
            Proof::Jwt => Auth::Jwt,
            Proof::OAuth2 => Auth::OAuth2,
        }
    }
}

impl Access {
    /// Whether the options fit each other.
    pub(super) fn check(&self) -> Result<(), UsageError> {
        let usage = |message: &str, hint: &str| {
            Err(UsageError { message: message.to_owned(), hint: hint.to_owned() })
        };
        match (self.auth, &self.credentials) {
            (Proof::None, Some(_)) => usage(
                "credentials prove nothing without a style of authentication",
                "say what requests must show: `--auth api-key`, for example",
            ),
            (Proof::None, None) | (_, Some(_)) => Ok(()),
            (_, None) => usage(
                "nobody can be let in without credentials",
                "give a file with `--credentials`; if it does not exist, it is made",
            ),
        }
    }

    /// The source's end of the link that was asked for.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or made.
    pub(super) fn line(&self, terminal: &mut Terminal) -> anyhow::Result<Line> {
        let rate_limit = self.rate_limit.map(|rate| RateLimit { rate, burst: self.burst.get() });
        let link = Link { auth: self.auth.auth(), rate_limit, tls: self.tls, ..Link::default() };
        // Without authentication the secrets are never looked at.
        let keyring = match &self.credentials {
            Some(file) => keyring(file, terminal)?,
            None => Keyring::random("client"),
        };
        let credentials = match &self.ca_file {
            Some(file) => {
                let authority = Authority::new()?;
                publish(file, &authority.pem())?;
                Some(authority.credentials()?)
            }
            None => None,
        };
        Ok(Line::new(link).secured(credentials.as_ref())?.guarded(&keyring))
    }

    /// What a client has to know to be let in, a line each; no secret.
    pub(super) fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if let Some(file) = &self.credentials {
            let file = file.display();
            advice.push(match self.auth {
                Proof::None => unreachable!("credentials are refused without authentication"),
                Proof::ApiKey => format!("requests need `X-API-Key: KEY`, the `api-key` of {file}"),
                Proof::Jwt => format!(
                    "requests need `Authorization: Bearer JWT` with `sub` (the `client-id`), \
                     `aud` ({AUDIENCE}) and `exp`, signed (HS256) with the `jwt-secret` of {file}"
                ),
                Proof::OAuth2 => format!(
                    "requests need `Authorization: Bearer TOKEN`, which POST {TOKEN_PATH} issues \
                     for the `client-id` and the `client-secret` of {file}"
                ),
            });
        }
        if let Some(file) = &self.ca_file {
            advice.push(format!("clients have to trust the certificate in {}", file.display()));
        }
        advice
    }
}

/// The secrets in a file, which is made if there is none.
fn keyring(path: &Path, terminal: &mut Terminal) -> anyhow::Result<Keyring> {
    let keyring = Keyring::random("client");
    let text = serde_json::to_string_pretty(&keyring)? + "\n";
    match secret_file::create(path, &text) {
        Ok(()) => Ok(keyring),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(parse(&secret_file::read(path, terminal)?, path)?)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be made", path.display())),
    }
}

fn parse(text: &str, path: &Path) -> Result<Keyring, UsageError> {
    let unusable = |what: &str| UsageError {
        message: format!("{} {what}", path.display()),
        hint: "name a file that does not exist yet, and it is made with new secrets".to_owned(),
    };
    // Only the place: what the parser says may quote a secret.
    let keyring: Keyring = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        unusable(&format!("holds no credentials: line {line}, column {column} is wrong"))
    })?;
    let secrets = [&keyring.api_key, &keyring.jwt_secret, &keyring.client_secret];
    if keyring.client_id.is_empty() || secrets.iter().any(|secret| secret.expose().is_empty()) {
        return Err(unusable("holds an empty value, which everybody could guess"));
    }
    Ok(keyring)
}

/// Writes the certificate that clients trust to a new file.
fn publish(path: &Path, certificate: &str) -> anyhow::Result<()> {
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    match created.and_then(|mut file| file.write_all(certificate.as_bytes())) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(UsageError {
            message: format!("{} exists already", path.display()),
            hint: "remove it, or name another file: each run has a certificate of its own"
                .to_owned(),
        }
        .into()),
        written => written.with_context(|| format!("{} cannot be made", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::wire::auth::Keyring;
    use std::path::Path;

    #[test]
    fn what_is_wrong_with_credentials_is_said_without_quoting_them() {
        let keyring = Keyring::random("client");
        let good = serde_json::to_string(&keyring).expect("JSON");
        let secret = keyring.api_key.expose();
        let file = Path::new("keys.json");
        assert_eq!(parse(&good, file).expect("a keyring"), keyring);
        for bad in [
            format!("\"{secret}\""),
            good.replacen("api-key", secret, 1),
            good.replacen(secret, "", 1),
            good.replacen("\"client\"", "\"\"", 1),
            String::new(),
        ] {
            let error = parse(&bad, file).expect_err("no keyring");
            assert!(error.message.starts_with("keys.json holds "), "{error}");
            assert!(!format!("{error:?}").contains(secret), "{error}");
        }
    }
}

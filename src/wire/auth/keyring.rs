//! The secrets of one strategy.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A text that is never shown: `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret that is this text.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// 32 random bytes in base64url, which every header and form can hold as it is.
    #[must_use]
    pub fn random() -> Secret {
        Secret(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    /// The text, for whoever sends it or signs with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is what was given, in a time that does not tell how much of it was right.
    #[must_use]
    pub fn matches(&self, given: &[u8]) -> bool {
        // Codes of both under one key: alike only if the texts are, and of one length.
        let code = |text: &[u8]| {
            let key = Hmac::<Sha256>::new_from_slice(b"comparison");
            key.expect("a key of any length").chain_update(text)
        };
        code(given).verify(&code(self.0.as_bytes()).finalize().into_bytes()).is_ok()
    }
}

/// Every secret that the two sides of one strategy share.
///
/// It crosses the control channel between the program's own processes and goes nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Keyring {
    /// Whom the secrets belong to; itself no secret.
    pub client_id: String,
    /// The key of `api-key`.
    pub api_key: Secret,
    /// What tokens are signed with: by the client in `jwt`, by the source in `oauth2`.
    pub jwt_secret: Secret,
    /// The client's secret of `oauth2`.
    pub client_secret: Secret,
}

impl Keyring {
    /// New random secrets for a client.
    #[must_use]
    pub fn random(client_id: impl Into<String>) -> Keyring {
        Keyring {
            client_id: client_id.into(),
            api_key: Secret::random(),
            jwt_secret: Secret::random(),
            client_secret: Secret::random(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Keyring, Secret};

    #[test]
    fn secrets_are_never_shown() {
        let keyring = Keyring::random("polling");
        let shown = format!("{keyring:?} {keyring:#?}");
        for secret in [&keyring.api_key, &keyring.jwt_secret, &keyring.client_secret] {
            assert!(secret.expose().len() >= 43);
            assert!(!shown.contains(secret.expose()), "{shown}");
        }
        assert!(shown.contains("polling") && shown.contains("Secret(…)"), "{shown}");
    }

    #[test]
    fn a_keyring_crosses_the_control_channel_whole() {
        let keyring = Keyring::random("polling");
        let line = serde_json::to_string(&keyring).expect("JSON");
        assert_eq!(serde_json::from_str::<Keyring>(&line).expect("the same"), keyring);
        assert_ne!(Keyring::random("polling"), keyring);
        assert!(serde_json::from_str::<Keyring>(&line.replacen("api-key", "key", 1)).is_err());
    }

    #[test]
    fn only_the_very_secret_matches() {
        let secret = Secret::new("correct horse".to_owned());
        assert!(secret.matches(b"correct horse"));
        for wrong in [&b""[..], b"correct hors", b"correct horse\0", b"Correct horse", b"\xff"] {
            assert!(!secret.matches(wrong), "{wrong:?}");
        }
    }
}

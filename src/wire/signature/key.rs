//! The secret that sender and receiver share.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::wire::auth::Secret;
use crate::wire::signature::SignatureError;

const SECRET_PREFIX: &str = "whsec_";

/// A secret shared by a webhook's sender and receiver.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// Reads a secret as `whsec_` and base64.
    ///
    /// # Errors
    ///
    /// When the text is something else, or the key in it is empty.
    pub fn from_secret(secret: &str) -> Result<SigningKey, SignatureError> {
        let encoded = secret.strip_prefix(SECRET_PREFIX).ok_or(SignatureError::BadSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| SignatureError::BadSecret)?;
        SigningKey::from_bytes(&key)
    }

    /// Takes the text itself as the key.
    ///
    /// # Errors
    ///
    /// When it is empty: anyone could sign with that.
    pub fn from_text(secret: &str) -> Result<SigningKey, SignatureError> {
        SigningKey::from_bytes(secret.as_bytes())
    }

    fn from_bytes(key: &[u8]) -> Result<SigningKey, SignatureError> {
        if key.is_empty() {
            return Err(SignatureError::BadSecret);
        }
        Hmac::new_from_slice(key).map(SigningKey).map_err(|_| SignatureError::BadSecret)
    }

    /// A new random secret of 32 bytes, as text that every style can read.
    #[must_use]
    pub fn random_secret() -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(rand::random::<[u8; 32]>()))
    }

    /// The secret that belongs to a number, made from another secret: the same each time.
    #[must_use]
    pub fn derived_secret(from: &Secret, number: u32) -> String {
        let key = Hmac::<Sha256>::new_from_slice(from.expose().as_bytes());
        let code = key.expect("a key of any length").chain_update(number.to_le_bytes());
        format!("{SECRET_PREFIX}{}", STANDARD.encode(code.finalize().into_bytes()))
    }

    /// The code of a text that is given in parts.
    pub(super) fn digest(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut digest = self.0.clone();
        for part in parts {
            digest.update(part);
        }
        digest
    }
}

//! The sender's side: adding the headers of a style.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use http::header::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::wire::signature::{
    SHA256_PREFIX, Scheme, SignatureError, SigningKey, VERSION_PREFIX, WEBHOOK_ID,
    WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, X_HUB_SIGNATURE_256, X_SIGNATURE,
};

/// Signs messages in one style.
#[derive(Clone, Debug)]
pub struct Signer {
    scheme: Scheme,
    keys: Vec<SigningKey>,
}

impl Signer {
    /// A signer with one key, or with several while a secret is being replaced.
    ///
    /// With several every message has a signature of each, so that receivers may change over
    /// one by one. Only Standard Webhooks has room for that; in the other styles the receiver
    /// must hold both keys while the sender changes over.
    ///
    /// # Errors
    ///
    /// [`SignatureError::WrongNumberOfKeys`] without a key, or with several where the style has
    /// room for one signature.
    pub fn new(scheme: Scheme, keys: Vec<SigningKey>) -> Result<Signer, SignatureError> {
        match (scheme, keys.len()) {
            (_, 1) | (Scheme::StandardWebhooks, 2..) => Ok(Signer { scheme, keys }),
            _ => Err(SignatureError::WrongNumberOfKeys),
        }
    }

    /// Adds the headers for an attempt that is made at `now` to deliver the message `id`.
    ///
    /// Every attempt is to be signed anew, with the time it is made at.
    pub fn sign(&self, id: &HeaderValue, now: Timestamp, body: &[u8], headers: &mut HeaderMap) {
        sign(self.scheme, &self.keys, id, now, body, headers);
    }
}

/// Adds the headers of a style, with a signature of each key that it has room for.
pub(super) fn sign(
    scheme: Scheme,
    keys: &[SigningKey],
    id: &HeaderValue,
    now: Timestamp,
    body: &[u8],
    headers: &mut HeaderMap,
) {
    let key = &keys[0];
    match scheme {
        Scheme::StandardWebhooks => {
            let timestamp = HeaderValue::from(now.as_second());
            let mut list = String::with_capacity(48 * keys.len());
            for key in keys {
                let digest = key.digest(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
                if !list.is_empty() {
                    list.push(' ');
                }
                list.push_str(VERSION_PREFIX);
                STANDARD.encode_string(digest.finalize().into_bytes(), &mut list);
            }
            headers.insert(WEBHOOK_ID, id.clone());
            headers.insert(WEBHOOK_TIMESTAMP, timestamp);
            headers.insert(WEBHOOK_SIGNATURE, header(&list));
        }
        Scheme::XSignature => {
            headers.insert(X_SIGNATURE, header(&hexadecimal("", key, body)));
        }
        Scheme::GitHub => {
            headers.insert(X_HUB_SIGNATURE_256, header(&hexadecimal(SHA256_PREFIX, key, body)));
        }
    }
}

fn hexadecimal(prefix: &str, key: &SigningKey, body: &[u8]) -> String {
    let mut text = prefix.to_owned();
    for byte in key.digest(&[body]).finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("text grows");
    }
    text
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("base64 and hexadecimal are valid header values")
}

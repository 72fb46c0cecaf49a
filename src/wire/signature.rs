//! Webhook signatures in the Standard Webhooks 1.0 style.
//!
//! HMAC-SHA256 over `{id}.{timestamp}.{body}`, in the headers `webhook-id`,
//! `webhook-timestamp` and `webhook-signature`
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use crate::clock;

/// The header that identifies a message, the same for every attempt to deliver it.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// The header that says when an attempt was signed, in seconds since 1970.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The header that holds one or more signatures.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How far a timestamp may be from the receiver's clock, in seconds.
const TOLERANCE: i64 = 5 * 60;

const SECRET_PREFIX: &str = "whsec_";
const VERSION_PREFIX: &str = "v1,";

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The secret is not `whsec_` and base64.
    #[error("the secret is not `whsec_` followed by base64")]
    BadSecret,
    /// A header is absent or unreadable.
    #[error("a signature header is missing or unreadable")]
    MissingHeader,
    /// The timestamp is too old or too new.
    #[error("the timestamp is more than five minutes away")]
    OutOfTime,
    /// No signature in the header is right.
    #[error("no signature matches")]
    NoMatch,
}

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
    /// When the text is something else.
    pub fn from_secret(secret: &str) -> Result<SigningKey, SignatureError> {
        let encoded = secret.strip_prefix(SECRET_PREFIX).ok_or(SignatureError::BadSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| SignatureError::BadSecret)?;
        Hmac::new_from_slice(&key).map(SigningKey).map_err(|_| SignatureError::BadSecret)
    }

    /// A new random secret of 32 bytes, as text.
    #[must_use]
    pub fn random_secret() -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(rand::random::<[u8; 32]>()))
    }

    /// Adds the three headers for a message sent now.
    pub fn sign_now(&self, id: &HeaderValue, body: &[u8], headers: &mut HeaderMap) {
        let timestamp = HeaderValue::from(clock::wall().as_second());
        let digest = self.digest(id.as_bytes(), timestamp.as_bytes(), body).finalize().into_bytes();
        let signature = format!("{VERSION_PREFIX}{}", STANDARD.encode(digest));
        let signature = HeaderValue::try_from(signature).expect("base64 is a valid header value");
        headers.insert(WEBHOOK_ID, id.clone());
        headers.insert(WEBHOOK_TIMESTAMP, timestamp);
        headers.insert(WEBHOOK_SIGNATURE, signature);
    }

    /// Believes a message if one of its signatures is right and its timestamp is near.
    ///
    /// Signatures are compared in constant time on the body's raw bytes.
    ///
    /// # Errors
    ///
    /// When headers are missing, the timestamp is far off, or no signature matches.
    pub fn verify_now(&self, body: &[u8], headers: &HeaderMap) -> Result<(), SignatureError> {
        self.verify_at(body, headers, clock::wall().as_second())
    }

    fn verify_at(&self, body: &[u8], headers: &HeaderMap, now: i64) -> Result<(), SignatureError> {
        let text = |name| {
            let value: Option<&HeaderValue> = headers.get(name);
            value.and_then(|value| value.to_str().ok()).ok_or(SignatureError::MissingHeader)
        };
        let (id, timestamp) = (text(WEBHOOK_ID)?, text(WEBHOOK_TIMESTAMP)?);
        let sent: i64 = timestamp.parse().map_err(|_| SignatureError::MissingHeader)?;
        if now.abs_diff(sent) > TOLERANCE.unsigned_abs() {
            return Err(SignatureError::OutOfTime);
        }
        let digest = self.digest(id.as_bytes(), timestamp.as_bytes(), body);
        let matches = text(WEBHOOK_SIGNATURE)?
            .split(' ')
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION_PREFIX)?).ok())
            .any(|signature| digest.clone().verify_slice(&signature).is_ok());
        if matches { Ok(()) } else { Err(SignatureError::NoMatch) }
    }

    fn digest(&self, id: &[u8], timestamp: &[u8], body: &[u8]) -> Hmac<Sha256> {
        let mut digest = self.0.clone();
        for part in [id, b".", timestamp, b".", body] {
            digest.update(part);
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::{SignatureError, SigningKey, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
    use http::header::{HeaderMap, HeaderValue};

    // The specification's own test vector.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key() -> SigningKey {
        SigningKey::from_secret(SECRET).expect("the vector's secret")
    }

    fn headers(signature: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (WEBHOOK_ID, HeaderValue::from_static(ID)),
            (WEBHOOK_TIMESTAMP, HeaderValue::from(SENT)),
            (WEBHOOK_SIGNATURE, HeaderValue::from_static(signature)),
        ])
    }

    #[test]
    fn the_specifications_vector_verifies() {
        assert_eq!(key().verify_at(BODY, &headers(SIGNATURE), SENT), Ok(()));
    }

    #[test]
    fn one_right_signature_among_several_is_enough() {
        let rotated = "v1,AAAA v2,zzz v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(key().verify_at(BODY, &headers(rotated), SENT), Ok(()));
    }

    #[test]
    fn a_changed_message_is_not_believed() {
        let with = |name, value: &'static str| {
            let mut headers = headers(SIGNATURE);
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        let refused = [
            (&b"{}"[..], headers(SIGNATURE), SignatureError::NoMatch),
            (BODY, with(WEBHOOK_ID, "msg_other"), SignatureError::NoMatch),
            (BODY, with(WEBHOOK_TIMESTAMP, "1614265331"), SignatureError::NoMatch),
            (BODY, with(WEBHOOK_SIGNATURE, ""), SignatureError::NoMatch),
            (BODY, with(WEBHOOK_TIMESTAMP, "soon"), SignatureError::MissingHeader),
            (BODY, HeaderMap::new(), SignatureError::MissingHeader),
        ];
        for (body, headers, error) in refused {
            assert_eq!(key().verify_at(body, &headers, SENT), Err(error), "{headers:?}");
        }
    }

    #[test]
    fn timestamps_are_believed_for_five_minutes_either_way() {
        let verify = |now| key().verify_at(BODY, &headers(SIGNATURE), now);
        assert_eq!(verify(SENT + 300), Ok(()));
        assert_eq!(verify(SENT - 300), Ok(()));
        assert_eq!(verify(SENT + 301), Err(SignatureError::OutOfTime));
        assert_eq!(verify(SENT - 301), Err(SignatureError::OutOfTime));
    }

    #[test]
    fn the_specifications_own_library_agrees_both_ways() {
        let secret = SigningKey::random_secret();
        let ours = SigningKey::from_secret(&secret).expect("our own secret");
        let theirs = standardwebhooks::Webhook::new(&secret).expect("our own secret");
        let mut headers = HeaderMap::new();
        ours.sign_now(&HeaderValue::from_static(ID), BODY, &mut headers);
        theirs.verify(BODY, &headers).expect("their library believes our signature");

        let sent = crate::clock::wall().as_second();
        let signature = theirs.sign(ID, sent, BODY).expect("a signature");
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(sent));
        headers.insert(WEBHOOK_SIGNATURE, signature.parse().expect("a header value"));
        assert_eq!(ours.verify_now(BODY, &headers), Ok(()));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", key()), "SigningKey(…)");
        assert_eq!(SigningKey::from_secret("hunter2").err(), Some(SignatureError::BadSecret));
    }
}

//! Webhook signatures: who sent a message, and that nobody changed it.
//!
//! Three styles are in use, all of them HMAC-SHA256 with a secret that sender and receiver share:
//!
//! | [`Scheme`] | signed text | header |
//! | --- | --- | --- |
//! | [`StandardWebhooks`](Scheme::StandardWebhooks) | `{id}.{timestamp}.{body}` | `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64>` |
//! | [`XSignature`](Scheme::XSignature) | the body | `X-Signature: <hex>` |
//! | [`GitHub`](Scheme::GitHub) | the body | `X-Hub-Signature-256: sha256=<hex>` |
//!
//! The first is Standard Webhooks 1.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>),
//! the last GitHub's
//! (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>); the
//! second is what many providers do without a specification.
//!
//! A [`Signer`] adds the headers of a style, a [`Verifier`] believes a message or says why not.
//! Only Standard Webhooks signs a time and an id, so only there can an old or a repeated message
//! be told from a new one; with the other two whoever sees one message can send it again for ever.

mod key;
mod replays;
mod sign;
mod verify;

#[cfg(test)]
mod tests;

use http::StatusCode;
use http::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use key::SigningKey;
pub use replays::Replays;
pub use sign::Signer;
pub use verify::{Verified, Verifier};

/// The header that identifies a message, the same for every attempt to deliver it.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// The header that says when an attempt was signed, in seconds since 1970.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The header that holds one or more signatures.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// The header of the plain style.
pub const X_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
/// GitHub's header.
pub const X_HUB_SIGNATURE_256: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// Goes before every signature in Standard Webhooks.
const VERSION_PREFIX: &str = "v1,";
/// Goes before the signature in GitHub's style.
const SHA256_PREFIX: &str = "sha256=";

/// A style of signing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Standard Webhooks 1.0: HMAC-SHA256 over id, timestamp and body.
    StandardWebhooks,
    /// `X-Signature`: hexadecimal HMAC-SHA256 over the body.
    XSignature,
    /// GitHub's `X-Hub-Signature-256`: `sha256=` and hexadecimal HMAC-SHA256 over the body.
    #[serde(rename = "github")]
    GitHub,
}

impl Scheme {
    /// Reads a secret as the style writes it.
    ///
    /// Standard Webhooks: `whsec_` and base64 of the key. The others: the key is the text itself.
    ///
    /// # Errors
    ///
    /// [`SignatureError::BadSecret`] when the text is not such a secret, or empty.
    pub fn key(self, secret: &str) -> Result<SigningKey, SignatureError> {
        match self {
            Scheme::StandardWebhooks => SigningKey::from_secret(secret),
            Scheme::XSignature | Scheme::GitHub => SigningKey::from_text(secret),
        }
    }

    /// The header that holds the signature.
    #[must_use]
    pub fn header(self) -> HeaderName {
        match self {
            Scheme::StandardWebhooks => WEBHOOK_SIGNATURE,
            Scheme::XSignature => X_SIGNATURE,
            Scheme::GitHub => X_HUB_SIGNATURE_256,
        }
    }
}

/// Why a message is not believed, or a key not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The secret is not one the style knows.
    #[error("the secret is not `whsec_` followed by base64, or is empty")]
    BadSecret,
    /// A signer needs a key, and one that signs the body alone has room for one signature.
    #[error("a signer needs one key; several only in the style `standard-webhooks`")]
    WrongNumberOfKeys,
    /// A header is absent or empty.
    #[error("the header `{0}` is missing or empty")]
    MissingHeader(HeaderName),
    /// A header is there more than once, or not what the style writes into it.
    #[error("the header `{0}` cannot be understood")]
    Unreadable(HeaderName),
    /// A header is longer than any honest sender makes it.
    #[error("the header `{0}` is too long")]
    TooLong(HeaderName),
    /// The timestamp is too old or too new.
    #[error("the timestamp is too far from the receiver's clock")]
    OutOfTime,
    /// No signature in the header is right.
    #[error("no signature matches")]
    NoMatch,
    /// This very attempt was accepted before.
    #[error("this attempt was accepted before; a retry is signed anew")]
    Replayed,
}

impl SignatureError {
    /// The status to answer with.
    ///
    /// 403 for whatever is not believed, a missing signature included: 401 promises a challenge
    /// the sender could answer (RFC 9110 §15.5.2), and none of the styles defines one. 431 for a
    /// header that is too long (RFC 6585 §5).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            SignatureError::TooLong(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            SignatureError::BadSecret
            | SignatureError::WrongNumberOfKeys
            | SignatureError::MissingHeader(_)
            | SignatureError::Unreadable(_)
            | SignatureError::OutOfTime
            | SignatureError::NoMatch
            | SignatureError::Replayed => StatusCode::FORBIDDEN,
        }
    }
}

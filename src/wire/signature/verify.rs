//! The receiver's side: believing a message, or saying why not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use http::header::{HeaderMap, HeaderName};
use jiff::Timestamp;

use crate::wire::signature::replays::{Attempt, Replays};
use crate::wire::signature::{
    SHA256_PREFIX, Scheme, SignatureError, SigningKey, VERSION_PREFIX, WEBHOOK_ID,
    WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP,
};

/// How far a timestamp may be from the receiver's clock unless set otherwise.
pub(super) const TOLERANCE: Duration = Duration::from_mins(5);

/// The longest header taken, in bytes: room for eighty signatures.
const LONGEST_HEADER: usize = 4096;

/// A message that is believed; hand it to [`Verifier::accepted`] once it is dealt with.
#[derive(Debug)]
#[must_use]
pub struct Verified(Option<Attempt>);

/// Verifies messages in one style.
///
/// # Replays
///
/// A *retry* is honest: the same message id, signed anew with the time of the new attempt. It
/// is believed, and deduplication acknowledges it as a copy. A *replay* is an attempt that was
/// seen on its way and is sent once more: id, timestamp and signature are those of the first.
/// So what is refused is a pair of id and timestamp that was *accepted* before; an attempt that
/// was verified but then failed to be stored may come again. A sender that repeats a message
/// within the second in which it was accepted (the acknowledgement was lost) cannot be told from
/// an attacker and is refused once; its next retry has a new timestamp.
#[derive(Debug)]
pub struct Verifier {
    scheme: Scheme,
    keys: Vec<SigningKey>,
    tolerance: Duration,
    replays: Mutex<Replays>,
}

impl Verifier {
    /// A verifier that believes whoever has one of the keys; without a key it believes nobody.
    #[must_use]
    pub fn new(scheme: Scheme, keys: Vec<SigningKey>) -> Verifier {
        let replays = Mutex::new(Replays::new(TOLERANCE, Replays::MOST));
        Verifier { scheme, keys, tolerance: TOLERANCE, replays }
    }

    /// The same with timestamps believed this far from the receiver's clock, in either direction.
    ///
    /// Five minutes otherwise. Only Standard Webhooks has timestamps.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Verifier {
        let replays = Mutex::new(Replays::new(tolerance, Replays::MOST));
        Verifier { tolerance, replays, ..self }
    }

    /// Believes a message if one of its signatures is right, its timestamp is near, and this
    /// attempt was not accepted before.
    ///
    /// Signatures are compared in constant time, on the body's raw bytes.
    ///
    /// # Errors
    ///
    /// Why it is not believed; [`SignatureError::status`] says what to answer.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let prefix = match self.scheme {
            Scheme::StandardWebhooks => return self.verify_standard(headers, body, now),
            Scheme::XSignature => "",
            Scheme::GitHub => SHA256_PREFIX,
        };
        let name = self.scheme.header();
        let text = text(headers, &name)?;
        let unreadable = || SignatureError::Unreadable(name.clone());
        let signature = text.strip_prefix(prefix).and_then(bytes).ok_or_else(unreadable)?;
        let is_right = |key: &SigningKey| key.digest(&[body]).verify_slice(&signature).is_ok();
        if self.keys.iter().any(is_right) {
            Ok(Verified(None))
        } else {
            Err(SignatureError::NoMatch)
        }
    }

    fn verify_standard(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let attempt = check_standard(&self.keys, self.tolerance, headers, body, now.as_second())?;
        let replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
        if replays.holds(&attempt) {
            return Err(SignatureError::Replayed);
        }
        Ok(Verified(Some(attempt)))
    }

    /// Remembers that a message was dealt with, so that this attempt is not believed again.
    pub fn accepted(&self, message: Verified, now: Timestamp) {
        if let Verified(Some(attempt)) = message {
            let mut replays = self.replays.lock().unwrap_or_else(PoisonError::into_inner);
            replays.insert(attempt, now.as_second());
        }
    }
}

/// Everything about a Standard Webhooks message that needs no memory.
pub(super) fn check_standard(
    keys: &[SigningKey],
    tolerance: Duration,
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Attempt, SignatureError> {
    let id = text(headers, &WEBHOOK_ID)?;
    // With a full stop in the id, the parts of the signed text could be cut in another place.
    if id.contains('.') {
        return Err(SignatureError::Unreadable(WEBHOOK_ID));
    }
    let timestamp = text(headers, &WEBHOOK_TIMESTAMP)?;
    let sent: i64 = timestamp.parse().map_err(|_| SignatureError::Unreadable(WEBHOOK_TIMESTAMP))?;
    if now.abs_diff(sent) > tolerance.as_secs() {
        return Err(SignatureError::OutOfTime);
    }
    let signatures: Vec<Vec<u8>> = text(headers, &WEBHOOK_SIGNATURE)?
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION_PREFIX)?).ok())
        .collect();
    let matches = keys.iter().any(|key| {
        let digest = key.digest(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        signatures.iter().any(|signature| digest.clone().verify_slice(signature).is_ok())
    });
    if matches { Ok(Attempt::new(id, timestamp)) } else { Err(SignatureError::NoMatch) }
}

/// The text of a header that must be there exactly once.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| SignatureError::MissingHeader(name.clone()))?;
    if value.len() > LONGEST_HEADER {
        return Err(SignatureError::TooLong(name.clone()));
    }
    // Of two values another program on the way may have read the other one.
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.map(str::trim) {
        None => Err(SignatureError::Unreadable(name.clone())),
        Some("") => Err(SignatureError::MissingHeader(name.clone())),
        Some(text) => Ok(text),
    }
}

/// Hexadecimal digits of either case as bytes; `None` for anything else.
fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = hexadecimal.bytes().map(digit).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

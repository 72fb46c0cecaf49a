//! JSON Web Tokens (RFC 7519) signed with HS256.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::wire::auth::Secret;

/// Whom every token is for.
pub const AUDIENCE: &str = "pollpush-source";

/// The longest token looked at, in bytes.
const LONGEST_TOKEN: usize = 4096;

/// What a token says; see RFC 7519 §4.1 for the names. Others are ignored, as it demands.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    pub(super) aud: serde_json::Value,
    pub(super) exp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<f64>,
}

/// Mints tokens for a subject.
pub(super) fn mint(secret: &Secret, subject: &str, now: Timestamp, lifetime: Duration) -> String {
    let claims = Claims {
        sub: subject.to_owned(),
        aud: AUDIENCE.into(),
        exp: second(now) + lifetime.as_secs_f64(),
        nbf: Some(second(now).floor()),
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).expect("plain claims and a shared key")
}

/// Whose token it is, if it is one; else why not, in words for the client.
///
/// Times are compared here rather than by the library, which would read the clock itself. There
/// is no leeway: both sides run on one host.
pub(super) fn subject(
    secret: &Secret,
    token: &str,
    now: Timestamp,
) -> Result<String, &'static str> {
    if token.len() > LONGEST_TOKEN {
        return Err("the token is too long");
    }
    // The one algorithm there is: the token's own header must not choose (RFC 8725 §3.1).
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&[AUDIENCE]);
    rules.set_required_spec_claims(&["exp", "sub", "aud"]);
    rules.validate_exp = false;
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    let claims =
        decode::<Claims>(token, &key, &rules).map_err(|_| "the token is not valid")?.claims;
    let now = second(now);
    // Written so that a time that is no number fails.
    if claims.exp > now && claims.nbf.is_none_or(|start| start <= now) {
        Ok(claims.sub)
    } else if claims.exp > now {
        Err("the token is not valid yet")
    } else {
        Err("the token has expired")
    }
}

fn second(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

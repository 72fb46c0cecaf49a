//! The server's side: who may come in.

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use jiff::Timestamp;

use crate::wire::auth::{Auth, Keyring, X_API_KEY, jwt};
use crate::wire::reply::Reply;

/// Who makes a request: what a rate limit counts by. No secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(pub String);

/// Why a request is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    detail: &'static str,
    challenge: String,
}

impl Refusal {
    /// 401 with a challenge (RFC 9110 §11.6.1) and a problem document.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let mut reply = Reply::problem(StatusCode::UNAUTHORIZED, self.detail);
        let challenge = HeaderValue::try_from(&self.challenge).expect("our own words");
        reply.response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        reply
    }
}

/// Admits requests with the right credentials.
#[derive(Clone, Debug)]
pub struct Gatekeeper {
    auth: Auth,
    keyring: Keyring,
}

impl Gatekeeper {
    /// A gatekeeper who knows the secrets of one strategy.
    #[must_use]
    pub fn new(auth: Auth, keyring: Keyring) -> Gatekeeper {
        Gatekeeper { auth, keyring }
    }

    /// Who makes a request that came `now`.
    ///
    /// # Errors
    ///
    /// When credentials are missing, wrong or expired.
    pub fn admit(&self, headers: &HeaderMap, now: Timestamp) -> Result<Principal, Refusal> {
        let principal = match self.auth {
            Auth::None => "anonymous".to_owned(),
            Auth::ApiKey => self.api_key(headers)?,
            Auth::Jwt | Auth::OAuth2 => self.bearer(headers, now)?,
        };
        Ok(Principal(principal))
    }

    fn api_key(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        // Not a registered scheme, but a 401 needs one and this is the name in use.
        let refusal =
            |detail| Refusal { detail, challenge: "ApiKey realm=\"pollpush\"".to_owned() };
        let given = only(headers, &X_API_KEY).map_err(refusal)?;
        let given = given.ok_or_else(|| refusal("the header `x-api-key` is missing"))?;
        if self.keyring.api_key.matches(given.as_bytes()) {
            Ok(self.keyring.client_id.clone())
        } else {
            Err(refusal("the API key is wrong"))
        }
    }

    fn bearer(&self, headers: &HeaderMap, now: Timestamp) -> Result<String, Refusal> {
        // RFC 6750 §3.1: no error code for a client that did not know it had to authenticate.
        let missing =
            |detail| Refusal { detail, challenge: "Bearer realm=\"pollpush\"".to_owned() };
        let invalid = |detail| Refusal {
            detail,
            challenge: format!(
                "Bearer realm=\"pollpush\", error=\"invalid_token\", error_description=\"{detail}\""
            ),
        };
        let given = only(headers, &AUTHORIZATION).map_err(invalid)?;
        let given = given.ok_or_else(|| missing("a bearer token is missing"))?;
        let given = given.to_str().map_err(|_| invalid("the token is not valid"))?;
        let (scheme, token) = given.split_once(' ').unwrap_or((given, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing("a bearer token is missing"));
        }
        let subject = jwt::subject(&self.keyring.jwt_secret, token.trim(), now).map_err(invalid)?;
        if subject == self.keyring.client_id {
            Ok(subject)
        } else {
            Err(invalid("the token is for another client"))
        }
    }
}

/// The value of a header that must not be there twice: another program may read the other one.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() { Err("credentials are given twice") } else { Ok(value) }
}

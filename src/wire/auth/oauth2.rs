//! The server's side of OAuth 2.0 client credentials (RFC 6749 §4.4): it issues tokens.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, PRAGMA, WWW_AUTHENTICATE,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::wire::auth::{Keyring, jwt};
use crate::wire::reply::Reply;
use crate::wire::tally::Outcome;

/// Where tokens are issued.
pub const TOKEN_PATH: &str = "/oauth/token";

/// The media type of a token request.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// What is wrong with a token request, in the words of RFC 6749 §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenRefusal {
    InvalidRequest(&'static str),
    InvalidClient,
    InvalidScope,
    UnsupportedGrantType,
}

/// Issues tokens to the client of one strategy.
///
/// A token is a JWT signed with a secret that only the source uses, so that admitting a request
/// needs no memory of what was issued.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    keyring: Keyring,
    lifetime: Duration,
}

impl TokenEndpoint {
    /// An endpoint whose tokens live this long, in whole seconds and one at least.
    #[must_use]
    pub fn new(keyring: Keyring, lifetime: Duration) -> TokenEndpoint {
        let lifetime = Duration::from_secs(lifetime.as_secs().max(1));
        TokenEndpoint { keyring, lifetime }
    }

    /// Answers a `POST` to [`TOKEN_PATH`] that came `now`.
    ///
    /// The client authenticates with HTTP Basic or in the form, never both (RFC 6749 §2.3).
    /// Success is overhead: it carries no event.
    #[must_use]
    pub fn answer(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Reply {
        match self.check(headers, body) {
            Ok(()) => {
                let secret = &self.keyring.jwt_secret;
                let token = jwt::mint(secret, &self.keyring.client_id, now, self.lifetime);
                let document = json!({
                    "access_token": token,
                    "token_type": "Bearer",
                    "expires_in": self.lifetime.as_secs(),
                });
                reply(StatusCode::OK, &document, Outcome::Overhead)
            }
            Err(refusal) => refusal.reply(),
        }
    }

    fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), TokenRefusal> {
        use TokenRefusal::{InvalidClient, InvalidRequest, InvalidScope, UnsupportedGrantType};
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case(FORM) {
            return Err(InvalidRequest("the body must be a form"));
        }
        let form = form(body)?;
        let field = |name: &str| form.get(name).map(Cow::as_ref);
        let grant = field("grant_type").ok_or(InvalidRequest("`grant_type` is missing"))?;
        let (id, secret) = match headers.get(AUTHORIZATION) {
            Some(_) if field("client_secret").is_some() => {
                return Err(InvalidRequest("credentials are given twice"));
            }
            Some(basic) => credentials(basic).ok_or(InvalidClient)?,
            None => {
                let id = field("client_id").ok_or(InvalidClient)?;
                (id.to_owned(), field("client_secret").ok_or(InvalidClient)?.to_owned())
            }
        };
        let is_known = self.keyring.client_secret.matches(secret.as_bytes());
        if !is_known || id != self.keyring.client_id {
            return Err(InvalidClient);
        }
        if grant != "client_credentials" {
            return Err(UnsupportedGrantType);
        }
        if field("scope").is_some() { Err(InvalidScope) } else { Ok(()) }
    }
}

impl TokenRefusal {
    fn reply(self) -> Reply {
        let (status, error, description) = match self {
            TokenRefusal::InvalidRequest(detail) => {
                (StatusCode::BAD_REQUEST, "invalid_request", detail)
            }
            TokenRefusal::InvalidClient => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "the client is not known")
            }
            TokenRefusal::InvalidScope => {
                (StatusCode::BAD_REQUEST, "invalid_scope", "there are no scopes")
            }
            TokenRefusal::UnsupportedGrantType => (
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "`grant_type` must be client_credentials",
            ),
        };
        let document = json!({ "error": error, "error_description": description });
        let mut reply = reply(status, &document, Outcome::Failed);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"pollpush\"");
            reply.response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        reply
    }
}

/// RFC 6749 §5.1: whatever holds a token is not to be stored.
fn reply(status: StatusCode, document: &Value, outcome: Outcome) -> Reply {
    let body = document.to_string().into();
    let mut reply = Reply::with_body(status, "application/json", body, outcome);
    let headers = reply.response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}

/// The fields of a form; those without a value count as absent (RFC 6749 §3.2).
fn form(body: &[u8]) -> Result<BTreeMap<Cow<'_, str>, Cow<'_, str>>, TokenRefusal> {
    let mut form = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty()) {
        if form.insert(name, value).is_some() {
            return Err(TokenRefusal::InvalidRequest("a parameter is given twice"));
        }
    }
    Ok(form)
}

/// Id and secret of HTTP Basic, both form-encoded before base64 (RFC 6749 §2.3.1).
fn credentials(basic: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = basic.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    // As the value of a nameless field; a further field is no part of it.
    let plain = |encoded: &str| {
        let field = format!("={encoded}");
        let mut fields = form_urlencoded::parse(field.as_bytes());
        let (_, value) = fields.next()?;
        fields.next().is_none().then(|| value.into_owned())
    };
    scheme.eq_ignore_ascii_case("basic").then_some(())?;
    Some((plain(id)?, plain(secret)?))
}

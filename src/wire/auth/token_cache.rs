//! The client's side of OAuth 2.0: one token for all its requests, fetched in time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::wire::auth::oauth2::FORM;
use crate::wire::auth::presenter::{Held, Step, bearer};
use crate::wire::auth::{Keyring, Secret};

/// The life of a token whose answer does not give one.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(5);

/// The longest life a token is credited with, whatever its answer says.
const LONGEST_LIFETIME: Duration = Duration::from_hours(24);

/// Why a fetched token cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The source did not issue one.
    #[error("the source answered {status} instead of a token{}", code.as_ref().map(|code| format!(": {code}")).unwrap_or_default())]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its error code (RFC 6749 §5.2), if it gave one.
        code: Option<String>,
    },
    /// The answer is no token answer, or the token does not fit into a header.
    #[error("the source's answer is not a bearer token (RFC 6749 §5.1)")]
    Unreadable,
}

/// The answer of a token endpoint (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    token_type: String,
    expires_in: Option<u64>,
}

/// The refusal of a token endpoint (RFC 6749 §5.2).
#[derive(Deserialize)]
struct RefusedAnswer {
    error: String,
}

/// Holds a client's token and sees to it that only one request at a time fetches a new one.
///
/// A token is renewed a tenth of its life, at most half a minute, before it expires. While it is
/// being renewed the old one serves; without one, requests wait.
#[derive(Clone, Debug)]
pub struct TokenCache(Arc<Shared>);

struct Shared {
    client_id: String,
    client_secret: Secret,
    state: Mutex<State>,
    settled: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    is_fetching: bool,
}

impl TokenCache {
    /// A cache without a token, for a client.
    #[must_use]
    pub fn new(keyring: &Keyring) -> TokenCache {
        TokenCache(Arc::new(Shared {
            client_id: keyring.client_id.clone(),
            client_secret: keyring.client_secret.clone(),
            state: Mutex::default(),
            settled: Notify::new(),
        }))
    }

    /// What a request that is made `now` does about its token.
    #[must_use]
    pub fn step(&self, now: Timestamp) -> Step {
        let mut state = self.0.lock();
        let held = state.held.as_ref().filter(|held| now < held.expires);
        match held {
            Some(held) if state.is_fetching || now < held.renew => {
                Step::Send(Some((AUTHORIZATION, held.header.clone())))
            }
            _ if state.is_fetching => Step::Wait,
            _ => {
                state.is_fetching = true;
                Step::Fetch(Fetch { shared: Arc::clone(&self.0), asked: now })
            }
        }
    }

    /// Waits until nobody is fetching; then ask for the next step again. Cancel safe.
    pub async fn settled(&self) {
        loop {
            let mut settled = std::pin::pin!(self.0.settled.notified());
            settled.as_mut().enable();
            if !self.0.lock().is_fetching {
                return;
            }
            settled.await;
        }
    }

    /// Forgets the token that was sent, after a 401; a newer one stays.
    pub fn refused(&self, sent: &HeaderValue) {
        let mut state = self.0.lock();
        state.held.take_if(|held| held.header == *sent);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right and the duty to fetch a token; whoever drops it gives up, and another may try.
#[derive(Debug)]
#[must_use]
pub struct Fetch {
    shared: Arc<Shared>,
    asked: Timestamp,
}

impl Fetch {
    /// Headers and body of the `POST` to [`TOKEN_PATH`](super::TOKEN_PATH).
    #[must_use]
    pub fn request(&self) -> (HeaderMap, Bytes) {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(FORM))]);
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.shared.client_id)
            .append_pair("client_secret", self.shared.client_secret.expose())
            .finish();
        (headers, body.into())
    }

    /// Keeps the token of an answer. Its life counts from when it was asked for.
    ///
    /// # Errors
    ///
    /// When the answer is a refusal or no token.
    pub fn finish(self, status: StatusCode, body: &[u8]) -> Result<(), TokenError> {
        if status != StatusCode::OK {
            let code =
                serde_json::from_slice(body).ok().map(|refused: RefusedAnswer| refused.error);
            // Only RFC 6749's own kind of word: the rest is not for our messages.
            let is_word = |code: &String| {
                code.len() <= 40
                    && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            return Err(TokenError::Refused { status, code: code.filter(is_word) });
        }
        let answer: Answer = serde_json::from_slice(body).map_err(|_| TokenError::Unreadable)?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Unreadable);
        }
        let header = bearer(answer.access_token.expose()).ok_or(TokenError::Unreadable)?;
        let lifetime = answer.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs);
        let held = Held::new(header, self.asked, lifetime.min(LONGEST_LIFETIME));
        self.shared.lock().held = Some(held);
        Ok(())
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.shared.lock().is_fetching = false;
        self.shared.settled.notify_waiters();
    }
}

//! The client's side: what to send along.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::wire::auth::{Auth, Fetch, Keyring, TokenCache, X_API_KEY, jwt};

/// The header that proves who a request is from. Its `Debug` does not show the value.
pub type Credentials = (HeaderName, HeaderValue);

/// How long a token that a client signs itself is valid.
const JWT_LIFETIME: Duration = Duration::from_mins(5);

/// What a client does before a request.
#[derive(Debug)]
pub enum Step {
    /// Send it, with these credentials if there are any.
    Send(Option<Credentials>),
    /// Fetch a token first; the exchange counts as overhead.
    Fetch(Fetch),
    /// Another request is fetching the token: wait for [`Presenter::settled`] and ask again.
    Wait,
}

/// Knows what a client of one strategy sends along. Clones share their token.
#[derive(Clone, Debug, Default)]
pub struct Presenter(Style);

#[derive(Clone, Debug, Default)]
enum Style {
    #[default]
    None,
    ApiKey(HeaderValue),
    Jwt(Arc<Minter>),
    OAuth2(TokenCache),
}

/// Mints tokens and keeps the last.
#[derive(Debug)]
struct Minter {
    keyring: Keyring,
    held: Mutex<Option<Held>>,
}

/// A token that is still good.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) header: HeaderValue,
    pub(super) renew: Timestamp,
    pub(super) expires: Timestamp,
}

impl Held {
    pub(super) fn new(header: HeaderValue, from: Timestamp, lifetime: Duration) -> Held {
        let margin = (lifetime / 10).min(Duration::from_secs(30));
        // Only at the end of time can it not be added, and then nothing is kept.
        let after = |span| from.checked_add(span).unwrap_or(from);
        Held { header, renew: after(lifetime.saturating_sub(margin)), expires: after(lifetime) }
    }
}

impl Presenter {
    /// A presenter with the secrets of one strategy.
    ///
    /// # Panics
    ///
    /// When the API key does not fit into a header; those that are made here do.
    #[must_use]
    pub fn new(auth: Auth, keyring: Keyring) -> Presenter {
        Presenter(match auth {
            Auth::None => Style::None,
            Auth::ApiKey => {
                let key = HeaderValue::from_str(keyring.api_key.expose());
                let mut key = key.expect("an API key is plain text");
                key.set_sensitive(true);
                Style::ApiKey(key)
            }
            Auth::Jwt => Style::Jwt(Arc::new(Minter { keyring, held: Mutex::default() })),
            Auth::OAuth2 => Style::OAuth2(TokenCache::new(&keyring)),
        })
    }

    /// What a request that is made `now` does first.
    #[must_use]
    pub fn step(&self, now: Timestamp) -> Step {
        match &self.0 {
            Style::None => Step::Send(None),
            Style::ApiKey(key) => Step::Send(Some((X_API_KEY, key.clone()))),
            Style::Jwt(minter) => Step::Send(Some((AUTHORIZATION, minter.token(now)))),
            Style::OAuth2(cache) => cache.step(now),
        }
    }

    /// Waits until nobody is fetching a token; at once in styles that fetch none. Cancel safe.
    pub async fn settled(&self) {
        if let Style::OAuth2(cache) = &self.0 {
            cache.settled().await;
        }
    }

    /// Forgets a token that was answered with 401, so that the next request gets a new one.
    pub fn refused(&self, sent: &Credentials) {
        match &self.0 {
            Style::None | Style::ApiKey(_) => {}
            Style::Jwt(minter) => {
                let mut held = minter.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.take_if(|held| held.header == sent.1);
            }
            Style::OAuth2(cache) => cache.refused(&sent.1),
        }
    }
}

impl Minter {
    fn token(&self, now: Timestamp) -> HeaderValue {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref().filter(|held| now < held.renew) {
            return held.header.clone();
        }
        let keyring = &self.keyring;
        let token = jwt::mint(&keyring.jwt_secret, &keyring.client_id, now, JWT_LIFETIME);
        let header = bearer(&token).expect("a token is base64url");
        *held = Some(Held::new(header.clone(), now, JWT_LIFETIME));
        header
    }
}

/// A bearer token as a header that is not shown; `None` if it is not one (RFC 6750 §2.1).
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_token) {
        return None;
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

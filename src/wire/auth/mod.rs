//! Who may use an API: the styles of authentication, from both sides.
//!
//! | [`Auth`] | what a request carries | source |
//! | --- | --- | --- |
//! | [`None`](Auth::None) | nothing | |
//! | [`ApiKey`](Auth::ApiKey) | `X-API-Key: <key>` | `OpenAPI` 3.1, `apiKey` |
//! | [`Jwt`](Auth::Jwt) | `Authorization: Bearer <token>`, signed by the client itself with HS256 | RFC 7519, RFC 6750 |
//! | [`OAuth2`](Auth::OAuth2) | the same, with a token that the source issued | RFC 6749 §4.4 |
//!
//! On the server a [`Gatekeeper`] admits a request or refuses it, and a [`TokenEndpoint`] issues
//! tokens; on the client a [`Presenter`] says what to send, and when a token must be fetched
//! first. Both know the [`Keyring`] of their strategy. Time comes in as a value everywhere.

mod gatekeeper;
mod jwt;
mod keyring;
mod oauth2;
mod presenter;
mod token_cache;

#[cfg(test)]
mod tests;

use http::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use gatekeeper::{Gatekeeper, Principal, Refusal};
pub use jwt::AUDIENCE;
pub use keyring::{Keyring, Secret};
pub use oauth2::{TOKEN_PATH, TokenEndpoint};
pub use presenter::{Credentials, Presenter, Step};
pub use token_cache::{Fetch, TokenCache, TokenError};

/// The header of API keys.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// How clients of an API prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A key in the header `X-API-Key`.
    ApiKey,
    /// A JSON Web Token that the client signs itself with a shared secret (HS256).
    Jwt,
    /// A token that the client gets from the source for its id and secret.
    #[serde(rename = "oauth2")]
    OAuth2,
}

//! Both sides against each other, and what must be refused, on a virtual clock.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PRAGMA,
    WWW_AUTHENTICATE,
};
use http_body_util::BodyExt;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::{any, prop, prop_assert, proptest};
use serde_json::{Value, json};

use super::{
    Auth, Fetch, Gatekeeper, Keyring, Presenter, Principal, Secret, Step, TokenCache,
    TokenEndpoint, TokenError, X_API_KEY, jwt,
};
use crate::wire::reply::Reply;
use crate::wire::tally::Outcome;

const LIFETIME: Duration = Duration::from_mins(10);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a second")
}

fn keyring() -> Keyring {
    let secret = |text: &str| Secret::new(text.to_owned());
    Keyring {
        client_id: "polling".to_owned(),
        api_key: secret("key-1"),
        jwt_secret: secret("a secret for tokens"),
        client_secret: secret("s3cr3t/+ %:"),
    }
}

fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, HeaderValue::from_str(value).expect("text"));
    }
    headers
}

/// What a refused request is told: status, challenge and detail.
fn refusal(auth: Auth, headers: &HeaderMap) -> (String, String) {
    let refusal = Gatekeeper::new(auth, keyring()).admit(headers, at(0)).expect_err("refused");
    let response = refusal.reply().response;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let challenge = response.headers()[WWW_AUTHENTICATE].to_str().expect("text").to_owned();
    (challenge, refusal.to_string())
}

fn bearer(token: &str) -> HeaderMap {
    headers(&[(AUTHORIZATION, &format!("Bearer {token}"))])
}

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(algorithm), claims, &key).expect("a token")
}

fn claims() -> Value {
    let now = at(0).as_second();
    json!({ "sub": "polling", "aud": "pollpush-source", "exp": now + 60, "nbf": now })
}

fn unsent(step: &Step) -> HeaderMap {
    match step {
        Step::Send(credentials) => credentials.clone().into_iter().collect(),
        Step::Fetch(_) | Step::Wait => panic!("{step:?} instead of credentials"),
    }
}

#[test]
fn styles_have_the_names_of_scenario_files() {
    let names = ["none", "api-key", "jwt", "oauth2"];
    for (auth, name) in [Auth::None, Auth::ApiKey, Auth::Jwt, Auth::OAuth2].into_iter().zip(names) {
        assert_eq!(serde_json::to_value(auth).expect("text"), name);
        assert_eq!(serde_json::from_value::<Auth>(name.into()).expect("a name"), auth);
    }
    assert_eq!(Auth::default(), Auth::None);
}

#[test]
fn what_a_client_presents_is_admitted() {
    for (auth, principal) in
        [(Auth::None, "anonymous"), (Auth::ApiKey, "polling"), (Auth::Jwt, "polling")]
    {
        let presenter = Presenter::new(auth, keyring());
        let gatekeeper = Gatekeeper::new(auth, keyring());
        for second in [0, 100, 269, 270, 300, 100_000] {
            let headers = unsent(&presenter.step(at(second)));
            let admitted = gatekeeper.admit(&headers, at(second));
            assert_eq!(admitted, Ok(Principal(principal.to_owned())), "{auth:?} after {second} s");
        }
    }
}

#[test]
fn only_the_right_api_key_is_admitted() {
    for given in ["", "key-2", "KEY-1", "key-1 x", "key-10", "key-"] {
        let (challenge, detail) = refusal(Auth::ApiKey, &headers(&[(X_API_KEY, given)]));
        assert_eq!(challenge, "ApiKey realm=\"pollpush\"", "{given}");
        assert_eq!(detail, "the API key is wrong", "{given}");
    }
    assert_eq!(refusal(Auth::ApiKey, &HeaderMap::new()).1, "the header `x-api-key` is missing");
    let twice = headers(&[(X_API_KEY, "key-1"), (X_API_KEY, "key-1")]);
    assert_eq!(refusal(Auth::ApiKey, &twice).1, "credentials are given twice");
    // A key in the place of a token is none.
    assert!(refusal(Auth::ApiKey, &bearer("key-1")).1.contains("missing"));
}

#[test]
fn a_client_without_a_token_is_told_the_scheme_alone() {
    for fields in [vec![], vec![(AUTHORIZATION, "Basic cG9sbGluZzpz")], vec![(AUTHORIZATION, "x")]]
    {
        let (challenge, detail) = refusal(Auth::Jwt, &headers(&fields));
        assert_eq!(
            (&*challenge, &*detail),
            ("Bearer realm=\"pollpush\"", "a bearer token is missing")
        );
    }
}

#[test]
fn tokens_that_are_not_ours_are_refused() {
    let secret = keyring().jwt_secret;
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        signed(Algorithm::HS256, secret.expose(), &claims)
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().expect("claims").remove(name);
        signed(Algorithm::HS256, secret.expose(), &claims)
    };
    let good = signed(Algorithm::HS256, secret.expose(), &claims());
    let base64 = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (head, rest) = good.split_once('.').expect("three parts");
    let (_, signature) = rest.split_once('.').expect("three parts");
    let unsigned = |alg| format!("{}.{}", base64(json!({ "alg": alg })), base64(claims()));
    let now = at(0).as_second();
    assert!(Gatekeeper::new(Auth::Jwt, keyring()).admit(&bearer(&good), at(0)).is_ok());
    for (what, token, detail) in [
        ("alg none", format!("{}.", unsigned("none")), "not valid"),
        ("alg None", format!("{}.", unsigned("None")), "not valid"),
        ("alg none, signed", format!("{}.{signature}", unsigned("none")), "not valid"),
        ("no signature", format!("{head}.{}.", base64(claims())), "not valid"),
        ("other claims", format!("{head}.{}.{signature}", base64(json!({}))), "not valid"),
        ("wrong key", signed(Algorithm::HS256, "guessed", &claims()), "not valid"),
        ("no key", signed(Algorithm::HS256, "", &claims()), "not valid"),
        ("HS384", signed(Algorithm::HS384, secret.expose(), &claims()), "not valid"),
        ("HS512", signed(Algorithm::HS512, secret.expose(), &claims()), "not valid"),
        ("expired", with("exp", json!(now)), "has expired"),
        ("long expired", with("exp", json!(0)), "has expired"),
        ("exp below zero", with("exp", json!(-1)), "not valid"),
        ("exp is text", with("exp", json!((now + 60).to_string())), "not valid"),
        ("no exp", without("exp"), "not valid"),
        ("not yet valid", with("nbf", json!(now + 1)), "not valid yet"),
        ("nbf is text", with("nbf", json!("now")), "not valid"),
        ("wrong audience", with("aud", json!("another-api")), "not valid"),
        ("wrong audiences", with("aud", json!(["another-api", "a-third"])), "not valid"),
        ("no audience", without("aud"), "not valid"),
        ("no subject", without("sub"), "not valid"),
        ("another client", with("sub", json!("mallory")), "for another client"),
        ("garbage", "garbage".to_owned(), "not valid"),
        ("dots", "..".to_owned(), "not valid"),
        ("nothing", String::new(), "not valid"),
        ("too long", format!("{good}{}", "A".repeat(5000)), "too long"),
    ] {
        let (challenge, told) = refusal(Auth::Jwt, &bearer(&token));
        assert!(told.contains(detail), "{what}: {told}");
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
    }
    let twice = headers(&[
        (AUTHORIZATION, &format!("Bearer {good}")),
        (AUTHORIZATION, &format!("Bearer {good}")),
    ]);
    assert_eq!(refusal(Auth::Jwt, &twice).1, "credentials are given twice");
}

#[test]
fn what_the_rules_allow_is_admitted() {
    let secret = keyring().jwt_secret;
    let gatekeeper = Gatekeeper::new(Auth::Jwt, keyring());
    let mut several = claims();
    several["aud"] = json!(["another-api", "pollpush-source"]);
    several["extra"] = json!({ "ignored": true });
    several.as_object_mut().expect("claims").remove("nbf");
    let token = signed(Algorithm::HS256, secret.expose(), &several);
    assert!(gatekeeper.admit(&bearer(&token), at(59)).is_ok());
    assert!(gatekeeper.admit(&bearer(&token), at(60)).is_err(), "at `exp` it is over");
    let lower = headers(&[(AUTHORIZATION, &format!("bearer  {token}"))]);
    assert!(gatekeeper.admit(&lower, at(0)).is_ok(), "schemes have no case (RFC 9110 §11.1)");
}

#[test]
fn a_client_renews_its_own_token_before_it_expires() {
    let presenter = Presenter::new(Auth::Jwt, keyring());
    let token = |second| unsent(&presenter.step(at(second)))[AUTHORIZATION].clone();
    let first = token(0);
    assert_eq!(token(269), first);
    let second = token(270);
    assert_ne!(second, first);
    assert_eq!(token(280), second);
    presenter.refused(&(AUTHORIZATION, first));
    assert_eq!(token(281), second, "an old refusal does not cost the new token");
    presenter.refused(&(AUTHORIZATION, second.clone()));
    assert_ne!(token(281), second);
    let shown = format!("{presenter:?} {:?}", presenter.step(at(281)));
    assert!(!shown.contains("eyJ") && !shown.contains("a secret for tokens"), "{shown}");
}

fn endpoint() -> TokenEndpoint {
    TokenEndpoint::new(keyring(), LIFETIME)
}

/// Status and document of an answer, after a look at the headers all of them have.
fn opened(reply: Reply) -> (StatusCode, Value) {
    let headers = reply.response.headers();
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    assert_eq!(headers[PRAGMA], "no-cache");
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    let status = reply.response.status();
    let expected = if status == StatusCode::OK { Outcome::Overhead } else { Outcome::Failed };
    assert_eq!(reply.outcome, expected);
    assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == StatusCode::UNAUTHORIZED);
    let body = futures_util::FutureExt::now_or_never(reply.response.into_body().collect());
    let body = body.expect("a whole body").expect("no error").to_bytes();
    (status, serde_json::from_slice(&body).expect("JSON"))
}

fn ask(authorization: Option<&str>, body: &str) -> (StatusCode, Value) {
    let mut fields = vec![(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")];
    fields.extend(authorization.map(|value| (AUTHORIZATION, value)));
    opened(endpoint().answer(&headers(&fields), body.as_bytes(), at(0)))
}

const POSTED: &str =
    "grant_type=client_credentials&client_id=polling&client_secret=s3cr3t%2F%2B+%25%3A";
const GRANT: &str = "grant_type=client_credentials";

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[test]
fn both_ways_of_a_client_to_authenticate_get_a_token() {
    let good = basic("polling:s3cr3t%2F%2B+%25%3A");
    let lower = good.replacen("Basic", "basic", 1);
    for (authorization, body) in [
        (None, POSTED.to_owned()),
        (Some(&*good), GRANT.to_owned()),
        (Some(&*lower), format!("{GRANT}&scope=&unknown=1&client_id=polling")),
    ] {
        let (status, answer) = ask(authorization, &body);
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(600)));
        let token = answer["access_token"].as_str().expect("a token");
        let gatekeeper = Gatekeeper::new(Auth::OAuth2, keyring());
        assert!(gatekeeper.admit(&bearer(token), at(599)).is_ok());
        assert!(gatekeeper.admit(&bearer(token), at(600)).is_err());
    }
}

#[test]
fn token_requests_are_refused_in_the_words_of_the_standard() {
    let good = basic("polling:s3cr3t%2F%2B+%25%3A");
    let unencoded = basic("polling:s3cr3t/+ %:");
    let (none, ok) = (None, Some(&*good));
    let encoded = |pair: &str| Some(basic(pair));
    let secret = "client_secret=s3cr3t%2F%2B+%25%3A";
    for (authorization, body, status, error) in [
        (none, "", 400, "invalid_request"),
        (none, "client_id=polling", 400, "invalid_request"),
        (none, &*format!("{POSTED}&grant_type=client_credentials"), 400, "invalid_request"),
        (ok, POSTED, 400, "invalid_request"),
        (ok, "grant_type=", 400, "invalid_request"),
        (none, GRANT, 401, "invalid_client"),
        (none, &*format!("{GRANT}&client_id=polling"), 401, "invalid_client"),
        (none, &*format!("{GRANT}&{secret}"), 401, "invalid_client"),
        (none, &*format!("{GRANT}&client_id=other&{secret}"), 401, "invalid_client"),
        (none, &*format!("{GRANT}&client_id=polling&client_secret=x"), 401, "invalid_client"),
        (encoded("polling:x").as_deref(), GRANT, 401, "invalid_client"),
        (encoded("polling").as_deref(), GRANT, 401, "invalid_client"),
        (encoded("polling:s3cr3t%2F%2B+%25%3A&x=y").as_deref(), GRANT, 401, "invalid_client"),
        (Some(&*unencoded), GRANT, 401, "invalid_client"),
        (Some("Basic !"), GRANT, 401, "invalid_client"),
        (Some("Bearer x"), GRANT, 401, "invalid_client"),
        (ok, "grant_type=password", 400, "unsupported_grant_type"),
        (ok, "grant_type=authorization_code&code=1", 400, "unsupported_grant_type"),
        (ok, "grant_type=client_credentials&scope=admin", 400, "invalid_scope"),
    ] {
        let (answered, document) = ask(authorization, body);
        assert_eq!(document["error"], error, "{authorization:?} {body}");
        assert_eq!(answered.as_u16(), status, "{authorization:?} {body}");
        assert!(!document.to_string().contains("s3cr3t"), "{document}");
    }
    let json = headers(&[(CONTENT_TYPE, "application/json")]);
    let (status, document) = opened(endpoint().answer(&json, b"{}", at(0)));
    assert_eq!((status.as_u16(), &document["error"]), (400, &json!("invalid_request")));
}

#[test]
fn a_token_of_one_strategy_is_none_of_another() {
    let other = Keyring { jwt_secret: Secret::random(), ..keyring() };
    let token = jwt::mint(&keyring().jwt_secret, "polling", at(0), LIFETIME);
    assert!(Gatekeeper::new(Auth::OAuth2, keyring()).admit(&bearer(&token), at(0)).is_ok());
    assert!(Gatekeeper::new(Auth::OAuth2, other).admit(&bearer(&token), at(0)).is_err());
}

fn fetch(step: Step) -> Fetch {
    match step {
        Step::Fetch(fetch) => fetch,
        Step::Send(_) | Step::Wait => panic!("{step:?} instead of a fetch"),
    }
}

fn answer(lifetime: u64) -> String {
    json!({ "access_token": "abc.def", "token_type": "bearer", "expires_in": lifetime }).to_string()
}

#[test]
fn one_request_fetches_and_the_others_wait() {
    let cache = TokenCache::new(&keyring());
    let first = fetch(cache.step(at(0)));
    for _ in 0..3 {
        assert!(matches!(cache.step(at(0)), Step::Wait));
    }
    first.finish(StatusCode::OK, answer(600).as_bytes()).expect("a token");
    let sent = unsent(&cache.step(at(569)));
    assert_eq!(sent[AUTHORIZATION], "Bearer abc.def");
    // In the last half minute one renews, while the others go on with the old token.
    let renewal = fetch(cache.step(at(570)));
    assert_eq!(unsent(&cache.step(at(570))), sent);
    drop(renewal);
    let renewal = fetch(cache.step(at(571)));
    assert!(matches!(cache.step(at(600)), Step::Wait), "the old one has expired");
    drop(renewal);
    drop(fetch(cache.step(at(600))));
}

#[test]
fn what_is_fetched_is_admitted() {
    let presenter = Presenter::new(Auth::OAuth2, keyring());
    let gatekeeper = Gatekeeper::new(Auth::OAuth2, keyring());
    let mut fetches = 0;
    for second in (0..3_000).step_by(10) {
        if let Step::Fetch(fetch) = presenter.step(at(second)) {
            let (headers, body) = fetch.request();
            let (status, answer) = opened(endpoint().answer(&headers, &body, at(second)));
            fetch.finish(status, answer.to_string().as_bytes()).expect("a token");
            fetches += 1;
        }
        let headers = unsent(&presenter.step(at(second)));
        assert!(gatekeeper.admit(&headers, at(second)).is_ok(), "after {second} s");
    }
    assert_eq!(fetches, 6, "one each 570 s");
}

#[test]
fn a_refused_token_is_fetched_anew() {
    let cache = TokenCache::new(&keyring());
    fetch(cache.step(at(0))).finish(StatusCode::OK, answer(600).as_bytes()).expect("a token");
    let sent = unsent(&cache.step(at(1)))[AUTHORIZATION].clone();
    cache.refused(&HeaderValue::from_static("Bearer older"));
    assert!(matches!(cache.step(at(1)), Step::Send(Some(_))));
    cache.refused(&sent);
    drop(fetch(cache.step(at(1))));
}

#[test]
fn answers_that_are_no_tokens_are_refused() {
    let finish = |status, body: &str| {
        let cache = TokenCache::new(&keyring());
        let result = fetch(cache.step(at(0))).finish(status, body.as_bytes());
        assert!(matches!(cache.step(at(0)), Step::Fetch(_)) || result.is_ok(), "{body}");
        result
    };
    for body in [
        "",
        "{}",
        "[]",
        r#"{"access_token":"abc","token_type":"mac"}"#,
        r#"{"access_token":"abc"}"#,
        r#"{"access_token":"","token_type":"Bearer"}"#,
        r#"{"access_token":"a\r\nx: y","token_type":"Bearer"}"#,
        r#"{"access_token":"a b","token_type":"Bearer"}"#,
        r#"{"access_token":"a","token_type":"Bearer","expires_in":-1}"#,
    ] {
        assert_eq!(finish(StatusCode::OK, body), Err(TokenError::Unreadable), "{body}");
    }
    let refused =
        finish(StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).expect_err("no");
    assert_eq!(
        refused.to_string(),
        "the source answered 401 Unauthorized instead of a token: invalid_client"
    );
    let odd = finish(StatusCode::BAD_GATEWAY, r#"{"error":"<script>"}"#).expect_err("no");
    assert_eq!(odd, TokenError::Refused { status: StatusCode::BAD_GATEWAY, code: None });
    for lifetime in [0, 1, u64::MAX] {
        assert_eq!(finish(StatusCode::OK, &answer(lifetime)), Ok(()), "{lifetime}");
    }
}

#[tokio::test]
async fn whoever_waits_for_a_token_is_woken() {
    let cache = TokenCache::new(&keyring());
    let flight = fetch(cache.step(at(0)));
    let waiting = cache.clone();
    let finish = async move {
        tokio::task::yield_now().await;
        flight.finish(StatusCode::OK, answer(600).as_bytes()).expect("a token");
    };
    let settled = tokio::time::timeout(Duration::from_secs(20), waiting.settled());
    let (settled, ()) = tokio::join!(settled, finish);
    assert!(settled.is_ok());
    assert!(matches!(cache.step(at(0)), Step::Send(Some(_))));
}

#[test]
fn nothing_that_is_shown_has_a_secret_in_it() {
    let cache = TokenCache::new(&keyring());
    let flight = fetch(cache.step(at(0)));
    let shown = format!(
        "{cache:?} {flight:?} {:?} {:?} {:?}",
        endpoint(),
        Gatekeeper::new(Auth::Jwt, keyring()),
        Presenter::new(Auth::ApiKey, keyring()).step(at(0)),
    );
    flight.finish(StatusCode::OK, answer(600).as_bytes()).expect("a token");
    let shown = format!("{shown} {cache:?} {:?}", cache.step(at(0)));
    for secret in ["s3cr3t", "key-1", "a secret for tokens", "abc.def"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_header_opens_the_gate(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            headers.insert(AUTHORIZATION, value.clone());
            headers.insert(X_API_KEY, value);
        }
        for auth in [Auth::ApiKey, Auth::Jwt, Auth::OAuth2] {
            prop_assert!(Gatekeeper::new(auth, keyring()).admit(&headers, at(0)).is_err());
        }
    }

    #[test]
    fn no_form_gets_a_token(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let form = headers(&[(CONTENT_TYPE, "application/x-www-form-urlencoded")]);
        let reply = endpoint().answer(&form, &bytes, at(0));
        prop_assert!(reply.response.status().is_client_error());
    }
}

//! Vectors, what must not be believed, and agreement with the specification's own library.

use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::{
    Scheme, SignatureError, Signer, SigningKey, Verifier, WEBHOOK_ID, WEBHOOK_SIGNATURE,
    WEBHOOK_TIMESTAMP, X_HUB_SIGNATURE_256, X_SIGNATURE,
};

// The specification's own test vector.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const SENT: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

// GitHub's own test vector.
const GITHUB_SECRET: &str = "It's a Secret to Everybody";
const GITHUB_BODY: &[u8] = b"Hello, World!";
const GITHUB_HEX: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

const SCHEMES: [Scheme; 3] = [Scheme::StandardWebhooks, Scheme::XSignature, Scheme::GitHub];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second of this age")
}

fn key() -> SigningKey {
    SigningKey::from_secret(SECRET).expect("the vector's secret")
}

fn verifier() -> Verifier {
    Verifier::new(Scheme::StandardWebhooks, vec![key()])
}

fn headers(signature: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (WEBHOOK_ID, HeaderValue::from_static(ID)),
        (WEBHOOK_TIMESTAMP, HeaderValue::from(SENT)),
        (WEBHOOK_SIGNATURE, HeaderValue::from_str(signature).expect("text")),
    ])
}

fn with(name: HeaderName, value: &str) -> HeaderMap {
    let mut headers = headers(SIGNATURE);
    headers.insert(name, HeaderValue::from_str(value).expect("text"));
    headers
}

/// Whether the verifier of the specification's vector believes a message, and if not, why.
fn verdict(body: &[u8], headers: &HeaderMap, now: i64) -> Result<(), SignatureError> {
    verifier().verify(headers, body, at(now)).map(|_| ())
}

fn plain(scheme: Scheme, header: &str) -> Result<(), SignatureError> {
    let key = scheme.key(GITHUB_SECRET).expect("any text");
    let headers =
        HeaderMap::from_iter([(scheme.header(), HeaderValue::from_str(header).expect("text"))]);
    Verifier::new(scheme, vec![key]).verify(&headers, GITHUB_BODY, at(SENT)).map(|_| ())
}

#[test]
fn the_specifications_vector_verifies_and_is_what_we_sign() {
    assert_eq!(verdict(BODY, &headers(SIGNATURE), SENT), Ok(()));
    let signer = Signer::new(Scheme::StandardWebhooks, vec![key()]).expect("one key");
    let mut sent = HeaderMap::new();
    signer.sign(&HeaderValue::from_static(ID), at(SENT), BODY, &mut sent);
    assert_eq!(sent, headers(SIGNATURE));
}

#[test]
fn githubs_vector_verifies_and_is_what_we_sign() {
    for (scheme, name, value) in [
        (Scheme::GitHub, X_HUB_SIGNATURE_256, format!("sha256={GITHUB_HEX}")),
        (Scheme::XSignature, X_SIGNATURE, GITHUB_HEX.to_owned()),
    ] {
        assert_eq!(plain(scheme, &value), Ok(()), "{scheme:?}");
        let key = scheme.key(GITHUB_SECRET).expect("any text");
        let signer = Signer::new(scheme, vec![key]).expect("one key");
        let mut sent = HeaderMap::new();
        signer.sign(&HeaderValue::from_static(ID), at(SENT), GITHUB_BODY, &mut sent);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[name], value);
    }
}

#[test]
fn one_right_signature_among_junk_is_enough() {
    for list in [
        format!("v1,AAAA v2,zzz {SIGNATURE}"),
        format!("{SIGNATURE} v1,not-base64 v1a,AAAA"),
        format!("  {SIGNATURE}  "),
    ] {
        assert_eq!(verdict(BODY, &headers(&list), SENT), Ok(()), "{list}");
    }
}

#[test]
fn a_changed_message_is_not_believed() {
    let unpadded = SIGNATURE.trim_end_matches('=');
    let refused = [
        (&b"{}"[..], headers(SIGNATURE)),
        (b"", headers(SIGNATURE)),
        (BODY, with(WEBHOOK_ID, "msg_other")),
        (BODY, with(WEBHOOK_TIMESTAMP, "1614265331")),
        (BODY, with(WEBHOOK_TIMESTAMP, "+1614265330")),
        (BODY, headers("v1,AAAA v2,zzz")),
        (BODY, headers("v1,")),
        (BODY, headers(unpadded)),
        (BODY, headers(&SIGNATURE.replacen("v1", "v2", 1))),
        (BODY, headers(&SIGNATURE.replacen("v1", "V1", 1))),
        (BODY, headers(&SIGNATURE[3..])),
        (BODY, headers(&SIGNATURE.replace("v1,g0", "v1,G0"))),
        (BODY, headers(&format!("{SIGNATURE},{SIGNATURE}"))),
    ];
    for (body, headers) in refused {
        let refusal = verdict(body, &headers, SENT);
        assert_eq!(refusal, Err(SignatureError::NoMatch), "{headers:?}");
    }
}

#[test]
fn two_messages_cannot_lend_each_other_their_parts() {
    let signer = Signer::new(Scheme::StandardWebhooks, vec![key()]).expect("one key");
    let message = |id, body: &[u8]| {
        let mut headers = HeaderMap::new();
        signer.sign(&HeaderValue::from_static(id), at(SENT), body, &mut headers);
        headers
    };
    let (one, other) = (message("msg_1", b"one"), message("msg_2", b"other"));
    assert_eq!(verdict(b"one", &one, SENT), Ok(()));
    assert_eq!(verdict(b"other", &one, SENT), Err(SignatureError::NoMatch));
    let mut swapped = one;
    swapped.insert(WEBHOOK_ID, other[WEBHOOK_ID].clone());
    assert_eq!(verdict(b"one", &swapped, SENT), Err(SignatureError::NoMatch));
    // The same signed text, cut in another place.
    let dotted = message("msg_1.1614265330", b"x");
    assert_eq!(verdict(b"x", &dotted, SENT), Err(SignatureError::Unreadable(WEBHOOK_ID)));
}

#[test]
fn headers_that_are_missing_doubled_or_odd_are_named() {
    use SignatureError::{MissingHeader, TooLong, Unreadable};
    for name in [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE] {
        let mut missing = headers(SIGNATURE);
        missing.remove(&name);
        assert_eq!(verdict(BODY, &missing, SENT), Err(MissingHeader(name.clone())));
        for empty in ["", "  "] {
            let empty = with(name.clone(), empty);
            assert_eq!(verdict(BODY, &empty, SENT), Err(MissingHeader(name.clone())));
        }
        let mut doubled = headers(SIGNATURE);
        doubled.append(&name, doubled[&name].clone());
        assert_eq!(verdict(BODY, &doubled, SENT), Err(Unreadable(name.clone())));
        let long = with(name.clone(), &format!("{SIGNATURE} ").repeat(100));
        assert_eq!(verdict(BODY, &long, SENT), Err(TooLong(name.clone())));
        let mut binary = headers(SIGNATURE);
        binary.insert(name.clone(), HeaderValue::from_bytes(b"\xff\xfe").expect("opaque"));
        assert_eq!(verdict(BODY, &binary, SENT), Err(Unreadable(name)));
    }
    for odd in ["soon", "1e9", "99999999999999999999", "1614265330.0", "-"] {
        let refusal = verdict(BODY, &with(WEBHOOK_TIMESTAMP, odd), SENT);
        assert_eq!(refusal, Err(Unreadable(WEBHOOK_TIMESTAMP)), "{odd}");
    }
    let far = verdict(BODY, &with(WEBHOOK_TIMESTAMP, &i64::MIN.to_string()), SENT);
    assert_eq!(far, Err(SignatureError::OutOfTime));
}

#[test]
fn hexadecimal_is_read_in_either_case_and_only_whole() {
    let upper = GITHUB_HEX.to_uppercase();
    let other = GITHUB_HEX.replacen('7', "8", 1);
    for (header, believed) in [
        (GITHUB_HEX, Ok(())),
        (&upper, Ok(())),
        (&other, Err(SignatureError::NoMatch)),
        (&GITHUB_HEX[..62], Err(SignatureError::NoMatch)),
        (&GITHUB_HEX[..63], Err(SignatureError::Unreadable(X_SIGNATURE))),
        (&format!("{GITHUB_HEX}00"), Err(SignatureError::NoMatch)),
        ("zz", Err(SignatureError::Unreadable(X_SIGNATURE))),
        ("", Err(SignatureError::MissingHeader(X_SIGNATURE))),
        (&format!("sha256={GITHUB_HEX}"), Err(SignatureError::Unreadable(X_SIGNATURE))),
        (&GITHUB_HEX.repeat(65), Err(SignatureError::TooLong(X_SIGNATURE))),
    ] {
        assert_eq!(plain(Scheme::XSignature, header), believed, "{header}");
    }
}

#[test]
fn githubs_prefix_must_be_exactly_that() {
    let unreadable = Err(SignatureError::Unreadable(X_HUB_SIGNATURE_256));
    for prefix in ["", "sha1=", "SHA256=", "sha256", "sha256:", "sha512="] {
        assert_eq!(plain(Scheme::GitHub, &format!("{prefix}{GITHUB_HEX}")), unreadable, "{prefix}");
    }
    assert_eq!(plain(Scheme::GitHub, "sha256="), Err(SignatureError::NoMatch));
}

#[test]
fn timestamps_are_believed_for_the_tolerance_either_way() {
    let late = Err(SignatureError::OutOfTime);
    for (apart, believed) in [(300, Ok(())), (-300, Ok(())), (301, late.clone()), (-301, late)] {
        assert_eq!(verdict(BODY, &headers(SIGNATURE), SENT + apart), believed, "{apart}");
    }
    let strict = verifier().with_tolerance(Duration::from_secs(10));
    assert!(strict.verify(&headers(SIGNATURE), BODY, at(SENT + 10)).is_ok());
    let refusal = strict.verify(&headers(SIGNATURE), BODY, at(SENT + 11)).err();
    assert_eq!(refusal, Some(SignatureError::OutOfTime));
}

#[test]
fn a_replay_is_refused_and_a_retry_is_not() {
    let verifier = verifier();
    let first = headers(SIGNATURE);
    // Verified but not dealt with: the same attempt may come again.
    let _ = verifier.verify(&first, BODY, at(SENT)).expect("genuine");
    let message = verifier.verify(&first, BODY, at(SENT)).expect("genuine");
    verifier.accepted(message, at(SENT));
    for now in [SENT, SENT + 1, SENT + 300] {
        let replay = verifier.verify(&first, BODY, at(now)).err();
        assert_eq!(replay, Some(SignatureError::Replayed), "{now}");
        let junk = headers(&format!("v1,AAAA {SIGNATURE}"));
        let dressed = verifier.verify(&junk, BODY, at(now)).err();
        assert_eq!(dressed, Some(SignatureError::Replayed), "{now}");
    }
    let mut retry = HeaderMap::new();
    let signer = Signer::new(Scheme::StandardWebhooks, vec![key()]).expect("one key");
    signer.sign(&HeaderValue::from_static(ID), at(SENT + 5), BODY, &mut retry);
    assert!(verifier.verify(&retry, BODY, at(SENT + 5)).is_ok());
    // Afterwards its age alone is reason enough.
    let old = verifier.verify(&first, BODY, at(SENT + 301)).err();
    assert_eq!(old, Some(SignatureError::OutOfTime));
}

#[test]
fn styles_without_an_id_take_the_same_message_again() {
    let key = Scheme::XSignature.key(GITHUB_SECRET).expect("any text");
    let verifier = Verifier::new(Scheme::XSignature, vec![key]);
    let headers = HeaderMap::from_iter([(X_SIGNATURE, HeaderValue::from_static(GITHUB_HEX))]);
    for second in 0..3 {
        let message = verifier.verify(&headers, GITHUB_BODY, at(second)).expect("genuine");
        verifier.accepted(message, at(second));
    }
}

#[test]
fn a_secret_is_replaced_without_losing_a_message() {
    let (old, new) = (SigningKey::random_secret(), SigningKey::random_secret());
    for scheme in SCHEMES {
        let key = |secret: &str| scheme.key(secret).expect("our own secret");
        let signed = |keys: &[&str]| {
            let keys = keys.iter().map(|secret| key(secret)).collect();
            let mut headers = HeaderMap::new();
            let signer = Signer::new(scheme, keys)?;
            signer.sign(&HeaderValue::from_static(ID), at(SENT), BODY, &mut headers);
            Ok::<_, SignatureError>(headers)
        };
        let believes = |held: &[&str], headers: &HeaderMap| {
            let keys = held.iter().map(|secret| key(secret)).collect();
            Verifier::new(scheme, keys).verify(headers, BODY, at(SENT)).is_ok()
        };
        for sent in [&old, &new] {
            let headers = signed(&[sent]).expect("one key");
            assert!(believes(&[&old, &new], &headers), "{scheme:?}");
            assert_eq!(believes(&[&old], &headers), *sent == old, "{scheme:?}");
            assert!(!believes(&[], &headers), "{scheme:?}");
        }
        match signed(&[&old, &new]) {
            Ok(headers) => {
                assert_eq!(scheme, Scheme::StandardWebhooks);
                assert!(believes(&[&old], &headers) && believes(&[&new], &headers));
                assert!(!believes(&[&SigningKey::random_secret()], &headers));
            }
            Err(error) => {
                assert_ne!(scheme, Scheme::StandardWebhooks);
                assert_eq!(error, SignatureError::WrongNumberOfKeys);
            }
        }
        assert!(Signer::new(scheme, Vec::new()).is_err());
    }
}

#[test]
fn the_specifications_own_library_agrees_both_ways() {
    let secret = SigningKey::random_secret();
    let ours = SigningKey::from_secret(&secret).expect("our own secret");
    let theirs = standardwebhooks::Webhook::new(&secret).expect("our own secret");
    let mut headers = HeaderMap::new();
    let alone = Signer::new(Scheme::StandardWebhooks, vec![ours.clone()]).expect("a key");
    alone.sign(&HeaderValue::from_static(ID), crate::clock::wall(), BODY, &mut headers);
    theirs.verify(BODY, &headers).expect("their library believes our signature");

    let sent = crate::clock::wall().as_second();
    let signature = theirs.sign(ID, sent, BODY).expect("a signature");
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(sent));
    headers.insert(WEBHOOK_SIGNATURE, signature.parse().expect("a header value"));
    let verifier = Verifier::new(Scheme::StandardWebhooks, vec![ours.clone()]);
    assert!(verifier.verify(&headers, BODY, crate::clock::wall()).is_ok());

    // Two signatures in one header, as while a secret is being replaced.
    let signer = Signer::new(Scheme::StandardWebhooks, vec![key(), ours]).expect("two keys");
    signer.sign(&HeaderValue::from_static(ID), crate::clock::wall(), BODY, &mut headers);
    theirs.verify(BODY, &headers).expect("their library finds ours among two");
}

#[test]
fn schemes_have_the_names_of_scenario_files() {
    for (scheme, name) in SCHEMES.into_iter().zip(["standard-webhooks", "x-signature", "github"]) {
        assert_eq!(serde_json::to_value(scheme).expect("text"), name);
        assert_eq!(serde_json::from_value::<Scheme>(name.into()).expect("a name"), scheme);
    }
}

#[test]
fn every_refusal_has_a_status() {
    let status = |error: SignatureError| error.status();
    assert_eq!(status(SignatureError::NoMatch), StatusCode::FORBIDDEN);
    assert_eq!(status(SignatureError::Replayed), StatusCode::FORBIDDEN);
    assert_eq!(status(SignatureError::MissingHeader(X_SIGNATURE)), StatusCode::FORBIDDEN);
    let long = status(SignatureError::TooLong(X_SIGNATURE));
    assert_eq!(long, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?} {:?}", verifier(), Signer::new(Scheme::GitHub, vec![key()]));
    assert!(shown.contains("SigningKey(…)") && !shown.contains("MfKQ9"), "{shown}");
    for bad in ["hunter2", "whsec_", "whsec_!", ""] {
        assert_eq!(SigningKey::from_secret(bad).err(), Some(SignatureError::BadSecret), "{bad}");
    }
    assert_eq!(Scheme::GitHub.key("").err(), Some(SignatureError::BadSecret));
}

//! Every preset against its published table, outages, and the rules, on a virtual clock.

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use rand_pcg::Pcg64;

use super::{
    Anchor, Attempts, Ending, GaveUp, Jitter, MOST_RETRIES, Next, Preset, RetryBudget, RetryPolicy,
    Schedule, TimeScale,
};
use crate::clock::Moment;
use crate::units::parse_duration;

const REFUSED: Ending = answered(503);

const fn answered(status: u16) -> Ending {
    let Ok(status) = StatusCode::from_u16(status) else { panic!("a status") };
    Ending::Answered { status, retry_after: None }
}

fn random() -> Pcg64 {
    Pcg64::new(7, 1)
}

fn start() -> Moment {
    Moment::default().after(Duration::from_hours(1))
}

fn durations(text: &str) -> Vec<Duration> {
    text.split(' ')
        .filter(|wait| !wait.is_empty())
        .map(|wait| parse_duration(wait).expect(wait))
        .collect()
}

/// The waits between attempts of a message that always fails, each failure taking `cost`.
fn waits(schedule: &Schedule, cost: Duration, random: &mut Pcg64) -> Vec<Duration> {
    let mut now = start();
    let mut attempts = Attempts::begin(now);
    let mut waits = Vec::new();
    loop {
        now = now.after(cost);
        match attempts.decide(REFUSED, now, schedule, None, random) {
            Next::Retry { after } => {
                waits.push(after);
                now = now.after(after);
            }
            Next::DeadLetter { reason } => {
                assert_eq!(reason, GaveUp::Exhausted);
                assert_eq!(attempts.failed(), schedule.most_attempts());
                return waits;
            }
            other => panic!("{other:?} after a failure"),
        }
    }
}

/// As providers publish them, waits from the preceding failure.
const TABLE: [(Preset, &str, Option<u64>); 12] = [
    (Preset::None, "", None),
    (Preset::StandardWebhooks, "5s 5m 30m 2h 5h 10h 14h 20h 24h", Some(15)),
    (Preset::Svix, "5s 5m 30m 2h 5h 10h 10h", Some(15)),
    (Preset::GitHub, "", Some(10)),
    (Preset::Slack, "0s 1m 5m", Some(3)),
    (Preset::Recurly, "10s 74s 266s 778s 2058s 5130s 12298s 28682s 65546s 147466s", Some(5)),
    (Preset::PusherBeams, "10s 30s 120s 300s", Some(3)),
    (Preset::Circle, "1s 10s 30s 1m 15m 1h 3h 5h 6h 10h 11h", None),
    (Preset::Brevo, "10m 1h 2h 8h", None),
    (Preset::Sanity, "30s 30s", None),
    (Preset::Nmi, "15s 1m 1m 1m 5m 15m 30m 1h 1h 1h 1h 1h 1h 1h 1h 1h 1h 12h 12h 24h", None),
    (Preset::RestHooks, "5s 30s 5m 1h", None),
];

#[test]
fn every_preset_follows_its_table_to_the_jitter() {
    for (preset, published, timeout) in TABLE {
        let schedule = preset.schedule();
        let published = durations(published);
        assert_eq!(&schedule.waits[..], &published[..], "{preset:?}");
        assert_eq!(schedule.timeout, timeout.map(Duration::from_secs), "{preset:?}");
        let mut random = random();
        for cost in [Duration::ZERO, Duration::from_secs(15)] {
            let waits = waits(&schedule, cost, &mut random);
            assert_eq!(waits.len(), published.len(), "{preset:?}");
            for (wait, published) in waits.iter().zip(&published) {
                let (shortest, longest) = schedule.jitter.bounds(*published);
                assert!((shortest..=longest).contains(wait), "{preset:?}: {wait:?} {published:?}");
            }
        }
    }
}

#[test]
fn presets_that_publish_a_span_fill_it_by_doubling() {
    for (preset, doubling, retries, hours) in
        [(Preset::Shopify, 8, 8, 4), (Preset::Prolific, 10, 11, 24)]
    {
        let schedule = preset.schedule();
        assert_eq!(schedule.waits.len(), retries, "{preset:?}");
        let short = Duration::from_hours(hours).saturating_sub(schedule.span());
        assert!(short < Duration::from_millis(1), "{preset:?}: {short:?}");
        for pair in schedule.waits[..doubling].windows(2) {
            assert_eq!(pair[1], pair[0] * 2, "{preset:?}");
        }
    }
    let full = Preset::Prolific.schedule();
    assert_eq!((full.jitter, full.waits[0]), (Jitter::Full, Duration::from_mins(1)));
    let waits = waits(&full, Duration::ZERO, &mut random());
    assert!(waits.iter().zip(full.waits.iter()).all(|(wait, longest)| wait <= longest));
    assert!(waits.iter().sum::<Duration>() < full.span().mul_f64(0.95), "jitter shortens");
}

#[test]
fn every_preset_is_in_a_test() {
    let tabled = TABLE.map(|(preset, ..)| preset);
    let elsewhere = [Preset::Shopify, Preset::Prolific, Preset::TicketTailor];
    for preset in Preset::ALL {
        assert!(tabled.contains(&preset) || elsewhere.contains(&preset), "{preset:?}");
    }
}

#[test]
fn published_totals_come_out() {
    let total = |text: &str| durations(text).iter().sum::<Duration>();
    for (preset, attempts, span) in [
        (Preset::StandardWebhooks, 10, "75h 35m 5s"),
        (Preset::Svix, 8, "27h 35m 5s"),
        (Preset::Slack, 4, "6m"),
        (Preset::PusherBeams, 5, "460s"),
        (Preset::Sanity, 3, "1m"),
        (Preset::TicketTailor, 22, "65h 4m 16s"),
        (Preset::GitHub, 1, "0s"),
    ] {
        let schedule = preset.schedule();
        assert_eq!(schedule.most_attempts(), attempts, "{preset:?}");
        assert_eq!(schedule.span(), total(span), "{preset:?}");
    }
    let waits = waits(&Preset::Svix.schedule(), Duration::ZERO, &mut random());
    assert_eq!(waits[..3].iter().sum::<Duration>(), total("35m 5s"), "Svix's third retry");
}

#[test]
fn slow_failures_delay_what_follows_only_from_the_preceding_failure() {
    let schedule = Preset::TicketTailor.schedule();
    assert_eq!(schedule.anchor, Anchor::FirstAttempt);
    let cost = Duration::from_secs(3);
    let mut elapsed = Duration::ZERO;
    let waits = waits(&schedule, cost, &mut random());
    for (attempt, wait) in (2_u64..).zip(&waits) {
        elapsed += cost + *wait;
        assert_eq!(elapsed, Duration::from_secs(attempt.pow(4)), "attempt {attempt}");
    }
    // A failure that took longer than the wait is followed at once.
    let late = schedule.wait(0, Duration::from_secs(20), &mut random());
    assert_eq!(late, Some(Duration::ZERO));
    let svix = Preset::Svix.schedule().wait(0, Duration::from_secs(20), &mut random());
    assert_eq!(svix, Some(Duration::from_secs(5)));
}

/// Whether a message first attempted at a second gets through an outage that ends at another.
fn survives(
    schedule: &Schedule,
    created: u64,
    outage: std::ops::Range<u64>,
    random: &mut Pcg64,
) -> bool {
    let second = |second| Moment::default().after(Duration::from_secs(second));
    let mut now = second(created);
    let mut attempts = Attempts::begin(now);
    loop {
        let down = (second(outage.start)..second(outage.end)).contains(&now);
        let ending = if down { Ending::Broken } else { answered(204) };
        match attempts.decide(ending, now, schedule, None, random) {
            Next::Done => return true,
            Next::Retry { after } => now = now.after(after),
            Next::DeadLetter { .. } => return false,
            Next::Disable => panic!("nobody said 410"),
        }
    }
}

/// An event a second for two hours, with the receiver away for the second half hour.
#[test]
fn an_outage_of_half_an_hour_loses_what_the_schedule_cannot_span() {
    let outage = 1800..3600;
    for (preset, lost) in [
        (Preset::StandardWebhooks, 0),
        (Preset::Svix, 0),
        (Preset::RestHooks, 0),
        (Preset::Brevo, 0),
        (Preset::Slack, 1800 - 360),
        (Preset::PusherBeams, 1800 - 460),
        (Preset::Sanity, 1800 - 60),
        (Preset::GitHub, 1800),
    ] {
        let schedule = preset.schedule();
        let mut random = random();
        let gone: Vec<u64> = (0..7200)
            .filter(|second| !survives(&schedule, *second, outage.clone(), &mut random))
            .collect();
        // Exactly the first ones: those whose last attempt comes before the end.
        let expected: Vec<u64> = (outage.start..outage.start + lost).collect();
        assert_eq!(gone, expected, "{preset:?}");
    }
}

#[test]
fn the_status_decides() {
    let schedule = Schedule::of(vec![Duration::from_secs(5)]);
    let decide =
        |ending| Attempts::begin(start()).decide(ending, start(), &schedule, None, &mut random());
    let retry = Next::Retry { after: Duration::from_secs(5) };
    for status in [200, 201, 202, 204, 299] {
        assert_eq!(decide(answered(status)), Next::Done, "{status}");
    }
    for status in [100, 301, 302, 304, 307, 308, 400, 401, 403, 404, 408, 429, 500, 503, 599] {
        assert_eq!(decide(answered(status)), retry, "{status}");
    }
    assert_eq!(decide(answered(410)), Next::Disable);
    assert_eq!((decide(Ending::TimedOut), decide(Ending::Broken)), (retry, retry));
}

#[test]
fn brevo_takes_the_receivers_word_for_a_wrong_message() {
    let schedule = Preset::Brevo.schedule();
    let decide = |status| {
        let mut attempts = Attempts::begin(start());
        attempts.decide(answered(status), start(), &schedule, None, &mut random())
    };
    for (status, is_final) in [(400, true), (404, true), (429, false), (500, false), (302, false)] {
        let given_up = decide(status) == Next::DeadLetter { reason: GaveUp::Refused };
        assert_eq!(given_up, is_final, "{status}");
    }
}

#[test]
fn retry_after_lengthens_a_wait_and_never_shortens_it() {
    let schedule = Schedule::of(vec![Duration::from_mins(1)]);
    for (asked, waited) in [(0, 60), (59, 60), (61, 61), (3600, 3600)] {
        let ending = Ending::Answered {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(Duration::from_secs(asked)),
        };
        let next = Attempts::begin(start()).decide(ending, start(), &schedule, None, &mut random());
        assert_eq!(next, Next::Retry { after: Duration::from_secs(waited) });
    }
}

#[test]
fn without_budget_left_a_message_is_given_up() {
    let schedule = Preset::Svix.schedule();
    let mut budget = RetryBudget::new(0.1);
    let mut decisions = Vec::new();
    for _ in 0..=RetryBudget::RESERVE {
        budget.first_attempt();
        let mut attempts = Attempts::begin(start());
        decisions.push(attempts.decide(
            REFUSED,
            start(),
            &schedule,
            Some(&mut budget),
            &mut random(),
        ));
        // Nothing else costs a retry.
        let budget = Some(&mut budget);
        let done = attempts.decide(answered(204), start(), &schedule, budget, &mut random());
        assert_eq!(done, Next::Done);
    }
    // Ten in reserve, and a tenth earned by each attempt after the first retry: one more.
    let (last, first) = decisions.split_last().expect("eleven");
    assert!(first.iter().all(|next| matches!(next, Next::Retry { .. })), "{decisions:?}");
    assert!(matches!(last, Next::Retry { .. }), "{decisions:?}");
    let mut attempts = Attempts::begin(start());
    let over = attempts.decide(REFUSED, start(), &schedule, Some(&mut budget), &mut random());
    assert_eq!(over, Next::DeadLetter { reason: GaveUp::OverBudget });
}

#[test]
fn waits_are_shortened_and_timeouts_are_not() {
    let scale = TimeScale::try_from(0.001).expect("a factor");
    let schedule = Preset::StandardWebhooks.schedule().scaled(scale);
    assert_eq!(schedule.waits[0], Duration::from_millis(5));
    assert_eq!(schedule.span(), Duration::from_millis(((75 * 60 + 35) * 60) + 5));
    assert_eq!(schedule.timeout, Some(Duration::from_secs(15)));
    for factor in [0.0, -1.0, 1.1, f64::NAN, f64::INFINITY] {
        assert!(TimeScale::try_from(factor).is_err(), "{factor}");
        assert!(serde_json::from_value::<TimeScale>(factor.into()).is_err(), "{factor}");
    }
    assert_eq!(serde_json::from_str::<TimeScale>("0.001").expect("a factor"), scale);
}

#[test]
fn the_same_seed_gives_the_same_waits() {
    let schedule = Preset::Prolific.schedule();
    let waits = |seed| waits(&schedule, Duration::ZERO, &mut Pcg64::new(seed, 1));
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}

fn read(toml: &str) -> Result<RetryPolicy, String> {
    #[derive(Debug, serde::Deserialize)]
    struct File {
        retries: RetryPolicy,
    }
    toml::from_str::<File>(toml)
        .map(|file| file.retries)
        .map_err(|error| error.message().to_owned())
}

#[test]
fn scenario_files_name_a_preset_or_list_waits() {
    for preset in Preset::ALL {
        let name = serde_json::to_value(preset).expect("a name");
        let policy = read(&format!("retries = {name}")).expect("a preset");
        assert_eq!(policy, RetryPolicy::Preset(preset));
        assert_eq!(serde_json::to_value(&policy).expect("text"), name);
    }
    let policy = read(r#"retries = ["0s", "5s", "5m"]"#).expect("waits");
    assert_eq!(policy, RetryPolicy::Waits(durations("0s 5s 5m")));
    let text = serde_json::to_string(&policy).expect("text");
    assert_eq!(serde_json::from_str::<RetryPolicy>(&text).expect("the same"), policy);
    assert_eq!(read("retries = []").expect("none").schedule().most_attempts(), 1);
    assert_eq!(RetryPolicy::default().schedule().most_attempts(), 1);
}

#[test]
fn impossible_policies_are_refused_in_words_that_help() {
    for (toml, says) in [
        ("retries = \"svixx\"", "`svix`"),
        ("retries = 3", "a preset such as \"svix\", or a list of waits"),
        ("retries = [\"5 parsecs\"]", "is not a duration"),
        ("retries = [5]", "expected a string"),
        ("retries = [\"200h\"]", "at most 7 days"),
        (&format!("retries = [{}]", "\"1s\",".repeat(MOST_RETRIES + 1)), "at most 100 waits"),
    ] {
        let refusal = read(toml).expect_err(toml);
        assert!(refusal.contains(says), "{toml}: {refusal}");
    }
}

#[test]
fn the_schema_allows_names_and_lists() {
    let schema = schemars::schema_for!(RetryPolicy).to_value().to_string();
    for name in ["svix", "standard-webhooks", "ticket-tailor", "\"array\""] {
        assert!(schema.contains(name), "{schema}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_schedule_ends_after_its_last_retry(
        seconds in prop::collection::vec(0..604_800_u64, 0..20),
        share in 0.0..=1.0_f64,
        full in any::<bool>(),
        cost in 0..100_u64,
        seed in any::<u64>(),
    ) {
        let mut schedule = Schedule::of(seconds.iter().copied().map(Duration::from_secs).collect::<Vec<_>>());
        schedule.jitter = if full { Jitter::Full } else { Jitter::Proportional(share) };
        let mut random = Pcg64::new(seed.into(), 1);
        let made = waits(&schedule, Duration::from_secs(cost), &mut random);
        prop_assert_eq!(made.len(), seconds.len());
        for (wait, nominal) in made.iter().zip(schedule.waits.iter()) {
            let (shortest, longest) = schedule.jitter.bounds(*nominal);
            prop_assert!((shortest..=longest).contains(wait));
        }
    }
}

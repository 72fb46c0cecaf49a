//! Every process held against what theory says of its rate and its dispersion, under fixed seeds.
//!
//! The tolerances are at least three standard errors of the statistic, as far as theory gives
//! one; the seeds are fixed, so a test fails when the code changes, not now and then.

use std::time::Duration;

use rand::RngExt;

use super::{Arrivals, Batch, Diurnal, Lognormal, OnOff, Pareto, random_stream};
use crate::units::{Rate, nanoseconds};

fn due(arrivals: &Arrivals, rate: f64, seconds: u64, seed: u64) -> Vec<u64> {
    let rate = Rate::per_second(rate).expect("a rate");
    let until = Duration::from_secs(seconds);
    arrivals.due_offsets(rate, seed, until, None).expect("no trace is needed").collect()
}

fn gaps(due: &[u64]) -> Vec<f64> {
    due.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect()
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, squares / (values.len() - 1) as f64)
}

/// The number of events in each of the spans that a trial is cut into.
fn counts(due: &[u64], span: Duration, seconds: u64) -> Vec<f64> {
    let span = nanoseconds(span);
    let place = |offset: u64| usize::try_from(offset / span).expect("few spans");
    let mut counts = vec![0.0; place(seconds * 1_000_000_000)];
    for offset in due {
        if let Some(count) = counts.get_mut(place(*offset)) {
            *count += 1.0;
        }
    }
    counts
}

/// Variance over mean of the number of events in a span; 1 for Poisson arrivals.
fn dispersion(due: &[u64], span: Duration, seconds: u64) -> f64 {
    let (mean, variance) = mean_and_variance(&counts(due, span, seconds));
    variance / mean
}

fn named() -> impl Iterator<Item = Arrivals> {
    Arrivals::NAMES.into_iter().map(|name| Arrivals::named(name).expect("a process"))
}

#[test]
fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
    for arrivals in named() {
        assert_eq!(due(&arrivals, 20.0, 60, 7), due(&arrivals, 20.0, 60, 7));
        assert_ne!(due(&arrivals, 20.0, 60, 7), due(&arrivals, 20.0, 60, 8), "{arrivals:?}");
    }
}

#[test]
fn offsets_stay_inside_the_trial_and_in_order() {
    for arrivals in named() {
        let due = due(&arrivals, 500.0, 20, 5);
        assert!(due.is_sorted(), "{arrivals:?}");
        assert!(due.last().is_some_and(|last| *last < 20_000_000_000), "{arrivals:?}");
    }
}

#[test]
fn the_mean_rate_is_the_rate_asked_for_from_the_first_second_on() {
    // Two thousand short trials: what begins in a state of its own would show. The counts of
    // these processes have an index of dispersion of at most 45 over two seconds, so their mean
    // has a standard error of at most sqrt(45 · 20 / 2000) = 0.67 events of 20.
    for arrivals in named() {
        let events: usize = (0..2_000).map(|seed| due(&arrivals, 10.0, 2, seed).len()).sum();
        let mean = events as f64 / 2_000.0;
        assert!((mean - 20.0).abs() < 2.0, "{arrivals:?}: {mean}");
    }
}

#[test]
fn a_process_that_is_hardly_ever_on_ends_with_its_trial() {
    let never = OnOff { mean_on: Duration::from_millis(1), mean_off: Duration::from_millis(1) };
    let slow = Rate::per_second(1e-7).expect("a rate");
    let until = Duration::from_secs(10);
    let due = Arrivals::OnOff(never).due_offsets(slow, 1, until, None).expect("no trace");
    assert_eq!(due.count(), 0);
}

#[test]
fn constant_gaps_do_not_vary_and_poisson_gaps_vary_as_their_mean() {
    // 100,000 gaps: the mean of exponential gaps is within 1 % (3 sigma), their coefficient
    // of variation is 1; constant gaps have none.
    for (arrivals, variation) in [(Arrivals::Constant, 0.0), (Arrivals::Poisson, 1.0)] {
        let (mean, variance) = mean_and_variance(&gaps(&due(&arrivals, 1_000.0, 100, 11)));
        assert!((mean * 1_000.0 - 1.0).abs() < 0.01, "{arrivals:?}: mean gap {mean}");
        assert!((variance.sqrt() / mean - variation).abs() < 0.02, "{arrivals:?}: {variance}");
    }
}

#[test]
fn constant_arrivals_start_at_a_random_phase() {
    let first = |seed| due(&Arrivals::Constant, 1.0, 2, seed)[0];
    let early = (0..200).filter(|seed| first(*seed) < 500_000_000).count();
    assert!((60..140).contains(&early), "{early} of 200 phases in the first half");
}

#[test]
fn poisson_counts_have_the_variance_of_their_mean() {
    let dispersion = dispersion(&due(&Arrivals::Poisson, 50.0, 2_000, 3), SECOND, 2_000);
    // The index of dispersion of 2,000 counts has a standard error of sqrt(2/2000) = 0.032.
    assert!((dispersion - 1.0).abs() < 0.1, "{dispersion}");
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn batches_come_whole_and_multiply_the_dispersion_by_their_size() {
    let batch = Arrivals::Batch(Batch { batch_size: 10 });
    let due = due(&batch, 100.0, 4_000, 3);
    assert!(due.chunk_by(|one, next| one == next).all(|batch| batch.len() == 10));
    assert!((due.len() as f64 / 400_000.0 - 1.0).abs() < 0.02, "{}", due.len());
    // 4,000 counts of about ten batches: standard error 10 · sqrt(2/4000 · 1.05) = 0.23.
    let dispersion = dispersion(&due, SECOND, 4_000);
    assert!((dispersion - 10.0).abs() < 0.8, "{dispersion}");
}

#[test]
fn on_off_arrivals_have_the_dispersion_of_an_interrupted_poisson_process() {
    let on_off = OnOff { mean_on: SECOND, mean_off: 3 * SECOND };
    let due = due(&Arrivals::OnOff(on_off), 25.0, 40_000, 3);
    assert!((due.len() as f64 / 1e6 - 1.0).abs() < 0.03, "{}", due.len());
    // Peak p = 100/s, s = 1/s, r = 1/3/s, c = s + r: over long spans I = 1 + 2ps/c² = 113.5, over
    // a span t it is I − (I − 1)(1 − e^(−ct))/(ct) (Fischer and Meier-Hellstern 1993).
    let (peak, switching) = (100.0, 4.0 / 3.0_f64);
    let excess = 2.0 * peak / switching.powi(2);
    for seconds in [1, 10] {
        let reach = switching * f64::from(seconds);
        let expected = 1.0 + excess * (1.0 - (1.0 - (-reach).exp()) / reach);
        let found = dispersion(&due, seconds * SECOND, 40_000);
        assert!((found / expected - 1.0).abs() < 0.12, "{seconds} s: {found} of {expected}");
    }
}

#[test]
fn diurnal_rates_follow_the_time_of_day() {
    // A thousand days of 10 s and about 100 events each, cut into ten hours.
    let diurnal = Diurnal { amplitude: 0.8, day: 10 * SECOND };
    let due = due(&Arrivals::Diurnal(diurnal), 10.0, 10_000, 3);
    assert!((due.len() as f64 / 1e5 - 1.0).abs() < 0.01, "{}", due.len());
    let mut hours = [0.0; 10];
    for offset in &due {
        hours[(offset / 1_000_000_000 % 10) as usize] += 1.0;
    }
    let dawn = |hour: usize| std::f64::consts::TAU * (hour as f64 + 0.5) / 10.0;
    let along = |wave: fn(f64) -> f64| -> f64 {
        (0..10).map(|hour| hours[hour] * wave(dawn(hour))).sum::<f64>() / 5.0
    };
    // The amplitude of the first harmonic, whatever the phase; averaging over an hour takes
    // sin(π/10)/(π/10) of it. Each hour counts 10,000 ± 100.
    let swing = along(f64::sin).hypot(along(f64::cos)) / 10_000.0;
    let seen = (std::f64::consts::PI / 10.0).sin() / (std::f64::consts::PI / 10.0);
    assert!((swing / seen - 0.8).abs() < 0.02, "{swing}");
    // Over whole days nothing is left but chance.
    let dispersion = dispersion(&due, 10 * SECOND, 10_000);
    assert!((dispersion - 1.0).abs() < 0.15, "{dispersion}");
}

#[test]
fn diurnal_trials_begin_at_any_time_of_day() {
    let diurnal = Arrivals::Diurnal(Diurnal { amplitude: 1.0, day: 4 * SECOND });
    // In half a day the mean rate is that of a full day only if days begin anywhere.
    let counts: Vec<f64> =
        (0..400).map(|seed| due(&diurnal, 100.0, 2, seed).len() as f64).collect();
    let (mean, variance) = mean_and_variance(&counts);
    assert!((mean / 200.0 - 1.0).abs() < 0.1, "{mean}");
    // 200·(2/π)·A·sin φ' has the variance 8,106 over phases, and chance adds 200.
    assert!((variance / 8_306.0 - 1.0).abs() < 0.25, "{variance}");
}

/// The Hurst parameter from the variance of counts over spans of 2 s and of 200 s.
fn hurst(due: &[u64], seconds: u64) -> f64 {
    let growth = dispersion(due, 200 * SECOND, seconds) / dispersion(due, 2 * SECOND, seconds);
    // The index of dispersion grows as the span to the power of 2H − 1.
    f64::midpoint(growth.ln() / 100.0_f64.ln(), 1.0)
}

#[test]
fn pareto_arrivals_are_bursty_at_every_time_scale_and_poisson_arrivals_at_none() {
    let pareto = |alpha| Arrivals::Pareto(Pareto { alpha, mean_off: SECOND, ..Pareto::default() });
    for (alpha, tolerance) in [(1.2, 0.1), (1.5, 0.1)] {
        let due = due(&pareto(alpha), 20.0, 40_000, 3);
        let (found, expected) = (hurst(&due, 40_000), (3.0 - alpha) / 2.0);
        assert!((found - expected).abs() < tolerance, "{alpha}: {found} of {expected}");
    }
    let poisson = hurst(&due(&Arrivals::Poisson, 20.0, 40_000, 3), 40_000);
    assert!((poisson - 0.5).abs() < 0.05, "{poisson}");
}

#[test]
fn lognormal_gaps_have_the_variation_asked_for() {
    for variation in [0.5, 2.0] {
        let lognormal = Arrivals::Lognormal(Lognormal { variation });
        let due = due(&lognormal, 1_000.0, 100, 3);
        assert!((due.len() as f64 / 1e5 - 1.0).abs() < 0.03, "{}", due.len());
        // Logarithms of 100,000 gaps are normal; moments of the gaps themselves converge slowly.
        let logarithms: Vec<f64> = gaps(&due).iter().map(|gap| gap.ln()).collect();
        let (mean, variance) = mean_and_variance(&logarithms);
        let expected = variation.powi(2).ln_1p();
        assert!((variance / expected - 1.0).abs() < 0.02, "{variation}: {variance}");
        let centre = 0.001_f64.ln() - expected / 2.0;
        assert!((mean - centre).abs() < 0.02, "{variation}: {mean} of {centre}");
    }
}

#[test]
fn peaks_are_the_rates_of_the_busiest_time() {
    let rate = Rate::per_second(10.0).expect("a rate");
    let peak = |name| Arrivals::named(name).expect("a process").peak(rate);
    let peaks = ["poisson", "on-off", "diurnal", "pareto"].map(peak);
    for (found, expected) in peaks.into_iter().zip([10.0, 100.0, 15.0, 100.0]) {
        assert!((found - expected).abs() < 1e-9, "{found} of {expected}");
    }
    let fast = Rate::per_second(200_000.0).expect("a rate");
    let refused = Arrivals::named("on-off").expect("a process").check(fast);
    assert_eq!(refused.expect_err("2,000,000/s").key, "rate");
}

#[test]
fn records_name_process_and_parameters() {
    for (arrivals, written, shown) in [
        (Arrivals::Poisson, r#""poisson""#, "poisson"),
        (Arrivals::Constant, r#""constant""#, "constant"),
        (
            Arrivals::Batch(Batch { batch_size: 7 }),
            r#"{"batch":{"batch-size":7}}"#,
            "batch, batch-size=7",
        ),
        (
            Arrivals::OnOff(OnOff::default()),
            r#"{"on-off":{"mean-on":"1s","mean-off":"9s"}}"#,
            "on-off, mean-off=9s, mean-on=1s",
        ),
    ] {
        assert_eq!(arrivals.to_string(), shown);
        assert_eq!(serde_json::to_string(&arrivals).expect("JSON"), written);
        assert_eq!(serde_json::from_str::<Arrivals>(written).expect("arrivals"), arrivals);
    }
}

#[test]
fn streams_of_one_seed_are_unlike() {
    let mut first = random_stream(1, 0);
    let mut second = random_stream(1, 1);
    let equal = (0..1_000).filter(|_| first.random::<u8>() == second.random::<u8>()).count();
    assert!(equal < 20, "{equal} of 1000 bytes agree; 4 are expected");
}

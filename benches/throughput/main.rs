//! How fast source and client can go against each other, beside tools whose speed is known.
//!
//! Every arm runs once a round and rounds are repeated, so that what disturbs the machine
//! disturbs all arms alike; medians and ratios of medians are printed beside the targets.
//! Source and client each have a CPU of their own where there are two.
//!
//! `cargo bench --bench throughput [-- ROUNDS]`. `wrk` and `oha` are compared with if they are
//! on the `PATH`.

#![expect(clippy::print_stdout, reason = "a benchmark's result goes to stdout")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

mod latency;
mod peers;
mod place;
mod saturation;

use std::collections::BTreeMap;

/// Seconds one arm runs at saturation.
const SECONDS: u64 = 3;

/// Connections of every arm.
const CONNECTIONS: u32 = 16;

fn main() {
    let rounds: u32 = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(5);
    let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 1..=rounds {
        eprintln_round(round, rounds);
        for (name, figure) in saturation::polls().into_iter().chain(saturation::webhooks()) {
            figures.entry(name).or_default().push(figure);
        }
        for (name, figure) in latency::measure() {
            figures.entry(name).or_default().push(figure);
        }
    }
    let medians: BTreeMap<&str, f64> =
        figures.into_iter().map(|(name, figures)| (name, median(figures))).collect();
    print_table(&medians);
    print_targets(&medians);
}

#[expect(clippy::print_stderr, reason = "progress goes to stderr")]
fn eprintln_round(round: u32, rounds: u32) {
    eprintln!("round {round} of {rounds}");
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn print_table(medians: &BTreeMap<&str, f64>) {
    println!("{:<44} {:>14}", "median", "figure");
    for (name, figure) in medians {
        println!("{name:<44} {figure:>14.1}");
    }
}

/// A ratio that is aimed for: measured over reference, and the bound it should keep.
struct Target {
    what: &'static str,
    measured: &'static str,
    reference: &'static str,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const TARGETS: &[Target] = &[
    Target {
        what: "poll exchanges/s against oha",
        measured: "poll exchanges/s, hyper client",
        reference: "oha GET exchanges/s",
        bound: Bound::AtLeast(1.0),
    },
    Target {
        what: "poll exchanges/s against wrk",
        measured: "poll exchanges/s, hyper client",
        reference: "wrk GET exchanges/s",
        bound: Bound::AtLeast(0.8),
    },
    Target {
        what: "webhook deliveries/s against oha",
        measured: "webhook deliveries/s, signed",
        reference: "oha POST exchanges/s",
        bound: Bound::AtLeast(1.0),
    },
    Target {
        what: "webhook p50 against a raw socket, 200/s",
        measured: "webhook p50 µs at 200/s",
        reference: "raw one-way p50 µs at 200/s",
        bound: Bound::AtMost(3.0),
    },
    Target {
        what: "webhook p50 against a raw socket, 1000/s",
        measured: "webhook p50 µs at 1000/s",
        reference: "raw one-way p50 µs at 1000/s",
        bound: Bound::AtMost(2.5),
    },
];

fn print_targets(medians: &BTreeMap<&str, f64>) {
    println!("\n{:<44} {:>8}  {:<10} reached", "ratio of medians", "figure", "target");
    for target in TARGETS {
        let (Some(measured), Some(reference)) =
            (medians.get(target.measured), medians.get(target.reference))
        else {
            println!("{:<44} {:>8}", target.what, "no peer");
            continue;
        };
        let ratio = measured / reference;
        let (word, reached) = match target.bound {
            Bound::AtLeast(bound) => (format!(">= {bound}"), ratio >= bound),
            Bound::AtMost(bound) => (format!("<= {bound}"), ratio <= bound),
        };
        let reached = if reached { "yes" } else { "no" };
        println!("{:<44} {ratio:>8.2}  {word:<10} {reached}", target.what);
    }
    if let Some(lag) = medians.get("emission lag p99 µs at 1000/s") {
        let reached = if *lag <= 150.0 { "yes" } else { "no" };
        println!("{:<44} {lag:>8.1}  {:<10} {reached}", "emission lag p99 µs at 1000/s", "<= 150");
    }
}

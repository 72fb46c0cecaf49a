//! Curves for charts: cumulative shares, percentiles and latency over time.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::figures::{StrategyFigures, TimelineBin};
use super::latency::{Distribution, Quantile, over_blocks};
use crate::record::histogram::{GREATEST, Interval, Tag, empty};
use crate::record::manifest::PlannedWorkload;
use crate::theory::latency::Latency;
use crate::units::nanoseconds;

/// Points of a cumulative curve.
const ECDF_POINTS: u64 = 400;

/// Points of a closed form's curve.
const MODEL_POINTS: u32 = 100;

/// Further points, for charts of the tail.
const MODEL_TAIL: [f64; 4] = [0.995, 0.999, 0.9995, 0.9999];

/// Stretches of a timeline; fewer where only intervals of a second are known.
const BINS: u64 = 100;

/// The shortest stretch that whole intervals of a histogram log fall into.
const INTERVAL: u64 = 1_000_000_000;

/// Curves of one strategy, filled trial by trial.
pub(crate) struct Curves {
    end: u64,
    bin_length: u64,
    bins: Vec<Option<Bin>>,
}

/// Latencies of one stretch. A histogram, so that memory does not grow with the events; its
/// three digits are more than a chart shows. The greatest value is kept exactly.
struct Bin {
    latencies: Histogram<u64>,
    max: u64,
}

impl Curves {
    /// Empty curves; `coarse` if some trials have only histograms of a second each.
    pub(crate) fn new(workload: &PlannedWorkload, coarse: bool) -> Curves {
        let end = nanoseconds(workload.warm_up + workload.window).max(1);
        let fine = end.div_ceil(BINS);
        let bin_length = if coarse { fine.div_ceil(INTERVAL) * INTERVAL } else { fine };
        let bins = usize::try_from(end.div_ceil(bin_length)).expect("at most a hundred");
        Curves { end, bin_length, bins: (0..bins).map(|_| None).collect() }
    }

    /// Notes the latency of an event due at a moment.
    pub(crate) fn note(&mut self, due: u64, latency: u64) {
        if let Some(bin) = self.bin(due) {
            bin.latencies.saturating_record(latency.min(GREATEST));
            bin.max = bin.max.max(latency);
        }
    }

    /// Notes the latencies of an interval, all at its middle.
    pub(crate) fn note_interval(&mut self, interval: &Interval) {
        if !matches!(interval.tag, Tag::Latency | Tag::WarmUpLatency) {
            return;
        }
        let end = self.end;
        let middle = nanoseconds(interval.start + interval.length / 2).min(end - 1);
        if let Some(bin) = self.bin(middle) {
            bin.latencies.add(&interval.histogram).expect("all histograms have the same bounds");
            bin.max = bin.max.max(interval.histogram.max());
        }
    }

    fn bin(&mut self, at: u64) -> Option<&mut Bin> {
        let index = usize::try_from(at / self.bin_length).ok()?;
        let bin = self.bins.get_mut(index)?;
        Some(bin.get_or_insert_with(|| Bin { latencies: empty(), max: 0 }))
    }

    /// The curves, with what is known of all blocks together, and the latency predicted with the
    /// share of events that is delivered.
    pub(crate) fn finish(
        self,
        name: &str,
        emitted: u64,
        predicted: Option<(&Latency, f64)>,
        blocks: &[Distribution],
        pooled: &Distribution,
    ) -> StrategyFigures {
        StrategyFigures {
            name: name.to_owned(),
            ecdf: ecdf(pooled, emitted),
            ecdf_model: predicted.and_then(|(latency, _)| model_curve(latency)),
            delivered_model: predicted.map_or(1.0, |(_, delivered)| delivered),
            percentiles: percentiles(blocks),
            timeline: self.timeline(),
            ..StrategyFigures::default()
        }
    }

    fn timeline(self) -> Vec<TimelineBin> {
        let (length, end) = (self.bin_length, self.end);
        let point = |(index, bin): (u64, Option<Bin>)| {
            let bin = bin?;
            let start = index * length;
            Some(TimelineBin {
                at: u64::midpoint(start, end.min(start + length)),
                p50: bin.latencies.value_at_quantile(0.5).min(bin.max),
                max: bin.max,
            })
        };
        (0..).zip(self.bins).filter_map(point).collect()
    }
}

/// Points (latency, share of emitted) at ranks spread evenly over the delivered events.
fn ecdf(pooled: &Distribution, emitted: u64) -> Vec<(u64, f64)> {
    let count = pooled.count();
    let points = count.min(ECDF_POINTS);
    let mut curve: Vec<(u64, f64)> = Vec::new();
    for point in 0..points {
        // From the first rank to the last; products stay far below 2^64.
        let rank = if points == 1 { 1 } else { 1 + point * (count - 1) / (points - 1) };
        let Some((value, at_most)) = pooled.at_rank(rank) else { break };
        if curve.last().is_none_or(|(last, _)| *last < value) {
            curve.push((value, at_most as f64 / emitted as f64));
        }
    }
    curve
}

/// The same definition as the summary's: the median over blocks of each block's quantile.
fn percentiles(blocks: &[Distribution]) -> Vec<(f64, u64)> {
    Quantile::GRID
        .into_iter()
        .filter_map(|quantile| Some((quantile.share(), over_blocks(blocks, quantile)?)))
        .collect()
}

fn model_curve(latency: &Latency) -> Option<Vec<(u64, f64)>> {
    let point = |share: f64| {
        let latency: Duration = latency.quantile(share)?;
        Some((nanoseconds(latency), share))
    };
    let steps = (0..MODEL_POINTS).map(|step| f64::from(step) / f64::from(MODEL_POINTS));
    steps.chain(MODEL_TAIL).chain([1.0]).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::{Curves, Distribution, ecdf, percentiles};
    use crate::analysis::analyse::gather_all;
    use crate::record::run::Run;
    use crate::record::sample::Sample;

    fn figures(change: impl FnOnce(&mut Run)) -> crate::analysis::figures::PointFigures {
        let out = tempfile::tempdir().expect("a folder");
        let mut run =
            Run::open(&Sample::default().write(out.path()).expect("written")).expect("run");
        change(&mut run);
        gather_all(&run).expect("gathered").1.remove(0)
    }

    #[test]
    fn lost_events_keep_the_curve_below_one() {
        let curve = ecdf(&Distribution::of_values((1..=900).collect()), 1_000);
        assert!(curve.len() <= 400);
        assert_eq!(curve.first(), Some(&(1, 0.001)));
        assert_eq!(curve.last(), Some(&(900, 0.9)));
        assert!(curve.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1));
        assert!(ecdf(&Distribution::default(), 10).is_empty());
    }

    #[test]
    fn equal_latencies_are_one_step() {
        assert_eq!(ecdf(&Distribution::of_values(vec![5; 50]), 50), [(5, 1.0)]);
    }

    #[test]
    fn percentiles_end_where_the_sample_does() {
        let block = Distribution::of_values((1..=1_000).collect());
        let curve = percentiles(&[block]);
        assert_eq!(curve.first(), Some(&(0.0, 1)));
        assert_eq!(curve.last(), Some(&(0.99, 990)));
        assert!(percentiles(&[]).is_empty());
    }

    #[test]
    fn the_timeline_covers_warm_up_and_window_and_skips_silence() {
        let point = figures(|_| ());
        assert_eq!((point.warm_up, point.end), (1_000_000_000, 9_000_000_000));
        for strategy in &point.strategies {
            assert!(strategy.timeline.len() > 50 && strategy.timeline.len() <= 100);
            assert!(strategy.timeline[0].at < 1_000_000_000);
            assert!(strategy.timeline.iter().all(|bin| bin.p50 <= bin.max && bin.at < point.end));
            assert!(strategy.timeline.is_sorted_by_key(|bin| bin.at));
        }
    }

    #[test]
    fn whole_intervals_make_a_coarse_timeline() {
        let point = figures(|run| {
            run.records.iter_mut().for_each(|record| {
                record.measured.as_mut().expect("measured").ledger = None;
            });
        });
        assert_eq!(point.strategies[0].timeline.len(), 9);
    }

    #[test]
    fn only_a_form_that_claims_a_distribution_has_a_curve() {
        let point = figures(|_| ());
        let [poll, webhook] = &point.strategies[..] else { panic!("two strategies") };
        let curve = poll.ecdf_model.as_ref().expect("uniform");
        assert_eq!(curve.first(), Some(&(150_000, 0.0)));
        assert_eq!(curve.last(), Some(&(250_150_000, 1.0)));
        assert_eq!(webhook.ecdf_model, None);
        assert!((poll.delivered_model - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_moment_after_the_end_is_in_no_bin() {
        let out = tempfile::tempdir().expect("a folder");
        let run = Run::open(&Sample::default().write(out.path()).expect("written")).expect("run");
        let mut curves = Curves::new(&run.manifest.points[0].workload, false);
        curves.note(u64::MAX, 5);
        assert!(curves.timeline().is_empty());
    }
}

//! Statements over blocks: each block is one independent repetition and counts once.

/// How sure an interval must be.
const CONFIDENCE: f64 = 0.95;

/// The middle value, or the middle of the two middle values; `None` of nothing.
pub(crate) fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(u64::midpoint(sorted[sorted.len() / 2 - 1], upper))
}

/// The narrowest symmetric pair of order statistics that holds the true median of the blocks
/// with at least 95 % confidence; `None` below six blocks, where even least and greatest do not.
///
/// The k-th least and k-th greatest of n hold it with probability 1 − 2·P(B(n, ½) < k),
/// whatever the distribution (Le Boudec, "Performance Evaluation of Computer and
/// Communication Systems", 2010, section 2.2).
pub(crate) fn median_interval(values: &[u64]) -> Option<[u64; 2]> {
    let (k, _) = interval_rank(values.len())?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    Some([sorted[k - 1], sorted[sorted.len() - k]])
}

/// The middle of some ratios, with an interval of at least 95 % confidence where there are
/// blocks enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Middle {
    pub(crate) median: f64,
    /// Least, greatest, and the confidence that the true median lies between.
    pub(crate) interval: Option<(f64, f64, f64)>,
}

/// As [`median`] and [`median_interval`], for numbers that are not whole; `None` of nothing.
pub(crate) fn middle(values: &[f64]) -> Option<Middle> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    let interval = interval_rank(sorted.len())
        .map(|(k, confidence)| (sorted[k - 1], sorted[sorted.len() - k], confidence));
    Some(Middle { median: f64::midpoint(sorted[lower], sorted[upper]), interval })
}

/// The pair of order statistics that holds the true median with at least this confidence; least
/// and greatest where no pair does; `None` below six blocks.
pub(crate) fn surer_interval(values: &[f64], confidence: f64) -> Option<(f64, f64)> {
    interval_rank(values.len())?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (k, _) = rank_at(values.len(), confidence).unwrap_or((1, 0.0));
    Some((sorted[k - 1], sorted[sorted.len() - k]))
}

/// As [`rank_at`] for intervals that are shown.
fn interval_rank(blocks: usize) -> Option<(usize, f64)> {
    rank_at(blocks, CONFIDENCE)
}

/// The greatest k, counted from one, whose interval is sure enough, and how sure it is.
fn rank_at(blocks: usize, enough: f64) -> Option<(usize, f64)> {
    let n = blocks as f64;
    // In logarithms, because ½ to the number of blocks may be too small for a number.
    let mut log_probability = -n * 2.0_f64.ln();
    let mut below = 0.0;
    let mut rank = None;
    for k in 1..=blocks / 2 {
        below += log_probability.exp();
        let confidence = 1.0 - 2.0 * below;
        if confidence < enough {
            break;
        }
        rank = Some((k, confidence));
        log_probability += ((n - k as f64 + 1.0) / k as f64).ln();
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::{interval_rank, median, median_interval, middle, surer_interval};
    use statrs::distribution::{Binomial, DiscreteCDF};

    #[test]
    fn ranks_are_those_of_published_tables() {
        // Le Boudec 2010, table A.1: 95 % intervals for the median.
        for (blocks, rank) in [
            (1, None),
            (5, None),
            (6, Some(1)),
            (8, Some(1)),
            (9, Some(2)),
            (10, Some(2)),
            (11, Some(2)),
            (12, Some(3)),
            (15, Some(4)),
            (20, Some(6)),
            (30, Some(10)),
            (50, Some(18)),
            (70, Some(27)),
        ] {
            assert_eq!(interval_rank(blocks).map(|(rank, _)| rank), rank, "{blocks} blocks");
        }
    }

    #[test]
    fn every_interval_is_sure_enough_and_none_could_be_narrower() {
        for blocks in (6..200).chain([2_000]) {
            let (rank, stated) = interval_rank(blocks).expect("six are enough");
            let rank = rank as u64;
            let tosses = Binomial::new(0.5, blocks as u64).expect("a coin");
            let confidence = |k: u64| 1.0 - 2.0 * tosses.cdf(k - 1);
            assert!(confidence(rank) >= 0.95, "{blocks}");
            assert!((confidence(rank) - stated).abs() < 1e-9, "{blocks}");
            assert!(confidence(rank + 1) < 0.95, "{blocks}");
        }
        let six = 1.0 - 2.0 * Binomial::new(0.5, 6).expect("a coin").cdf(0);
        assert!((six - 0.969).abs() < 0.001);
    }

    #[test]
    fn six_blocks_span_all_and_ten_leave_one_out_on_each_side() {
        assert_eq!(median_interval(&[6, 1, 5, 2, 4, 3]), Some([1, 6]));
        assert_eq!(median_interval(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]), Some([2, 9]));
        assert_eq!(median_interval(&[1, 2, 3, 4, 5]), None);
    }

    #[test]
    fn ratios_have_a_middle_and_an_interval() {
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        let found = middle(&ten).expect("values");
        let (low, high, confidence) = found.interval.expect("ten blocks");
        assert_eq!((found.median, low, high), (5.5, 2.0, 9.0));
        assert!((confidence - 0.979).abs() < 0.001, "{confidence}");
        assert_eq!(middle(&[3.0]).expect("a value").interval, None);
        assert_eq!(middle(&[]), None);
    }

    #[test]
    fn a_surer_interval_is_wider_until_it_is_the_widest() {
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        for (confidence, expected) in
            [(0.95, (2.0, 9.0)), (0.99, (1.0, 10.0)), (0.9999, (1.0, 10.0))]
        {
            assert_eq!(surer_interval(&ten, confidence), Some(expected), "{confidence}");
        }
        assert_eq!(surer_interval(&ten[..5], 0.95), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7]), Some(7));
        assert_eq!(median(&[9, 1, 5]), Some(5));
        assert_eq!(median(&[u64::MAX, 1, 5, u64::MAX]), Some(u64::MAX / 2 + 3));
    }
}

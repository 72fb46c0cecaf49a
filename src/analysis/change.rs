//! Whether and when latency changed in the course of the window: was the warm-up long enough?
//!
//! Pettitt's test (1979, "A Non-Parametric Approach to the Change-Point Problem") asks for each
//! moment how differently the parts before and after it rank, and takes the moment where they
//! differ most. Ranks are taken within each block and added up over the blocks, part by part,
//! for a start that is slow is slow in every block. MSER-5, which is often used to cut off a
//! start, always cuts something off, noise too, and says nothing of how sure it is.
//!
//! Parts of the warm-up are not looked at: they are excluded whatever happened in them. A start
//! that was over before the window opened leaves no change in the window.

use super::trend::BLOCKS_ENOUGH;

/// Where latencies before and after differ most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Change {
    /// The number of parts before the change.
    pub(crate) part: usize,
    /// Of how many parts.
    pub(crate) parts: usize,
    /// The median part before it, in nanoseconds.
    pub(crate) before: f64,
    /// The median part after it.
    pub(crate) after: f64,
    /// The chance of such a difference without a change.
    pub(crate) p_value: f64,
}

impl Change {
    /// How much latency before the change differs from that after it, as a share of the latter.
    pub(crate) fn size(&self) -> f64 {
        (self.before - self.after) / self.after.max(1.0)
    }
}

/// The change that several blocks have in common; each is the medians of its parts, in order.
/// `None` where there are not two parts to compare.
pub(crate) fn change(blocks: &[&[Option<u64>]]) -> Option<Change> {
    let parts = blocks.iter().map(|block| block.len()).max()?;
    let courses: Vec<Vec<f64>> = blocks.iter().map(|block| course(block, parts)).collect();
    let sum = |part: usize| courses.iter().map(|course| course[part]).sum::<f64>();
    let greater = |best: usize, next: usize| {
        if sum(next).abs() > sum(best).abs() { next } else { best }
    };
    let last = (1..parts).reduce(greater)?;
    let of = |ranges: &dyn Fn(usize) -> bool| {
        let chosen = blocks.iter().flat_map(|block| {
            block.iter().enumerate().filter(|(part, _)| ranges(*part)).filter_map(|(_, one)| *one)
        });
        super::blocks::median(&chosen.collect::<Vec<u64>>())
    };
    let (before, after) = (of(&|part| part < last)?, of(&|part| part >= last)?);
    let variance: f64 = blocks
        .iter()
        .map(|block| block.iter().flatten().count() as f64)
        .map(|held| held.powi(3) + held.powi(2))
        .sum();
    let excess = excess(&courses, blocks);
    let p_value = (2.0 * (-6.0 * sum(last).powi(2) / (variance * excess)).exp()).min(1.0);
    Some(Change { part: last, parts, before: before as f64, after: after as f64, p_value })
}

/// By part, the difference in rank between the parts before and those from there on: Pettitt's
/// U. Parts without a median leave it as it was.
fn course(block: &[Option<u64>], parts: usize) -> Vec<f64> {
    let mut sorted: Vec<u64> = block.iter().copied().flatten().collect();
    sorted.sort_unstable();
    let middle = sorted.len() as f64 + 1.0;
    let mut course = vec![0.0];
    let mut sum = 0.0;
    for part in 0..parts {
        if let Some(median) = block.get(part).copied().flatten() {
            let below = sorted.partition_point(|other| *other < median);
            let at_most = sorted.partition_point(|other| *other <= median);
            // Twice the rank, in the middle of equal ones, less what is expected of it.
            sum += (below + at_most + 1) as f64 - middle;
        }
        course.push(sum);
    }
    course
}

/// How many times more the courses vary from block to block than those of independent parts
/// would, if there are blocks enough to tell: a machine whose speed wanders.
fn excess(courses: &[Vec<f64>], blocks: &[&[Option<u64>]]) -> f64 {
    let count = courses.len() as f64;
    let parts = courses.first().map_or(0, Vec::len);
    if courses.len() < BLOCKS_ENOUGH {
        return 1.0;
    }
    let found: f64 = (0..parts)
        .map(|part| {
            let mean = courses.iter().map(|course| course[part]).sum::<f64>() / count;
            let about = |course: &Vec<f64>| (course[part] - mean).powi(2);
            courses.iter().map(about).sum::<f64>() / (count - 1.0)
        })
        .sum();
    let expected: f64 = blocks
        .iter()
        .map(|block| {
            let held = block.iter().flatten().count() as f64;
            // The sum of t·(n − t)·(n + 1)/3 over all t.
            (held + 1.0) * held * (held * held - 1.0) / 18.0
        })
        .sum::<f64>()
        / count;
    if expected > 0.0 { (found / expected).max(1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::{Change, change};
    use crate::schedule::random_stream;
    use rand::RngExt;

    type Medians = Vec<Option<u64>>;

    fn change_of(blocks: &[Medians]) -> Option<Change> {
        let blocks: Vec<&[Option<u64>]> = blocks.iter().map(Vec::as_slice).collect();
        change(&blocks)
    }

    /// Blocks of 40 parts about 1,000,000, ± 10 %, of which the first `slow` are `more` longer.
    fn blocks(count: u64, slow: usize, more: f64, seed: u64) -> Vec<Medians> {
        (0..count)
            .map(|block| {
                let mut random = random_stream(seed, block);
                let part = |part| {
                    let start = if part < slow { more } else { 0.0 };
                    let noise = 0.2 * random.random::<f64>() - 0.1;
                    Some(super::super::series::whole(1e6 * (1.0 + start + noise)))
                };
                (0..40).map(part).collect()
            })
            .collect()
    }

    #[test]
    fn the_course_is_pettitts() {
        // Ranks 2 3 1 5 4: U = 2ΣR − t(n + 1) is −2, −2, −6, −2, 0.
        let series = [20, 30, 10, 50, 40].map(Some).to_vec();
        assert_eq!(super::course(&series, 5), [0.0, -2.0, -2.0, -6.0, -2.0, 0.0]);
        let found = change_of(&[series]).expect("judged");
        assert_eq!((found.part, found.parts), (3, 5));
        assert_eq!((found.before, found.after), (20.0, 45.0));
        // 2·exp(−6·36/(125 + 25)).
        assert!((found.p_value - 2.0 * (-1.44_f64).exp()).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_slow_start_is_found_where_it_ends() {
        for (count, slow) in [(1, 12), (3, 6), (10, 4)] {
            let found = change_of(&blocks(count, slow, 0.5, 3)).expect("judged");
            assert!(found.p_value < 0.01, "{count}: {found:?}");
            assert!(found.part.abs_diff(slow) <= 3, "{found:?}");
            assert!((found.size() - 0.5).abs() < 0.1, "{found:?}");
        }
    }

    #[test]
    fn one_restless_block_among_ten_is_no_change() {
        let mut ten = blocks(9, 0, 0.0, 5);
        ten.extend(blocks(1, 20, 3.0, 6));
        assert!(change_of(&ten).expect("judged").p_value > 0.01);
    }

    #[test]
    fn chance_makes_a_change_as_seldom_as_it_says() {
        for count in [1, 3, 10] {
            let found = |seed: &u64| {
                change_of(&blocks(count, 0, 0.0, *seed)).expect("judged").p_value < 0.01
            };
            let alarms = (0..300).filter(found).count();
            // Three are expected.
            assert!(alarms <= 9, "{count} blocks: {alarms}");
        }
    }

    #[test]
    fn missing_parts_are_passed_over() {
        assert_eq!(change_of(&[]), None);
        assert_eq!(change_of(&[vec![Some(4)]]), None);
        assert_eq!(change_of(&[vec![None, Some(4), None]]), None);
        let mut gappy = blocks(3, 20, 0.5, 9);
        gappy[1].iter_mut().step_by(3).for_each(|part| *part = None);
        let found = change_of(&gappy).expect("judged");
        assert!(found.part == 20 && found.p_value < 1e-6, "{found:?}");
        let equal = change_of(&[vec![Some(5); 40]]).expect("judged");
        assert_eq!((equal.size(), equal.p_value), (0.0, 1.0));
    }
}

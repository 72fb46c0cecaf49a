//! Searching along a swept setting: which of its values are needed to find where the preference
//! between strategies changes, and in which order.
//!
//! The two ends come first, then the middle between any two values whose preferred strategies
//! differ (bisection). Values between two with the same preference are ruled out. That finds a
//! change where there is one; of three or any other odd number along one line it finds one, and of
//! two it may find none.

use std::collections::{BTreeMap, VecDeque};

use crate::units::on_one_scale;

/// The fewest values worth a search: of three, none could be left out but the middle.
pub const FEWEST_VALUES: usize = 4;

/// Points that differ in the searched setting only, as their places, by its rising values.
pub type Line = Vec<usize>;

/// The lines along a parameter; `None` if its values are not numbers of one unit.
#[must_use]
pub fn lines(parameter: &str, points: &[&BTreeMap<String, String>]) -> Option<Vec<Line>> {
    let written: Vec<&str> = points
        .iter()
        .map(|point| point.get(parameter).map(String::as_str))
        .collect::<Option<_>>()?;
    let (_, values) = on_one_scale(&written)?;
    let mut lines: BTreeMap<BTreeMap<&str, &str>, Line> = BTreeMap::new();
    let mut in_order = Vec::new();
    for (place, point) in points.iter().enumerate() {
        let others = point.iter().filter(|(path, _)| *path != parameter);
        let others: BTreeMap<&str, &str> =
            others.map(|(path, value)| (path.as_str(), value.as_str())).collect();
        if !lines.contains_key(&others) {
            in_order.push(others.clone());
        }
        lines.entry(others).or_default().push(place);
    }
    let line = |others| {
        let mut line = lines.remove(&others).unwrap_or_default();
        line.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        line
    };
    Some(in_order.into_iter().map(line).collect())
}

/// A line in the order of the search: its ends, the middle, the middles of both halves, and so on.
#[must_use]
pub fn order(line: &[usize]) -> Vec<usize> {
    let (Some(first), Some(last)) = (line.first(), line.last()) else { return Vec::new() };
    let mut order = vec![*first];
    if line.len() > 1 {
        order.push(*last);
    }
    let mut halves = VecDeque::from([(0, line.len() - 1)]);
    while let Some((low, high)) = halves.pop_front() {
        if high - low > 1 {
            let middle = low.midpoint(high);
            order.push(line[middle]);
            halves.extend([(low, middle), (middle, high)]);
        }
    }
    order
}

/// The points of a line that lie between two with the same preference, and so are not needed.
pub fn ruled_out<P: PartialEq>(
    line: &[usize],
    preferred: impl Fn(usize) -> Option<P>,
) -> Vec<usize> {
    let mut out = Vec::new();
    let mut before: Option<(usize, P)> = None;
    for (place, point) in line.iter().enumerate() {
        let Some(here) = preferred(*point) else { continue };
        if let Some((from, there)) = &before
            && *there == here
        {
            out.extend(&line[from + 1..place]);
        }
        before = Some((place, here));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{lines, order, ruled_out};
    use std::collections::{BTreeMap, BTreeSet};

    fn point(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
        parameters.iter().map(|(path, value)| ((*path).into(), (*value).into())).collect()
    }

    #[test]
    fn lines_hold_everything_else_and_rise() {
        let points = [
            point(&[("every", "1s"), ("rate", "10/s")]),
            point(&[("every", "1s"), ("rate", "30/min")]),
            point(&[("every", "2s"), ("rate", "10/s")]),
            point(&[("every", "2s"), ("rate", "30/min")]),
        ];
        let points: Vec<_> = points.iter().collect();
        assert_eq!(lines("rate", &points), Some(vec![vec![1, 0], vec![3, 2]]));
        assert_eq!(lines("every", &points), Some(vec![vec![0, 2], vec![1, 3]]));
        assert_eq!(lines("other", &points), None);
        let words = [point(&[("tls", "true")]), point(&[("tls", "false")])];
        assert_eq!(lines("tls", &words.iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn the_ends_come_first_and_every_point_once() {
        assert_eq!(order(&[0, 1, 2, 3, 4]), [0, 4, 2, 1, 3]);
        for length in 0..40 {
            let line: Vec<usize> = (0..length).map(|place| place + 7).collect();
            let order = order(&line);
            assert_eq!(order.len(), length);
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), length);
        }
    }

    /// Measures as a run does: in order, but what was ruled out before its turn came.
    fn searched(length: usize, preferred: impl Fn(usize) -> &'static str) -> Vec<usize> {
        let line: Vec<usize> = (0..length).collect();
        let (mut measured, mut out) = (Vec::new(), BTreeSet::new());
        for point in order(&line) {
            if !out.contains(&point) {
                measured.push(point);
                let known = |point| measured.contains(&point).then(|| preferred(point));
                out.extend(ruled_out(&line, known));
            }
        }
        measured.sort_unstable();
        measured
    }

    #[test]
    fn a_search_measures_both_neighbours_of_a_change_and_few_others() {
        for change in 1..33 {
            let measured = searched(33, |point| if point < change { "push" } else { "poll" });
            assert!(measured.contains(&(change - 1)) && measured.contains(&change), "{measured:?}");
            assert!(measured.len() <= 2 + 5, "{measured:?}");
        }
        assert_eq!(searched(33, |_| "poll"), [0, 32], "no change, nothing to search");
    }

    #[test]
    fn a_point_without_a_figure_bounds_nothing() {
        let line = [0, 1, 2, 3, 4];
        let spoilt = |point| (point != 2).then_some("poll").filter(|_| point % 2 == 0);
        assert_eq!(ruled_out(&line, spoilt), [1, 2, 3]);
        assert!(ruled_out(&line, |_| None::<&str>).is_empty());
    }
}

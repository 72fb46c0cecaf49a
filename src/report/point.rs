//! What a point is called: in headings, and in the names of its folders.

use std::collections::BTreeMap;

use crate::analysis::summary::PointSummary;

/// The longest name of a point's folder, before a number that keeps it unique.
const LONGEST_SLUG: usize = 80;

/// The swept parameters in one line, such as `events.rate = 20/s`; `None` without a sweep.
pub(super) fn heading(parameters: &BTreeMap<String, String>) -> Option<String> {
    if parameters.is_empty() {
        return None;
    }
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    Some(pairs.join(", "))
}

/// The folder of each point's charts, relative to the report: `charts` for a single point,
/// `charts/<slug>` for several. No two points share a folder.
pub(super) fn chart_folders(points: &[PointSummary]) -> Vec<String> {
    if let [_] = points {
        return vec!["charts".to_owned()];
    }
    let mut folders: Vec<String> = Vec::with_capacity(points.len());
    for (place, point) in points.iter().enumerate() {
        let mut folder = format!("charts/{}", slug(&point.parameters, place));
        while folders.contains(&folder) {
            folder = format!("{folder}-{}", place + 1);
        }
        folders.push(folder);
    }
    folders
}

/// Lower-case letters, digits, dots and dashes only, so that it needs no escaping anywhere.
fn slug(parameters: &BTreeMap<String, String>, place: usize) -> String {
    let mut slug = String::new();
    let text = heading(parameters).unwrap_or_default().to_lowercase();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || (character == '.' && !slug.is_empty()) {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(LONGEST_SLUG);
    let slug = slug.trim_end_matches(['-', '.']);
    if slug.is_empty() { format!("point-{}", place + 1) } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{chart_folders, heading};
    use crate::analysis::summary::{Conditions, PointSummary};

    fn point(pairs: &[(&str, &str)]) -> PointSummary {
        let parameters =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        PointSummary {
            parameters,
            strategies: Vec::new(),
            comparisons: Vec::new(),
            paired: Vec::new(),
            stopping: None,
            conditions: Conditions::default(),
        }
    }

    #[test]
    fn a_single_point_needs_no_folder_of_its_own() {
        assert_eq!(chart_folders(&[point(&[("events.rate", "20/s")])]), ["charts"]);
    }

    #[test]
    fn folders_are_safe_and_never_shared() {
        let points = [
            point(&[("events.rate", "20/s")]),
            point(&[("events.rate", "20 s")]),
            point(&[("events.rate", "20-s")]),
            point(&[("../ü", "*")]),
            point(&[]),
        ];
        assert_eq!(
            chart_folders(&points),
            [
                "charts/events.rate-20-s",
                "charts/events.rate-20-s-2",
                "charts/events.rate-20-s-3",
                "charts/point-4",
                "charts/point-5",
            ]
        );
    }

    #[test]
    fn a_heading_names_every_swept_parameter() {
        let point = point(&[("events.rate", "20/s"), ("events.payload", "1 KiB")]);
        let heading = heading(&point.parameters);
        assert_eq!(heading.as_deref(), Some("events.payload = 1 KiB, events.rate = 20/s"));
    }
}

//! The summary as `summary.json`.

use crate::analysis::summary::Summary;

/// Writes the summary as indented JSON that ends with a newline.
#[expect(clippy::missing_panics_doc, reason = "a summary always serialises")]
#[must_use]
pub fn summary(summary: &Summary) -> String {
    let mut text = serde_json::to_string_pretty(summary)
        .expect("a summary has only text keys and no type that fails to serialise");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use crate::report::sample;

    #[test]
    fn the_summary_reads_back_as_it_was() {
        let summary = sample::summary();
        let text = super::summary(&summary);
        assert!(text.ends_with("}\n"));
        assert_eq!(
            serde_json::from_str::<crate::analysis::summary::Summary>(&text).ok(),
            Some(summary)
        );
    }
}

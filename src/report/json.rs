//! The summary as `summary.json`, and how two of them differ.

use serde_json::Value;

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

/// Every place at which one JSON document says something else than another, in words: the place
/// as a JSON path, what the first says and what the second does. Empty if they say the same.
///
/// # Errors
///
/// When one of them is no JSON.
pub fn differences(found: &str, expected: &str) -> Result<Vec<String>, serde_json::Error> {
    let (found, expected) = (serde_json::from_str(found)?, serde_json::from_str(expected)?);
    let mut said = Vec::new();
    compare("$", Some(&found), Some(&expected), &mut said);
    Ok(said)
}

/// `None` stands for a place that a document does not have.
fn compare(place: &str, found: Option<&Value>, expected: Option<&Value>, said: &mut Vec<String>) {
    match (found, expected) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            let added = theirs.keys().filter(|name| !ours.contains_key(*name));
            for name in ours.keys().chain(added) {
                compare(&format!("{place}.{name}"), ours.get(name), theirs.get(name), said);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            for index in 0..ours.len().max(theirs.len()) {
                let place = format!("{place}[{index}]");
                compare(&place, ours.get(index), theirs.get(index), said);
            }
        }
        (found, expected) if found == expected => {}
        (found, expected) => {
            said.push(format!("{place} is {}, should be {}", shown(found), shown(expected)));
        }
    }
}

/// Letters of a value that are shown.
const SHOWN: usize = 60;

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::differences;
    use crate::report::sample;

    #[test]
    fn documents_are_compared_place_by_place() {
        let found = r#"{"a": [1, {"b": 2.5}], "c": "x", "only": null}"#;
        let expected = r#"{"c": "x", "a": [1, {"b": 2.25}, 3]}"#;
        assert_eq!(
            differences(found, expected).expect("JSON"),
            [
                "$.a[1].b is 2.5, should be 2.25",
                "$.a[2] is absent, should be 3",
                "$.only is null, should be absent",
            ]
        );
        assert_eq!(differences(found, found).expect("JSON"), Vec::<String>::new());
        assert!(differences("{", found).is_err());
    }

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

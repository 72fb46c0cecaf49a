//! CSL-JSON, which reference managers and Pandoc read.

use serde_json::{Value, json};

use super::Citation;

pub(super) fn write(citation: &Citation) -> String {
    let authors: Vec<Value> = if citation.authors.is_empty() {
        vec![json!({ "literal": "pollpush" })]
    } else {
        citation.authors.iter().map(|author| json!({ "literal": author })).collect()
    };
    let part = |format: &str| {
        let text = citation.made.strftime(format).to_string();
        text.parse::<i64>().expect("a part of a date is a number")
    };
    let mut item = json!({
        "id": format!("pollpush-{}", citation.short_id()),
        "type": "dataset",
        "title": citation.title,
        "author": authors,
        "issued": { "date-parts": [[part("%Y"), part("%-m"), part("%-d")]] },
        "version": citation.version,
        "genre": format!("Run of {}", citation.tool()),
        "abstract": citation.contents(),
        "note": format!("Run sha256:{}", citation.run_id),
    });
    if let Some(url) = &citation.url {
        item["URL"] = url.as_str().into();
    }
    let mut text = serde_json::to_string_pretty(&json!([item])).expect("text keys");
    text.push('\n');
    text
}

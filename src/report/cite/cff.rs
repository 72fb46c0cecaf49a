//! The Citation File Format 1.2.0, of the run folder as a data set.

use super::Citation;

pub(super) fn write(citation: &Citation) -> String {
    let mut lines = vec![
        "cff-version: 1.2.0".to_owned(),
        "message: \"Cite this run as below.\"".to_owned(),
        "type: dataset".to_owned(),
        format!("title: {}", quoted(&citation.title)),
        format!("abstract: {}", quoted(&citation.contents())),
        "authors:".to_owned(),
    ];
    let program = ["pollpush".to_owned()];
    let authors = if citation.authors.is_empty() { &program[..] } else { &citation.authors };
    lines.extend(authors.iter().map(|author| format!("  - name: {}", quoted(author))));
    lines.extend([
        format!("version: {}", quoted(&citation.version)),
        format!("commit: {}", quoted(&citation.commit)),
        format!("date-released: {}", quoted(&citation.day())),
        "identifiers:".to_owned(),
        "  - type: other".to_owned(),
        format!("    value: {}", quoted(&format!("sha256:{}", citation.run_id))),
        "    description: \"The run id, which covers every byte of evidence.\"".to_owned(),
    ]);
    lines.extend(citation.url.as_ref().map(|url| format!("url: {}", quoted(&encoded(url)))));
    lines.push(String::new());
    lines.join("\n")
}

/// A text in double quotes, in which YAML knows the escapes of JSON. What YAML does not print is
/// left out.
fn quoted(text: &str) -> String {
    let printable: String =
        text.chars().filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')).collect();
    serde_json::Value::from(printable).to_string()
}

/// A URL without the signs that none may have.
fn encoded(url: &str) -> String {
    let mut encoded = String::with_capacity(url.len());
    for character in url.chars() {
        match character {
            ' ' => encoded.push_str("%20"),
            '"' => encoded.push_str("%22"),
            '<' => encoded.push_str("%3C"),
            '>' => encoded.push_str("%3E"),
            '\\' => encoded.push_str("%5C"),
            '{' => encoded.push_str("%7B"),
            '}' => encoded.push_str("%7D"),
            character => encoded.push(character),
        }
    }
    encoded
}

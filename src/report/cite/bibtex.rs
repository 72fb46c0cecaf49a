//! An entry for BibTeX and biblatex, of the type that both know.

use super::Citation;

pub(super) fn write(citation: &Citation) -> String {
    // An author in braces is one name, whatever commas and `and`s it has.
    let authors: Vec<String> =
        citation.authors.iter().map(|author| format!("{{{}}}", escape(author))).collect();
    let authors = if authors.is_empty() { "{pollpush}".to_owned() } else { authors.join(" and ") };
    let url = citation.url.as_ref().map(|url| ("url", verbatim(url)));
    let fields = [
        ("author", authors),
        ("title", format!("{{{}}}", escape(&citation.title))),
        ("year", citation.made.strftime("%Y").to_string()),
        ("month", citation.made.strftime("%-m").to_string()),
        ("howpublished", escape(&format!("Run of {}", citation.tool()))),
        ("note", escape(&format!("{} Run sha256:{}", citation.contents(), citation.run_id))),
    ];
    let fields: Vec<String> = fields
        .into_iter()
        .chain(url)
        .map(|(name, value)| format!("  {name} = {{{value}}},\n"))
        .collect();
    format!("@misc{{pollpush-{},\n{}}}\n", citation.short_id(), fields.concat())
}

/// Text as TeX sets it. Letters beyond ASCII stay: today's engines read UTF-8.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("{\\textbackslash}"),
            '~' => escaped.push_str("{\\textasciitilde}"),
            '^' => escaped.push_str("{\\textasciicircum}"),
            // As commands, because a brace behind a backslash still counts for BibTeX.
            '{' => escaped.push_str("{\\textbraceleft}"),
            '}' => escaped.push_str("{\\textbraceright}"),
            '&' | '%' | '$' | '#' | '_' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// A URL as it is; what would unbalance the braces is written as a URL may write it.
fn verbatim(url: &str) -> String {
    url.replace('{', "%7B").replace('}', "%7D").replace('\\', "%5C").replace(' ', "%20")
}

//! One paragraph of plain text.

use super::Citation;

pub(super) fn write(citation: &Citation) -> String {
    let authors = match &citation.authors[..] {
        [] => String::new(),
        authors => format!("{}. ", authors.join("; ")),
    };
    let url = citation.url.as_ref().map_or(String::new(), |url| format!(" {url}"));
    format!(
        "{authors}{}. {} Run sha256:{}, {}.{url}\n",
        citation.title,
        citation.contents(),
        citation.run_id,
        citation.day()
    )
}

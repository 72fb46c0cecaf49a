//! A Markdown footnote, to be put at the end of a document that refers to it.

use super::Citation;
use crate::report::markdown::escape;

pub(super) fn write(citation: &Citation) -> String {
    let authors = match &citation.authors[..] {
        [] => String::new(),
        authors => format!("{}. ", escape(&authors.join("; "))),
    };
    let title = escape(&citation.title);
    let title = match &citation.url {
        Some(url) => format!("[*{title}*](<{}>)", link(url)),
        None => format!("*{title}*"),
    };
    format!(
        "[^pollpush-{}]: {authors}{title}. {} Run `sha256:{}`, {}.\n",
        citation.short_id(),
        escape(&citation.contents()),
        citation.run_id,
        citation.day()
    )
}

/// A link's target between angle brackets.
fn link(url: &str) -> String {
    url.replace('\\', "%5C").replace('<', "%3C").replace('>', "%3E").replace(' ', "%20")
}

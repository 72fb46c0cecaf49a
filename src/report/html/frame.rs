//! What every page has around its body: its head, the policy, one style and one script.
//!
//! Every text is escaped by the templates; only charts, style and script, which are made here, go
//! in as they are.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, HtmlEscape, UndefinedBehavior, Value, context};
use sha2::{Digest as _, Sha256};

use crate::report::plot;

const FRAME: &str = include_str!("frame.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A whole page around a body that [`fill`] made; `version` is of this program.
pub(in crate::report) fn page(title: &str, version: &str, body: String) -> String {
    let style = plot::page_css() + STYLE.trim_end();
    let script = SCRIPT.trim_end();
    fill(
        FRAME,
        context! {
            style_hash => hash(&style),
            script_hash => hash(script),
            style => Value::from_safe_string(style),
            script => Value::from_safe_string(script.to_owned()),
            title => title,
            version => version,
            body => Value::from_safe_string(body),
        },
    )
}

/// Fills a template, in which `| code` sets what a text has in backticks as code.
///
/// # Panics
///
/// If the template asks for what it is not given; templates are parts of the program.
pub(in crate::report) fn fill(template: &'static str, values: Value) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("code", |text: String| Value::from_safe_string(code(&text)));
    let template = environment.template_from_named_str("page.html", template);
    let template = template.expect("the template is well-formed");
    template.render(values).expect("the template asks only for what it is given")
}

/// A text as HTML, with what is in backticks as code.
fn code(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('`')
        && let Some((inside, after)) = from.split_once('`')
    {
        let (before, inside) = (HtmlEscape(before), HtmlEscape(inside));
        write!(html, "{before}<code>{inside}</code>").expect("writing to memory cannot fail");
        rest = after;
    }
    html + &HtmlEscape(rest).to_string()
}

/// What a policy calls a text that may be used.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::{SCRIPT, code, hash, page};

    #[test]
    fn only_the_pages_own_style_and_script_may_be_used() {
        let page = page("Title", "1.2.3", "<main></main>".to_owned());
        assert!(page.contains(&hash(SCRIPT.trim_end())));
        assert_eq!(page.matches("sha256-").count(), 2);
        assert!(page.contains("<main></main>") && page.ends_with("</html>"));
    }

    #[test]
    fn backticks_become_code_and_nothing_becomes_markup() {
        assert_eq!(code("set `a<b>` & go"), "set <code>a&lt;b&gt;</code> &amp; go");
        assert_eq!(code("`<i>` and a lone ` <b>"), "<code>&lt;i&gt;</code> and a lone ` &lt;b&gt;");
        assert_eq!(code("plain"), "plain");
    }
}

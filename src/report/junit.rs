//! Thresholds as a `JUnit` file, which continuous integration shows beside tests.
//!
//! Each expectation is a test case of its strategy; it fails unless it is met. The verdict is
//! a test case too, for figures of an invalid run prove nothing.

use std::fmt::Write as _;

use crate::analysis::summary::{Judgement, Summary, VerdictStatus};

use super::{decided, wording};

/// Writes the file.
#[must_use]
pub fn thresholds(summary: &Summary) -> String {
    let failed = summary.thresholds.iter().filter(|result| !result.passed).count();
    let invalid = summary.verdict.status == VerdictStatus::Invalid;
    let (tests, failures) = (summary.thresholds.len() + 1, failed + usize::from(invalid));
    let name = escaped(&summary.scenario.title);
    let totals = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\"");
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pollpush\" {totals}>\n  \
         <testsuite name=\"{name}\" {totals}>\n"
    );
    let verdict = match summary.verdict.status {
        VerdictStatus::Invalid => Err(("invalid", wording::verdict_advice(VerdictStatus::Invalid))),
        status => Ok(wording::verdict_advice(status)),
    };
    case(&mut text, "pollpush", "the run may be used", verdict);
    for result in &summary.thresholds {
        let outcome = match result.status {
            Judgement::Met => Ok(result.sentence.as_str()),
            status => Err((decided::judgement_word(status), result.sentence.as_str())),
        };
        case(&mut text, &result.strategy, &decided::expectation(summary, result), outcome);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn case(text: &mut String, class: &str, name: &str, outcome: Result<&str, (&str, &str)>) {
    let (class, name) = (escaped(class), escaped(name));
    let inside = match outcome {
        Ok(said) => format!("<system-out>{}</system-out>", escaped(said)),
        Err((kind, said)) => {
            let (kind, said) = (escaped(kind), escaped(said));
            format!("<failure type=\"{kind}\" message=\"{said}\">{said}</failure>")
        }
    };
    writeln!(text, "    <testcase classname=\"{class}\" name=\"{name}\">{inside}</testcase>")
        .expect("writing to memory");
}

/// Text as XML takes it, on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in wording::one_line(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // XML 1.0 has no way to write these.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::thresholds;
    use crate::analysis::summary::VerdictStatus;
    use crate::report::sample;

    #[test]
    fn thresholds_are_test_cases_and_so_is_the_verdict() {
        insta::assert_snapshot!(thresholds(&sample::decided()));
    }

    #[test]
    fn hostile_names_stay_text() {
        let mut hostile = sample::decided();
        hostile.thresholds[0].strategy = "\"><script>\u{1b}&\u{ffff}".to_owned();
        hostile.verdict.status = VerdictStatus::Invalid;
        let text = thresholds(&hostile);
        assert!(text.contains("classname=\"&quot;&gt;&lt;script&gt; &amp;\u{fffd}\""), "{text}");
        assert!(text.contains("failures=\"3\"") && text.contains("type=\"invalid\""), "{text}");
    }
}

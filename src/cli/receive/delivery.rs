//! One delivery, and the line that is written about it.
//!
//! Much of the line is the sender's text, and a terminal obeys what it reads: only what is
//! certain to be plain goes out as it came.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::receive::Lines;
use crate::cli::receive::message::{Content, Sent, Stamp};
use crate::quantity;

/// The most characters of a path or an id that a line shows.
const LONGEST: usize = 80;

/// What came, and what was answered.
#[derive(Debug)]
pub(super) struct Delivery {
    /// When its last byte arrived.
    pub(super) arrived: Timestamp,
    pub(super) method: String,
    /// Without the query, which may hold a secret.
    pub(super) path: String,
    pub(super) id: Option<String>,
    pub(super) content: Content,
    /// The CloudEvents events in it.
    pub(super) events: u64,
    /// The size of the body.
    pub(super) bytes: u64,
    pub(super) verdict: Verdict,
    /// How many of its identities were delivered before.
    pub(super) duplicates: u64,
    pub(super) status: u16,
    pub(super) latency: Option<Latency>,
}

/// Whether the sender is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody asked.
    Unchecked,
    /// The signature is right.
    Right,
    /// It was not taken, for this reason.
    Refused(String),
}

/// Time from the sender's statement to the arrival: the difference of two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    /// Negative when the sender's clock is ahead.
    pub(super) nanoseconds: i64,
    pub(super) by: Stamp,
    /// The true value is between this much less and the value.
    pub(super) resolution: u64,
}

impl Latency {
    /// From sending to arrival; `None` if they are centuries apart.
    pub(super) fn between(sent: Sent, arrived: Timestamp) -> Option<Latency> {
        let apart = arrived.as_nanosecond() - sent.at.as_nanosecond();
        let nanoseconds = i64::try_from(apart).ok()?;
        Some(Latency { nanoseconds, by: sent.by, resolution: sent.resolution })
    }

    fn shown(self) -> String {
        let sign = if self.nanoseconds < 0 { "-" } else { "" };
        let time = quantity::nanoseconds(self.nanoseconds.unsigned_abs());
        let by = match self.by {
            Stamp::Time => "time",
            Stamp::WebhookTimestamp => "webhook-timestamp",
        };
        let resolution = quantity::nanoseconds(self.resolution);
        let coarse = if self.resolution > 1_000_000 {
            format!(", which counts in steps of {resolution}")
        } else {
            String::new()
        };
        format!("{sign}{time} after its {by}{coarse}")
    }
}

/// A delivery as a JSON object; absent values are `null`.
#[derive(Serialize)]
struct Object<'a> {
    r#type: &'static str,
    arrived: String,
    method: &'a str,
    path: &'a str,
    id: Option<&'a str>,
    content: Content,
    events: u64,
    bytes: u64,
    signature: &'static str,
    refused: Option<&'a str>,
    duplicates: u64,
    status: u16,
    latency_ns: Option<i64>,
    latency_from: Option<Stamp>,
    latency_resolution_ns: Option<u64>,
}

impl Delivery {
    /// The line about it, with its end.
    pub(super) fn line(&self, format: Lines) -> anyhow::Result<String> {
        Ok(match format {
            Lines::Table => self.words() + "\n",
            Lines::Json => ascii(&serde_json::to_string(&self.object())?) + "\n",
        })
    }

    fn words(&self) -> String {
        let mut line =
            format!("{:.3}  {} {}", self.arrived, plain(&self.method), plain(&self.path));
        let mut part = |text: &str| {
            line.push_str("  ");
            line.push_str(text);
        };
        part(&self.id.as_deref().map_or("no id".to_owned(), plain));
        match self.content {
            Content::Batch => part(&quantity::counted(self.events, "event")),
            Content::Event => part("event"),
            Content::Json => part("JSON"),
            Content::Bytes => part("bytes"),
        }
        part(&quantity::bytes(self.bytes as f64));
        match &self.verdict {
            Verdict::Unchecked => {}
            Verdict::Right => part("signature ok"),
            Verdict::Refused(why) => part(&format!("refused: {why}")),
        }
        if self.duplicates > 0 {
            part("duplicate");
        }
        part(&self.status.to_string());
        if let Some(latency) = self.latency {
            part(&latency.shown());
        }
        line
    }

    fn object(&self) -> Object<'_> {
        let (signature, refused) = match &self.verdict {
            Verdict::Unchecked => ("unchecked", None),
            Verdict::Right => ("ok", None),
            Verdict::Refused(why) => ("refused", Some(why.as_str())),
        };
        Object {
            r#type: "delivery",
            arrived: self.arrived.to_string(),
            method: &self.method,
            path: &self.path,
            id: self.id.as_deref(),
            content: self.content,
            events: self.events,
            bytes: self.bytes,
            signature,
            refused,
            duplicates: self.duplicates,
            status: self.status,
            latency_ns: self.latency.map(|latency| latency.nanoseconds),
            latency_from: self.latency.map(|latency| latency.by),
            latency_resolution_ns: self.latency.map(|latency| latency.resolution),
        }
    }
}

/// Text of unknown origin as one plain word: whatever is not a visible ASCII character is
/// written as its number, and long text is cut.
fn plain(text: &str) -> String {
    let mut word = String::new();
    for (place, character) in text.chars().enumerate() {
        if place == LONGEST {
            word.push('…');
            break;
        }
        if character.is_ascii_graphic() && character != '\\' {
            word.push(character);
        } else {
            word.extend(character.escape_unicode());
        }
    }
    word
}

/// JSON with everything outside plain ASCII escaped, which means the same: DEL, the controls
/// above it, and marks that turn the direction of text must not reach a terminal.
pub(super) fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            plain.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Delivery, Latency, Verdict, ascii, plain};
    use crate::cli::receive::Lines;
    use crate::cli::receive::message::{Content, Sent, Stamp};
    use jiff::Timestamp;

    const HOSTILE: &str = "a\x1b]0;title\x07\u{9b}31m\u{202e}\r\n\x7f\u{1f600}\\";

    fn delivery() -> Delivery {
        let sent = Timestamp::from_second(1_764_000_000).expect("a time");
        let sent = Sent { at: sent, by: Stamp::Time, resolution: 1 };
        let arrived = Timestamp::from_millisecond(1_764_000_000_250).expect("a time");
        Delivery {
            arrived,
            method: "POST".into(),
            path: format!("/{HOSTILE}"),
            id: Some(HOSTILE.into()),
            content: Content::Event,
            events: 1,
            bytes: 1200,
            verdict: Verdict::Refused("no signature matches".into()),
            duplicates: 0,
            status: 403,
            latency: Latency::between(sent, arrived),
        }
    }

    #[test]
    fn nothing_a_sender_writes_can_command_a_terminal() {
        for format in [Lines::Table, Lines::Json] {
            let line = delivery().line(format).expect("a line");
            let line = line.strip_suffix('\n').expect("an end");
            assert!(line.chars().all(|character| matches!(character, ' '..='~')), "{line}");
        }
        let line = delivery().line(Lines::Json).expect("a line");
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read["id"], HOSTILE, "the meaning stays");
        assert_eq!(plain("a b"), "a\\u{20}b");
        assert_eq!(plain(&"x".repeat(81)), "x".repeat(80) + "…");
        assert_eq!(ascii("\"é😀\""), r#""\u00e9\ud83d\ude00""#);
    }

    #[test]
    fn a_line_says_what_came_and_what_became_of_it() {
        let line = Delivery { path: "/hook".into(), id: None, ..delivery() };
        assert_eq!(
            line.line(Lines::Table).expect("a line"),
            "2025-11-24T16:00:00.250Z  POST /hook  no id  event  1.20 kB  \
             refused: no signature matches  403  250 ms after its time\n"
        );
    }

    #[test]
    fn a_sender_whose_clock_is_ahead_has_a_negative_latency() {
        let at = Timestamp::from_second(10).expect("a time");
        let sent = Sent { at, by: Stamp::WebhookTimestamp, resolution: 1_000_000_000 };
        let arrived = Timestamp::from_second(8).expect("a time");
        let latency = Latency::between(sent, arrived).expect("near");
        assert_eq!(latency.nanoseconds, -2_000_000_000);
        assert_eq!(
            latency.shown(),
            "-2.00 s after its webhook-timestamp, which counts in steps of 1.00 s"
        );
    }
}

//! Server-sent events: the writer, and a parser that takes its input in any pieces.
//!
//! After "Interpreting an event stream" of the HTML standard
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). Nothing here connects or
//! reconnects.

use std::fmt::Display;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::StatusCode;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http_body_util::BodyExt;

use crate::clock::{self, Moment};
use crate::wire::bounds::STREAM_LIMIT;
use crate::wire::client::{Dial, ExchangeError};
use crate::wire::connection::{self, Opened};

/// The media type of an event stream.
pub const EVENT_STREAM_MEDIA_TYPE: &str = "text/event-stream";

/// A comment: keeps a stream alive and means nothing.
pub const COMMENT: &[u8] = b":\n\n";

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Writes an event; its data may have several lines.
#[must_use]
pub fn event(id: impl Display, data: &[u8]) -> Vec<u8> {
    let mut text = format!("id: {id}\n").into_bytes();
    text.reserve(data.len() + 16);
    for line in data.split(|byte| *byte == b'\n') {
        text.extend_from_slice(b"data: ");
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.push(b'\n');
    text
}

/// Writes what a stream begins with: how long to wait before reconnecting, and the id to
/// reconnect with should the stream break before its first event.
#[must_use]
pub fn opening(reconnect: Duration, id: impl Display) -> Vec<u8> {
    format!("retry: {}\nid: {id}\n\n", reconnect.as_millis()).into_bytes()
}

/// Something a stream said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event.
    Event(Event),
    /// A comment, whatever it said.
    Comment,
    /// How long to wait before reconnecting, from now on.
    Retry(Duration),
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty for the default, `message`.
    pub kind: String,
    /// Its data lines, joined by line feeds.
    pub data: Bytes,
}

/// A stream that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line or an event of the stream is longer than {limit} bytes")]
pub struct EventTooLong {
    /// The most that is taken.
    pub limit: usize,
}

/// Reads an event stream piece by piece, in memory bounded by its limit.
#[derive(Debug)]
pub struct EventStreamParser {
    limit: usize,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    /// The line before ended in a carriage return: a line feed now belongs to it.
    after_return: bool,
    /// No line has been read yet: it may begin with a byte order mark.
    at_start: bool,
    kind: String,
    data: Vec<u8>,
    /// The id of the event that is being read, and of later ones that have none.
    id: String,
    last_event_id: String,
}

impl EventStreamParser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new(limit: usize) -> EventStreamParser {
        EventStreamParser {
            limit,
            line: Vec::new(),
            after_return: false,
            at_start: true,
            kind: String::new(),
            data: Vec::new(),
            id: String::new(),
            last_event_id: String::new(),
        }
    }

    /// What to reconnect with: the id of the last event, or the one the stream began with.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Takes from `input` up to the end of the next item; `None` once all is taken.
    ///
    /// # Errors
    ///
    /// When a line or an event is too long; the stream cannot be read any further.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Item>, EventTooLong> {
        while !input.is_empty() {
            if std::mem::take(&mut self.after_return) && input[0] == b'\n' {
                input.advance(1);
                continue;
            }
            let end = input.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = input.split_to(end.unwrap_or(input.len()));
            if self.line.len() + part.len() > self.limit {
                return Err(EventTooLong { limit: self.limit });
            }
            if end.is_none() {
                self.line.extend_from_slice(&part);
                return Ok(None);
            }
            self.after_return = input.get_u8() == b'\r';
            // Most lines come in one piece, which need not be copied.
            let begun = std::mem::take(&mut self.line);
            let item = if begun.is_empty() {
                self.take(&part)?
            } else {
                self.take(&[&begun, &part[..]].concat())?
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// Takes a whole line.
    fn take(&mut self, line: &[u8]) -> Result<Option<Item>, EventTooLong> {
        let marked = std::mem::take(&mut self.at_start);
        let line = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| marked).unwrap_or(line);
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let field = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"" => return Ok(Some(Item::Comment)),
            b"data" => {
                if self.data.len() + value.len() >= self.limit {
                    return Err(EventTooLong { limit: self.limit });
                }
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.kind = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.id = String::from_utf8_lossy(value).into_owned(),
            b"retry" => return Ok(milliseconds(value).map(Item::Retry)),
            _ => {}
        }
        Ok(None)
    }

    /// Ends an event, if there is one; an id is remembered even without.
    fn dispatch(&mut self) -> Option<Item> {
        if self.last_event_id != self.id {
            self.last_event_id.clone_from(&self.id);
        }
        let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        // Every data line has added a line feed, so that an event of one empty line has one too.
        data.pop()?;
        Some(Item::Event(Event { kind, data: data.into() }))
    }
}

/// Digits alone are a time; anything else is ignored.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(value).ok()?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).map(Duration::from_millis)
}

/// An event stream that is being read.
#[derive(Debug)]
pub struct EventStream {
    opened: Opened,
    parser: EventStreamParser,
    /// What of the last piece has not been parsed.
    input: Bytes,
    arrived: Moment,
}

impl EventStream {
    /// Opens a stream.
    ///
    /// # Errors
    ///
    /// When there is no answer in time, or it is no event stream.
    pub async fn open(
        dial: &Dial,
        path: PathAndQuery,
        mut headers: HeaderMap,
    ) -> Result<EventStream, ExchangeError> {
        headers.insert(ACCEPT, HeaderValue::from_static(EVENT_STREAM_MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let opened = connection::open(dial, path, headers).await?;
        let status = opened.response.status();
        if status != StatusCode::OK {
            return Err(ExchangeError::NoStream(format!("the server answered {status}")));
        }
        let media_type = opened.response.headers().get(CONTENT_TYPE);
        let essence = media_type.and_then(|value| value.to_str().ok()?.split(';').next());
        if essence.map(str::trim) != Some(EVENT_STREAM_MEDIA_TYPE) {
            let detail = format!("the response is not {EVENT_STREAM_MEDIA_TYPE}");
            return Err(ExchangeError::NoStream(detail));
        }
        let parser = EventStreamParser::new(STREAM_LIMIT);
        Ok(EventStream { opened, parser, input: Bytes::new(), arrived: Moment::default() })
    }

    /// Waits for the next item; `None` when the stream has ended or broken. Cancel safe.
    ///
    /// The moment is when the piece of the stream that held its last byte was in the process's
    /// hands.
    ///
    /// # Errors
    ///
    /// When the stream cannot be read any further.
    pub async fn next(&mut self) -> Result<Option<(Item, Moment)>, EventTooLong> {
        loop {
            if let Some(item) = self.parser.next(&mut self.input)? {
                return Ok(Some((item, self.arrived)));
            }
            let Some(Ok(frame)) = self.opened.response.body_mut().frame().await else {
                return Ok(None);
            };
            if let Ok(data) = frame.into_data() {
                self.arrived = clock::now();
                self.input = data;
            }
        }
    }

    /// What to reconnect with: the id of the last event, or the one the stream began with.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.parser.last_event_id()
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMENT, Event, EventStreamParser, EventTooLong, Item, event, opening};
    use bytes::Bytes;
    use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy;
    use std::time::Duration;

    const LIMIT: usize = 1_000;

    /// All items of a stream and the last event id, however the input is cut.
    fn parse(pieces: &[&[u8]]) -> Result<(Vec<Item>, String), EventTooLong> {
        let mut parser = EventStreamParser::new(LIMIT);
        let mut items = Vec::new();
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(item) = parser.next(&mut input)? {
                items.push(item);
            }
            assert!(input.is_empty());
            assert!(parser.line.len() <= LIMIT && parser.data.len() <= LIMIT);
        }
        Ok((items, parser.last_event_id().to_owned()))
    }

    fn message(data: &'static str) -> Item {
        Item::Event(Event { kind: String::new(), data: Bytes::from_static(data.as_bytes()) })
    }

    #[test]
    fn the_standards_examples_are_read_as_it_says() {
        let cases: [(&str, Vec<Item>, &str); 4] = [
            ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![message("YHOO\n+2\n10")], ""),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
                vec![Item::Comment, message("first event"), message("second event")],
                "",
            ),
            ("data\n\ndata\ndata\n\ndata:", vec![message(""), message("\n")], ""),
            ("data:test\n\ndata: test\n\n", vec![message("test"), message("test")], ""),
        ];
        for (stream, items, id) in cases {
            assert_eq!(parse(&[stream.as_bytes()]), Ok((items, id.to_owned())), "{stream:?}");
        }
    }

    #[test]
    fn lines_end_in_every_way_and_an_event_does_not_wait_for_a_second_byte() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = format!("\u{feff}data: a{end}id: 7{end}{end}data: b{end}{end}");
            let expected = Ok((vec![message("a"), message("b")], "7".to_owned()));
            assert_eq!(parse(&[stream.as_bytes()]), expected, "{end:?}");
        }
        assert_eq!(parse(&[b"data: a\r\r"]).map(|read| read.0), Ok(vec![message("a")]));
        assert_eq!(
            parse(&[b"data: a\r\n\r", b"\ndata: b\r\n\r"]).map(|read| read.0),
            Ok(vec![message("a"), message("b")])
        );
    }

    #[test]
    fn fields_are_taken_only_as_they_should_be() {
        let read = |stream: &str| parse(&[stream.as_bytes()]).expect("short");
        assert_eq!(read("id: 5\n\n"), (vec![], "5".to_owned()), "an id alone is remembered");
        assert_eq!(read("id: 5\n").1, "", "but not before its event ends");
        assert_eq!(read("id: 5\n\nid: a\0b\ndata: x\n\n"), (vec![message("x")], "5".to_owned()));
        assert_eq!(read("id: 5\n\nid\ndata: x\n\n").1, "", "an empty id resets it");
        let second = Item::Retry(Duration::from_secs(1));
        assert_eq!(read("retry: 1000\n").0, [second]);
        for ignored in ["+5", "-5", "1.5", "", "1e3", " 5", "99999999999999999999999"] {
            assert_eq!(read(&format!("retry: {ignored}\n")).0, [], "{ignored}");
        }
        let (items, _) = read("event: ping\ndata: x\n\ndata: y\n\nevent: lost\n\ndata: z\n\n");
        let ping = Event { kind: "ping".to_owned(), data: Bytes::from_static(b"x") };
        assert_eq!(items, [Item::Event(ping), message("y"), message("z")]);
        assert_eq!(read("DATA: x\n data: x\ndata : x\nnothing\n\n").0, []);
        assert_eq!(read("data: x\n\u{feff}data: y\n\n").0, [message("x")], "one mark at most");
    }

    #[test]
    fn hostile_streams_end_in_an_error_and_not_in_memory() {
        let endless = vec![b'x'; 100];
        let mut parser = EventStreamParser::new(LIMIT);
        let refused = (0..1_000).find_map(|_| {
            let refused = parser.next(&mut Bytes::copy_from_slice(&endless)).err();
            assert!(parser.line.len() <= LIMIT);
            refused
        });
        assert_eq!(refused, Some(EventTooLong { limit: LIMIT }));
        let many_lines = "data: some more\n".repeat(LIMIT);
        assert!(parse(&[many_lines.as_bytes()]).is_err());
        assert!(parse(&["data\n".repeat(LIMIT + 1).as_bytes()]).is_err());
        assert!(parse(&["id: 1234\n".repeat(LIMIT).as_bytes()]).is_ok());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let stream =
            [opening(Duration::from_millis(250), 4), COMMENT.to_vec(), event(5, b"{}\n[]")]
                .concat();
        let expected =
            vec![Item::Retry(Duration::from_millis(250)), Item::Comment, message("{}\n[]")];
        assert_eq!(parse(&[&stream]), Ok((expected, "5".to_owned())));
        assert_eq!(event(5, b"{}"), b"id: 5\ndata: {}\n\n");
    }

    /// Streams made of what matters to the parser.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            Just(&b"data"[..]),
            Just(&b"id: 7"[..]),
            Just(&b"event:e"[..]),
            Just(&b"retry:9"[..]),
            Just(&b":"[..]),
            Just(&b" "[..]),
            Just(&b"\n"[..]),
            Just(&b"\n\n"[..]),
            Just(&b"\r"[..]),
            Just(&b"\r\n"[..]),
            Just(&b"\0"[..]),
            Just("\u{feff}".as_bytes()),
            Just("é".as_bytes()),
            Just(&b"\xff"[..]),
        ];
        proptest::collection::vec(word, 0..60).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_it_says_the_same(
            stream in streams(),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[&stream]));
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(parse(&bytes), parse(&[&stream]));
        }

        #[test]
        fn any_bytes_are_read_or_refused_within_bounds(stream in proptest::collection::vec(any::<u8>(), 0..4_000)) {
            if let Ok((items, id)) = parse(&[&stream]) {
                prop_assert!(items.len() <= stream.len() && id.len() <= 3 * LIMIT);
            }
        }

        #[test]
        fn any_data_without_carriage_returns_survives(data in "[^\r]{0,200}") {
            let (items, _) = parse(&[&event("a", data.as_bytes())]).expect("short");
            let kind = String::new();
            prop_assert_eq!(items, [Item::Event(Event { kind, data: data.into() })]);
        }
    }
}

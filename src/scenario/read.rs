//! From a document to the values it holds, with a complaint about everything that is wrong.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeValue, Error, ValueDeserializer};

use crate::delivery::MECHANISMS;
use crate::delivery::contract::Strategy;
use crate::incident::Incident;
use crate::network::asked::{Network, Written as WrittenNetwork};
use crate::scenario::MOST_COMPLAINTS;
use crate::scenario::arrivals::{SHAPES, Shape, TRACE, TraceSettings, Written, shape};
use crate::scenario::complaint::Complaint;
use crate::scenario::document::{Document, Node, Table};
use crate::scenario::keys::{Keys, listed, nearest, remedy};
use crate::scenario::limits::MOST_STRATEGIES;
use crate::scenario::sections::{
    Events, EventsHead, Heading, Run, StrategyHead, Wanted, default_arrivals,
};
use crate::scenario::shelf::Shelf;
use crate::scenario::vocabulary::{TABLES, Vocabulary, mechanism, text};
use crate::schedule::{Arrivals, Impossible};
use crate::units::Bytes;
use crate::wire::link::Link;

/// Everything one document says, once its sweep is resolved.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) heading: Heading,
    pub(crate) events: Events,
    pub(crate) network: Network,
    pub(crate) run: Run,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) strategies: Vec<NamedStrategy>,
    pub(crate) wanted: Wanted,
}

/// A strategy as the scenario names it.
#[derive(Clone, Debug)]
pub struct NamedStrategy {
    /// Its name, unique in the scenario.
    pub name: String,
    /// The mechanism's name.
    pub mechanism: &'static str,
    /// Simulated subscribers.
    pub subscribers: u32,
    /// How both sides converse.
    pub link: Link,
    /// The mechanism with its settings.
    pub strategy: Arc<dyn Strategy>,
}

/// Reads documents and collects what is wrong with them.
#[derive(Debug)]
pub(crate) struct Reader<'v> {
    vocabulary: &'v Vocabulary,
    shelf: &'v Shelf,
    pub(crate) complaints: Vec<Complaint>,
}

impl<'v> Reader<'v> {
    /// A reader that has nothing to complain about yet.
    pub(crate) fn new(vocabulary: &'v Vocabulary, shelf: &'v Shelf) -> Reader<'v> {
        Reader { vocabulary, shelf, complaints: Vec::new() }
    }

    /// Reads a document; without a complaint every value is there.
    pub(crate) fn read(&mut self, document: &Document<'_>) -> Option<Reading> {
        let vocabulary = self.vocabulary;
        let heading = self.heading(&document.root);
        let events = self.events(document);
        let run = self.section(document, "run", &vocabulary.run, "duration = \"60s\"");
        // A scenario without the table runs over the bare loopback.
        let network = match document.entry("network") {
            Some(_) => self
                .section(document, "network", &vocabulary.network, "rtt = \"50ms\"")
                .map(|written: WrittenNetwork| written.resolve()),
            None => Some(Network::default()),
        };
        let incidents = self.list(document, "fault", &vocabulary.fault, "at = \"10s\"");
        let strategies = self.strategies(document);
        let wanted = self.wanted(document);
        Some(Reading {
            heading: heading?,
            events: events?,
            network: network?,
            run: run?,
            incidents: incidents?,
            strategies: strategies?,
            wanted: wanted?,
        })
    }

    fn complain(&mut self, complaint: Complaint) {
        self.complaints.push(complaint);
    }

    fn heading(&mut self, root: &Table<'_>) -> Option<Heading> {
        let tables = TABLES.map(|name| (name, root.get(name)));
        let mut above = root.clone();
        for (name, _) in tables {
            above.remove(name);
        }
        let known = self.vocabulary.heading.iter().map(|key| key.name.as_str()).chain(TABLES);
        let known: Vec<&str> = known.collect();
        let node = Spanned::new(Document::ROOT, DeValue::Table(above));
        let place = "the scenario";
        let node = self.known_keys(&node, place, &self.vocabulary.heading, &known)?;
        self.value(&node, place, &self.vocabulary.heading, Heading::deserialize)
    }

    fn section<T: DeserializeOwned>(
        &mut self,
        document: &Document<'_>,
        name: &'static str,
        keys: &Keys,
        example: &str,
    ) -> Option<T> {
        let node = self.table(document, name, example)?;
        let place = format!("`[{name}]`");
        let node = self.known_keys(node, &place, keys, &keys.names())?;
        self.value(&node, &place, keys, T::deserialize)
    }

    /// A table directly below the root.
    fn table<'d, 'i>(
        &mut self,
        document: &'d Document<'i>,
        name: &'static str,
        example: &str,
    ) -> Option<&'d Node<'i>> {
        let Some(node) = document.entry(name) else {
            if misspelt(&document.root, name, &TABLES) {
                return None;
            }
            let message = format!("the scenario has no `[{name}]`");
            let remedy = format!("add a line `[{name}]` and below it `{example}`");
            self.complain(Complaint::at(Document::ROOT, message, remedy));
            return None;
        };
        if !node.get_ref().is_table() {
            let message = format!("`{name}` is a table, not {}", a_kind(node));
            let remedy = format!("write a line `[{name}]` and below it `{example}`");
            self.complain(Complaint::at(node.span(), message, remedy));
            return None;
        }
        Some(node)
    }

    fn events(&mut self, document: &Document<'_>) -> Option<Events> {
        const PLACE: &str = "`[events]`";
        let whole = self.table(document, "events", "rate = \"20/s\"")?;
        let shape = self.shape(whole)?;
        let keys = self.vocabulary.events(shape.name());
        let node = self.without_strangers(whole, shape, &keys)?;
        let node = self.known_keys(&node, PLACE, &keys, &keys.names())?;
        let (head, settings) = split(node, &self.vocabulary.events);
        let head = self.value(&head, PLACE, &keys, EventsHead::deserialize);
        let written = self.value(&settings, PLACE, &keys, |input| shape.read(input));
        let EventsHead { rate, payload, .. } = head?;
        match written? {
            Written::Whole(arrivals) => {
                Some(Events { rate: rate?, arrivals, trace: None, payload })
            }
            Written::Trace(asked) => self.replayed(document, &asked, payload),
        }
    }

    /// The arrival process that `[events]` names.
    fn shape(&mut self, events: &Node<'_>) -> Option<&'static dyn Shape> {
        let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name()).collect();
        let Some(wanted) = events.get_ref().as_table()?.get("arrivals") else {
            return shape(&default_arrivals());
        };
        let Some(name) = wanted.get_ref().as_str() else {
            let message = format!("`arrivals` is named in text, not by {}", a_kind(wanted));
            let remedy = format!(
                "write one of {}; what it needs goes into further keys of `[events]`",
                listed(&names)
            );
            self.complain(Complaint::at(wanted.span(), message, remedy));
            return None;
        };
        let known = shape(name);
        if known.is_none() {
            let remedy = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? Known are: {}", listed(&names)),
                None => format!("known are: {}", listed(&names)),
            };
            let message = format!("no arrivals are called `{name}`");
            self.complain(Complaint::at(wanted.span(), message, remedy));
        }
        known
    }

    /// The table without the keys that only other arrival processes have.
    fn without_strangers<'i>(
        &mut self,
        node: &Node<'i>,
        shape: &dyn Shape,
        keys: &Keys,
    ) -> Option<Node<'i>> {
        let mut table = node.get_ref().as_table()?.clone();
        for (key, _) in node.get_ref().as_table()? {
            let name = key.get_ref().as_ref();
            let others = self.vocabulary.shapes_with(name);
            let remedy = if keys.get(name).is_some() {
                continue;
            } else if name == "rate" && shape.name() == TRACE {
                "remove it: the rate of a trace follows from its file and `time-scale`".to_owned()
            } else if others.is_empty() {
                continue;
            } else {
                format!("remove it, or choose `arrivals` that have it: {}", listed(&others))
            };
            let message = format!("`{}` arrivals have no `{name}`", shape.name());
            self.complain(Complaint::at(key.span(), message, remedy));
            table.remove(name);
        }
        Some(Spanned::new(node.span(), DeValue::Table(table)))
    }

    /// Events at the moments of a trace.
    fn replayed(
        &mut self,
        document: &Document<'_>,
        asked: &TraceSettings,
        payload: Bytes,
    ) -> Option<Events> {
        let at = |key| document.section_span("events", key);
        let (replay, file) = match self.shelf.replay(asked) {
            Ok(read) => read,
            Err(refusal) => {
                self.complain(Complaint::at(at("file"), refusal.message, refusal.remedy));
                return None;
            }
        };
        if let Err(Impossible { key, message, remedy }) = replay.check() {
            self.complain(Complaint::at(at(key), message, remedy));
            return None;
        }
        match replay.rate(&file.trace) {
            Ok(rate) => {
                Some(Events { rate, arrivals: Arrivals::Trace(replay), trace: Some(file), payload })
            }
            Err(error) => {
                let message = format!("at this `time-scale` the trace is no stream: {error}");
                let remedy = format!("its {} events need another `time-scale`", replay.events);
                self.complain(Complaint::at(at("time-scale"), message, remedy));
                None
            }
        }
    }

    /// What the strategies are for; everything in it may be left out.
    fn wanted(&mut self, document: &Document<'_>) -> Option<Wanted> {
        let vocabulary = self.vocabulary;
        let objective = document.entry("objective").map(|_| {
            let example = "minimise = \"requests.per_event\"";
            self.section(document, "objective", &vocabulary.objective, example)
        });
        let prices = document
            .entry("prices")
            .map(|_| self.section(document, "prices", &vocabulary.prices, "currency = \"USD\""));
        let example = "expect = \"webhook: latency.p99 < 50ms\"";
        let thresholds = self.list(document, "threshold", &vocabulary.threshold, example);
        // All of them are read before any gives up.
        Some(Wanted {
            objective: objective.map_or(Some(None), |read| read.map(Some))?,
            prices: prices.map_or(Some(None), |read| read.map(Some))?,
            thresholds: thresholds?,
        })
    }

    /// A list of tables that may be left out.
    fn list<T: DeserializeOwned>(
        &mut self,
        document: &Document<'_>,
        name: &'static str,
        keys: &Keys,
        example: &str,
    ) -> Option<Vec<T>> {
        let Some(node) = document.entry(name) else { return Some(Vec::new()) };
        if !node.get_ref().is_array()
            || document.list(name).any(|entry| !entry.get_ref().is_table())
        {
            let message = format!("`{name}` is a list of tables");
            let remedy = format!("write `[[{name}]]` and below it `{example}`, for each of them");
            self.complain(Complaint::at(node.span(), message, remedy));
            return None;
        }
        let place = format!("`[[{name}]]`");
        let read: Vec<_> = document
            .list(name)
            .map(|entry| {
                let entry = self.known_keys(entry, &place, keys, &keys.names())?;
                self.value(&entry, &place, keys, T::deserialize)
            })
            .collect();
        read.into_iter().collect()
    }

    fn strategies(&mut self, document: &Document<'_>) -> Option<Vec<NamedStrategy>> {
        const REMEDY: &str = "add `[[strategy]]` with a `name` and a `mechanism` for each strategy \
                              to compare";
        let Some(node) = document.entry("strategy") else {
            if misspelt(&document.root, "strategy", &TABLES) {
                return None;
            }
            let message = "the scenario has no strategy";
            self.complain(Complaint::at(Document::ROOT, message, REMEDY));
            return None;
        };
        let tables: Vec<&Node<'_>> = document.strategies().collect();
        if tables.is_empty() || tables.iter().any(|table| !table.get_ref().is_table()) {
            let message = "`strategy` is a list of tables with at least one entry";
            self.complain(Complaint::at(node.span(), message, REMEDY));
            return None;
        }
        if tables.len() > MOST_STRATEGIES {
            let message = format!("{} strategies are too many", tables.len());
            let remedy = format!("compare at most {MOST_STRATEGIES} in one scenario");
            self.complain(Complaint::at(tables[MOST_STRATEGIES].span(), message, remedy));
            return None;
        }
        // Every strategy is read before any gives up, so that all their errors are found.
        let read: Vec<_> = tables.into_iter().map(|table| self.strategy(table)).collect();
        read.into_iter().collect()
    }

    fn strategy(&mut self, node: &Node<'_>) -> Option<NamedStrategy> {
        let place = match text(node, "name") {
            Some(name) => format!("strategy `{name}`"),
            None => "`[[strategy]]`".to_owned(),
        };
        let Some(wanted) = node.get_ref().as_table()?.get("mechanism") else {
            let remedy = format!("add `mechanism = \"…\"`; known are: {}", listed(&names()));
            self.complain(Complaint::at(node.span(), format!("{place} lacks `mechanism`"), remedy));
            return None;
        };
        let Some(mechanism) = wanted.get_ref().as_str().and_then(mechanism) else {
            self.complain(unknown_mechanism(wanted));
            return None;
        };
        let keys = self.vocabulary.strategy(Some(mechanism.name()));
        let node = self.known_keys(node, &place, &keys, &keys.names())?;
        let (head, rest) = split(node, &self.vocabulary.head);
        let (link, settings) = split(rest, &self.vocabulary.link);
        let head = self.value(&head, &place, &keys, StrategyHead::deserialize);
        let link = self.value(&link, &place, &keys, Link::deserialize);
        let strategy = self.value(&settings, &place, &keys, |input| mechanism.configure(input));
        let head = head?;
        Some(NamedStrategy {
            name: head.name,
            mechanism: mechanism.name(),
            subscribers: head.subscribers,
            link: link?,
            strategy: strategy?,
        })
    }

    /// The table without its unknown keys; nothing if it lacks a required one.
    fn known_keys<'i>(
        &mut self,
        node: &Node<'i>,
        place: &str,
        keys: &Keys,
        known: &[&str],
    ) -> Option<Node<'i>> {
        let mut table = node.get_ref().as_table()?.clone();
        for (key, _) in node.get_ref().as_table()? {
            let name = key.get_ref().as_ref();
            if self.complaints.len() > MOST_COMPLAINTS {
                // A file of strangers: what resembles them is not looked for sixty thousand times.
                return None;
            }
            if keys.get(name).is_none() {
                let message = format!("{place} has no key `{name}`");
                let remedy = remedy(name, known.iter().copied());
                self.complain(Complaint::at(key.span(), message, remedy));
                table.remove(name);
            }
        }
        let missing: Vec<_> = keys
            .iter()
            .filter(|key| key.required && !table.contains_key(key.name.as_str()))
            .collect();
        let whole = node.get_ref().as_table()?;
        for key in missing.iter().filter(|key| !misspelt(whole, &key.name, known)) {
            let message = format!("{place} lacks `{}`", key.name);
            let remedy = format!("add `{} = \"…\"`: {}", key.name, key.meaning);
            self.complain(Complaint::at(node.span(), message, remedy));
        }
        missing.is_empty().then(|| Spanned::new(node.span(), DeValue::Table(table)))
    }

    /// What a table is read into; a complaint says what the offending key means.
    fn value<'i, T>(
        &mut self,
        node: &Node<'i>,
        place: &str,
        keys: &Keys,
        read: impl FnOnce(ValueDeserializer<'i>) -> Result<T, Error>,
    ) -> Option<T> {
        match read(ValueDeserializer::from(node.clone())) {
            Ok(value) => Some(value),
            Err(error) => {
                self.complain(unreadable(&error, node, place, keys));
                None
            }
        }
    }
}

/// Whether a missing key is there under a name that resembles it; that is complained about.
fn misspelt(table: &Table<'_>, missing: &str, known: &[&str]) -> bool {
    table.keys().map(|key| key.get_ref().as_ref()).any(|name: &str| {
        !known.contains(&name) && nearest(name, known.iter().copied()) == Some(missing)
    })
}

fn unreadable(error: &Error, node: &Node<'_>, place: &str, keys: &Keys) -> Complaint {
    let span = error.span().unwrap_or_else(|| node.span());
    let entries = node.get_ref().as_table();
    let holds = |value: &Node<'_>| value.span().start <= span.start && span.end <= value.span().end;
    let key = entries
        .into_iter()
        .flatten()
        .find(|(_, value)| holds(value))
        .and_then(|(key, _)| keys.get(key.get_ref()));
    let Some(key) = key else {
        let message = format!("{place} cannot be read: {}", error.message());
        return Complaint::at(span, message, format!("known are: {}", listed(&keys.names())));
    };
    // Users know whole numbers, not the types of this program.
    let reason = ["u64", "u32", "u16", "u8", "usize"]
        .iter()
        .fold(error.message().to_owned(), |reason, kind| {
            reason.replace(&format!("expected {kind}"), "expected a whole number")
        });
    let message = format!("{place} cannot use this `{}`: {reason}", key.name);
    Complaint::at(span, message, format!("`{}`: {}", key.name, key.meaning))
}

/// The keys that are known, and the rest.
fn split<'i>(node: Node<'i>, known: &Keys) -> (Node<'i>, Node<'i>) {
    let span = node.span();
    let (mut ours, mut theirs) = (Table::new(), Table::new());
    if let DeValue::Table(table) = node.into_inner() {
        for (key, value) in table {
            let part = if known.get(key.get_ref()).is_some() { &mut ours } else { &mut theirs };
            part.insert(key, value);
        }
    }
    (Spanned::new(span.clone(), DeValue::Table(ours)), Spanned::new(span, DeValue::Table(theirs)))
}

fn names() -> Vec<&'static str> {
    MECHANISMS.iter().map(|mechanism| mechanism.name()).collect()
}

fn unknown_mechanism(wanted: &Node<'_>) -> Complaint {
    let Some(name) = wanted.get_ref().as_str() else {
        let message = format!("a mechanism is named in text, not by {}", a_kind(wanted));
        return Complaint::at(wanted.span(), message, format!("known are: {}", listed(&names())));
    };
    let remedy = match nearest(name, names().into_iter()) {
        Some(near) => format!("did you mean `{near}`? Known are: {}", listed(&names())),
        None => format!("known are: {}", listed(&names())),
    };
    Complaint::at(wanted.span(), format!("no mechanism is called `{name}`"), remedy)
}

/// The kind of a value, with its article.
pub(crate) fn a_kind(node: &Node<'_>) -> String {
    let kind = node.get_ref().type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

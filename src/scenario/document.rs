//! A TOML text as a tree whose every value knows its place.

use std::ops::Range;
use std::thread;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Error};

use crate::scenario::complaint::Complaint;
use crate::scenario::sources::Span;
use crate::scenario::vocabulary::Target;

/// A value and its place among the sources.
pub(crate) type Node<'i> = Spanned<DeValue<'i>>;

/// A table's entries.
pub(crate) type Table<'i> = DeTable<'i>;

/// A scenario file as a tree, with values given beside it put in their places.
#[derive(Clone, Debug)]
pub(crate) struct Document<'i> {
    pub(crate) root: Table<'i>,
}

/// Tables and arrays may lie this deep in each other; a scenario needs three.
const DEEPEST: usize = 8;

impl<'i> Document<'i> {
    /// Reads a text whose first byte has the offset `start`.
    pub(crate) fn parse(text: &'i str, start: usize) -> Result<Document<'i>, Vec<Complaint>> {
        let tree = on_a_deep_stack(|| {
            let (root, errors) = DeTable::parse_recoverable(text);
            let root = Spanned::new(0..0, DeValue::Table(root.into_inner()));
            if errors.is_empty() { settled(root, start) } else { Err(complaints(errors, start)) }
        })?;
        match tree.into_inner() {
            DeValue::Table(root) => Ok(Document { root }),
            _ => Err(Vec::new()),
        }
    }

    /// The place of a table that has no header: the start of the file.
    pub(crate) const ROOT: Span = 0..0;

    /// A table or value directly below the root.
    pub(crate) fn entry(&self, name: &str) -> Option<&Node<'i>> {
        self.root.get(name)
    }

    /// The `[[strategy]]` tables, in order; empty if there are none.
    pub(crate) fn strategies(&self) -> impl Iterator<Item = &Node<'i>> {
        self.list("strategy")
    }

    /// The entries of a list directly below the root, in order; empty if there is none.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = &Node<'i>> {
        let array = self.entry(name).and_then(|node| node.get_ref().as_array());
        array.into_iter().flat_map(|array| array.iter())
    }

    /// The place of a strategy's value, or of the strategy if it does not have the key.
    pub(crate) fn strategy_span(&self, index: usize, key: &str) -> Span {
        self.strategies().nth(index).map_or(Document::ROOT, |node| value_span(node, key))
    }

    /// The place of what a threshold expects.
    pub(crate) fn threshold_span(&self, index: usize) -> Span {
        self.list("threshold").nth(index).map_or(Document::ROOT, |node| value_span(node, "expect"))
    }

    /// The place of a fault's value, or of the fault if it does not have the key.
    pub(crate) fn fault_span(&self, index: usize, key: &str) -> Span {
        self.list("fault").nth(index).map_or(Document::ROOT, |node| value_span(node, key))
    }

    /// The place of a section's value, or of the section if it does not have the key.
    pub(crate) fn section_span(&self, section: &str, key: &str) -> Span {
        self.entry(section).map_or(Document::ROOT, |node| value_span(node, key))
    }

    /// Puts a value where a target says; `place` is where its key was written.
    pub(crate) fn put(&mut self, target: &Target, place: &Span, value: Node<'i>) {
        let (table, key) = match target {
            Target::Heading(key) => (Some(&mut self.root), key),
            Target::Section(section, key) => (self.table_mut(section, place), key),
            Target::Sweep(path) => (self.table_mut("sweep", place), path),
            Target::Strategy(index, key) => (self.strategy_mut(*index), key),
        };
        // What is no table is complained about when the document is read.
        if let Some(table) = table {
            table.insert(Spanned::new(place.clone(), key.clone().into()), value);
        }
    }

    /// Takes a value out of a section, if it is there.
    pub(crate) fn remove(&mut self, section: &str, key: &str) {
        if let Some(table) = self.root.get_mut(section).and_then(inner_table) {
            table.remove(key);
        }
    }

    fn table_mut(&mut self, name: &'static str, place: &Span) -> Option<&mut Table<'i>> {
        let empty = || Spanned::new(place.clone(), DeValue::Table(Table::new()));
        let node = self
            .root
            .entry(Spanned::new(place.clone(), DeString::from(name)))
            .or_insert_with(empty);
        inner_table(node)
    }

    fn strategy_mut(&mut self, index: usize) -> Option<&mut Table<'i>> {
        match self.root.get_mut("strategy")?.get_mut() {
            DeValue::Array(array) => array.get_mut(index).and_then(inner_table),
            _ => None,
        }
    }
}

fn inner_table<'t, 'i>(node: &'t mut Node<'i>) -> Option<&'t mut Table<'i>> {
    match node.get_mut() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// Reads one TOML value whose first byte has the offset `start`.
pub(crate) fn parse_value(text: &str, start: usize) -> Result<Node<'_>, Vec<Complaint>> {
    on_a_deep_stack(|| {
        let (value, errors) = DeValue::parse_recoverable(text);
        if errors.is_empty() { settled(value, start) } else { Err(complaints(errors, start)) }
    })
}

/// The place of a table's value, or of the table if it does not have the key.
fn value_span(node: &Node<'_>, key: &str) -> Span {
    let table = node.get_ref().as_table();
    table.and_then(|table| table.get(key)).map_or_else(|| node.span(), Spanned::span)
}

/// The entries of a table in the order of the file.
pub(crate) fn in_order<'t, 'i>(
    table: &'t Table<'i>,
) -> Vec<(&'t Spanned<DeString<'i>>, &'t Node<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Runs a parser where a tree of any depth that fits into a file can be dropped.
///
/// A tree is taken apart by recursion, and a few thousand bytes of dots and braces nest deeper
/// than an ordinary stack bears.
fn on_a_deep_stack<T: Send>(parse: impl FnOnce() -> T + Send) -> T {
    const STACK: usize = 256 << 20;
    thread::scope(|scope| {
        let parser = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, parse);
        let parsed = parser.expect("a thread can be started to parse a scenario").join();
        parsed.expect("the TOML parser does not panic")
    })
}

/// A tree that counts its places from `start`, unless it is too deep.
fn settled(node: Node<'_>, start: usize) -> Result<Node<'_>, Vec<Complaint>> {
    if let Some(span) = deeper_than(&node, DEEPEST) {
        let message = format!("tables nested more than {DEEPEST} deep have no meaning here");
        let remedy = "a scenario has tables and, in `[sweep]`, arrays of plain values";
        return Err(vec![Complaint::at(shifted(&span, start), message, remedy)]);
    }
    Ok(moved(node, start))
}

fn deeper_than(node: &Node<'_>, levels: usize) -> Option<Range<usize>> {
    let Some(below) = levels.checked_sub(1) else { return Some(node.span()) };
    match node.get_ref() {
        DeValue::Array(array) => array.iter().find_map(|inner| deeper_than(inner, below)),
        DeValue::Table(table) => table.values().find_map(|inner| deeper_than(inner, below)),
        _ => None,
    }
}

fn shifted(span: &Range<usize>, start: usize) -> Span {
    span.start + start..span.end + start
}

fn moved(node: Node<'_>, start: usize) -> Node<'_> {
    let span = shifted(&node.span(), start);
    let value = match node.into_inner() {
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|inner| moved(inner, start)).collect())
        }
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, inner)| {
                    let place = shifted(&key.span(), start);
                    (Spanned::new(place, key.into_inner()), moved(inner, start))
                })
                .collect(),
        ),
        plain => plain,
    };
    Spanned::new(span, value)
}

fn complaints(errors: Vec<Error>, start: usize) -> Vec<Complaint> {
    let complaint = |error: Error| {
        let span = shifted(&error.span().unwrap_or_default(), start);
        Complaint::at(span, format!("not TOML: {}", error.message()), remedy(error.message()))
    };
    // One missing bracket upsets everything after it; only the first few errors are its own.
    errors.into_iter().take(3).map(complaint).collect()
}

fn remedy(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "each key may be given once; remove or rename one of the two"
    } else if message.contains("key with no value") {
        "a line is `key = value`; text goes in quotes: `every = \"250ms\"`"
    } else if message.contains("string") || message.contains("quote") {
        "text goes in quotes: `every = \"250ms\"`"
    } else if message.contains("value") || message.contains("number") || message.contains("literal")
    {
        "quantities are text and go in quotes: `rate = \"20/s\"`, `every = \"250ms\"`"
    } else {
        "a line is `key = value`, `[table]`, `[[strategy]]` or a `# comment`; see https://toml.io"
    }
}

#[cfg(test)]
mod tests {
    use super::{Document, in_order, parse_value};

    #[test]
    fn every_value_knows_its_place() {
        let document = Document::parse("b = 1\n[events]\nrate = '20/s'\n", 100).expect("TOML");
        assert_eq!(document.section_span("events", "rate"), 122..128);
        assert_eq!(document.section_span("events", "payload"), 106..114);
        assert_eq!(document.section_span("run", "seed"), Document::ROOT);
    }

    #[test]
    fn entries_are_read_in_the_order_of_the_file() {
        let document = Document::parse("z = 1\na = 2\nm = 3\n", 0).expect("TOML");
        let keys: Vec<&str> =
            in_order(&document.root).iter().map(|(k, _)| &**k.get_ref()).collect();
        assert_eq!(keys, ["z", "a", "m"]);
    }

    #[test]
    fn trees_too_deep_to_be_taken_apart_are_refused() {
        let level = format!("{}b={{", "a.".repeat(75));
        let text = format!("{}c=1{}", level.repeat(75), "}".repeat(75));
        assert!(Document::parse(&text, 0).is_err());
        assert!(Document::parse(&format!("x={}", "[".repeat(60_000)), 0).is_err());
        assert!(parse_value(&text[text.find('{').expect("a brace")..], 0).is_err());
        assert!(parse_value("[[[1]]]", 0).is_ok());
    }
}

//! Who may use whom: the table in `ARCHITECTURE.md` held against the code.
//!
//! The table is read top down: a room uses only rooms above it, so there are no cycles. An
//! edge that the table does not declare fails, and so does one that it declares in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From a room to a room.
type Edge = (String, String);

/// One file of the program.
struct Source {
    /// Its path below `src/`.
    path: String,
    /// The room it belongs to: its folder below `src/`, or its own name.
    room: String,
    /// Its lines of code, without comments.
    lines: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// Every file of every room, tests included; `lib.rs` and `main.rs` are no rooms.
fn sources() -> Vec<Source> {
    let folder = root().join("src");
    let source = |file: PathBuf| {
        let path = file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        let room = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        Source { path, room, lines: text.lines().filter(is_code).map(str::to_owned).collect() }
    };
    let sources = files_below(&folder).into_iter().map(source);
    sources.filter(|source| source.room != "lib" && source.room != "main").collect()
}

/// The word at the start of a text.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Every edge between rooms, with the first place that has it.
fn edges_of_code() -> BTreeMap<Edge, String> {
    let mut edges = BTreeMap::new();
    for source in sources() {
        for line in &source.lines {
            for (start, found) in line.match_indices("crate::") {
                let used = word(&line[start + found.len()..]);
                assert!(!used.is_empty(), "{}: name one room a line: {line}", source.path);
                if used != source.room {
                    let edge = (source.room.clone(), used.to_owned());
                    edges.entry(edge).or_insert_with(|| format!("{}: {line}", source.path));
                }
            }
        }
    }
    edges
}

/// The table: rooms in reading order, each with the rooms it may use.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| room "))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let names = |cell: &str| -> Vec<String> {
        let inside = cell.split('`').skip(1).step_by(2);
        inside.map(str::to_owned).collect()
    };
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [room, _, uses] = cells[..] else { panic!("three cells a row: {row}") };
        let [room] = &names(room)[..] else { panic!("one room a row: {row}") };
        (room.clone(), names(uses).into_iter().collect())
    })
    .collect()
}

fn declared_edges() -> BTreeSet<Edge> {
    let edges = |(room, uses): (String, BTreeSet<String>)| {
        uses.into_iter().map(move |used| (room.clone(), used))
    };
    table().into_iter().flat_map(edges).collect()
}

#[test]
fn every_room_is_in_the_table_once() {
    let listed: Vec<String> = table().into_iter().map(|(room, _)| room).collect();
    let rooms: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    assert!(!rooms.is_empty());
    assert_eq!(rooms, listed.iter().cloned().collect::<BTreeSet<_>>());
    assert_eq!(listed.len(), rooms.len(), "a room is listed twice: {listed:?}");
}

#[test]
fn rooms_use_only_what_the_table_declares() {
    let declared = declared_edges();
    for (edge, place) in edges_of_code() {
        let (room, used) = &edge;
        assert!(declared.contains(&edge), "`{room}` must not use `{used}`\n{place}");
    }
}

#[test]
fn the_table_declares_nothing_in_vain() {
    let code = edges_of_code();
    for edge in declared_edges() {
        let (room, used) = &edge;
        assert!(code.contains_key(&edge), "`{room}` does not use `{used}`: take it off the table");
    }
}

#[test]
fn rooms_only_look_up_the_table() {
    let mut above = BTreeSet::new();
    for (room, uses) in table() {
        let below: Vec<&String> = uses.difference(&above).collect();
        assert!(below.is_empty(), "`{room}` uses {below:?}, which the table has further down");
        above.insert(room);
    }
}

/// `super` must not lead out of a room, past the test above.
#[test]
fn rooms_are_entered_by_their_names() {
    for source in sources() {
        let parts = source.path.split('/').count();
        let depth = if source.path.ends_with("/mod.rs") { parts - 1 } else { parts };
        for line in &source.lines {
            // Only where nothing is indented is the depth of the module known.
            let visible = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) "));
            let import = visible.unwrap_or(line).strip_prefix("use ").unwrap_or_default();
            let climbs = import.split("::").take_while(|part| *part == "super").count();
            assert!(climbs < depth, "{}: write `crate::`: {line}", source.path);
        }
    }
}

fn assert_unmentioned(rooms: &[&str], words: &[&str]) {
    let mut lines = 0;
    for source in sources().iter().filter(|source| rooms.contains(&source.room.as_str())) {
        for line in &source.lines {
            lines += 1;
            for banned in words {
                let mut places = line.match_indices(banned);
                let whole = |(start, _): (usize, &str)| word(&line[start..]).len() <= banned.len();
                assert!(!places.any(whole), "{}: `{banned}` in: {line}", source.path);
            }
        }
    }
    assert!(lines > 0, "no code in {rooms:?}");
}

#[test]
fn mechanisms_cannot_time_count_or_record() {
    let banned = ["crate::clock", "crate::record", "crate::meter", "crate::timer"];
    assert_unmentioned(&["delivery"], &banned);
}

#[test]
fn reading_a_run_needs_no_clock_and_no_runtime() {
    let banned = ["tokio", "async", "await", "crate::clock", "crate::timer"];
    assert_unmentioned(&["analysis", "report"], &banned);
}

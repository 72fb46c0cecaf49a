//! Where the files lie that a scenario names, and reading them without trusting them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::scenario::arrivals::TraceSettings;
use crate::scenario::builtin::TRACES;
use crate::schedule::{LARGEST_TRACE, Replay, Trace};

/// The folder of traces, beside a scenario and in a run folder.
///
/// A run folder keeps scenario and traces under the paths they had beside each other, so its
/// scenario can be run again as it is.
pub const TRACES_FOLDER: &str = "traces";

/// A trace with the file it was read from.
#[derive(Clone, Debug)]
pub struct TraceFile {
    /// The path, below the scenario's folder and below the run folder.
    pub path: String,
    /// The file, verbatim.
    pub bytes: Arc<[u8]>,
    /// The moments in it.
    pub trace: Trace,
}

/// Why a file cannot be used, and what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) remedy: String,
}

fn refusal(message: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Refusal { message: message.into(), remedy: remedy.into() }
}

/// What a trace is read by: its path, and its column if one is named.
type Name = (String, Option<String>);

/// The files a scenario may name, each read once.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// The scenario's folder; without one, the traces that come with the program.
    folder: Option<PathBuf>,
    read: RefCell<BTreeMap<Name, (Replay, TraceFile)>>,
}

impl Shelf {
    /// The files beside the built-in scenarios.
    pub(crate) fn built_in() -> Shelf {
        Shelf { folder: None, read: RefCell::default() }
    }

    /// The files beside a scenario file.
    pub(crate) fn beside(scenario: &Path) -> Shelf {
        // Beside the file itself, wherever a link to it lies.
        let real = scenario.canonicalize().unwrap_or_else(|_| scenario.to_owned());
        let folder = real.parent().unwrap_or(Path::new("/")).to_owned();
        Shelf { folder: Some(folder), read: RefCell::default() }
    }

    /// The trace that settings name, and its replay.
    pub(crate) fn replay(&self, asked: &TraceSettings) -> Result<(Replay, TraceFile), Refusal> {
        let key = (asked.file.clone(), asked.column.clone());
        if let Some((replay, file)) = self.read.borrow().get(&key) {
            return Ok((Replay { time_scale: asked.time_scale, ..replay.clone() }, file.clone()));
        }
        let path = asked.file.clone();
        let bytes: Arc<[u8]> = self.bytes(&path)?.into();
        let column = asked.column.clone();
        let (replay, trace) =
            Replay::of(path.clone(), column, asked.time_scale, &bytes).map_err(|error| {
                let remedy = "a trace has one timestamp a line, or a header and a column of them";
                refusal(format!("`{path}` cannot be replayed: {error}"), remedy)
            })?;
        let file = TraceFile { path, bytes, trace };
        self.read.borrow_mut().insert(key, (replay.clone(), file.clone()));
        Ok((replay, file))
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>, Refusal> {
        require_below_traces(path)?;
        let Some(folder) = &self.folder else {
            let found = TRACES.iter().find(|(known, _)| *known == path);
            let absent = || {
                let message = format!("no `{path}` comes with the program");
                refusal(message, "write the scenario into a file, beside its `traces`")
            };
            return Ok(found.ok_or_else(absent)?.1.as_bytes().to_vec());
        };
        let unreadable = |error: std::io::Error| {
            let message = format!("`{path}` cannot be read: {error}");
            refusal(message, format!("it is looked for in {}", folder.display()))
        };
        let real = folder.join(path).canonicalize().map_err(unreadable)?;
        if !real.starts_with(folder) {
            let message = format!("`{path}` is a link that leads out of the scenario's folder");
            return Err(refusal(message, "copy the file itself into `traces`"));
        }
        // A pipe or a device could keep the reader waiting, or never end.
        let metadata = real.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(refusal(format!("`{path}` is not a regular file"), "name a file"));
        }
        if metadata.len() > LARGEST_TRACE.0 {
            let message = format!("`{path}` is larger than {LARGEST_TRACE}");
            return Err(refusal(message, "replay a part of it"));
        }
        let mut bytes = Vec::new();
        File::open(&real)
            .and_then(|file| file.take(LARGEST_TRACE.0 + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        Ok(bytes)
    }
}

/// Refuses every path but a plain one below `traces`.
fn require_below_traces(path: &str) -> Result<(), Refusal> {
    let parts: Vec<Component<'_>> = Path::new(path).components().collect();
    let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    let below = parts.first().is_some_and(|first| first.as_os_str() == TRACES_FOLDER);
    if plain && below && parts.len() > 1 && !path.contains(char::is_control) {
        return Ok(());
    }
    let message = format!("`{path}` is not in the folder `{TRACES_FOLDER}` beside the scenario");
    let name = parts.last().and_then(|last| match last {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let name = name.filter(|name| *name != TRACES_FOLDER).unwrap_or("NAME.csv");
    let remedy = format!(
        "put the file there and write `file = \"{TRACES_FOLDER}/{name}\"`; a run keeps a copy of it"
    );
    Err(refusal(message, remedy))
}

#[cfg(test)]
mod tests {
    use super::Shelf;
    use crate::scenario::arrivals::TraceSettings;
    use std::os::unix::fs::symlink;

    fn settings(file: &str) -> TraceSettings {
        TraceSettings { file: file.to_owned(), column: None, time_scale: 2.0 }
    }

    #[test]
    fn a_trace_is_read_beside_its_scenario_and_nowhere_else() {
        let place = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (place.path().join("in"), place.path().join("out.csv"));
        std::fs::create_dir_all(inside.join("traces/deep")).expect("folders");
        std::fs::write(&outside, "1\n2\n").expect("a file");
        std::fs::write(inside.join("beside.csv"), "1\n2\n").expect("a file");
        std::fs::write(inside.join("traces/deep/a.csv"), "1\n2\n").expect("a file");
        symlink(&outside, inside.join("traces/out.csv")).expect("a link");
        symlink("deep/a.csv", inside.join("traces/in.csv")).expect("a link");
        let shelf = Shelf::beside(&inside.join("a.toml"));
        for file in ["traces/deep/a.csv", "traces/in.csv"] {
            let (replay, trace) = shelf.replay(&settings(file)).expect(file);
            assert_eq!((replay.file.as_str(), replay.events), (file, 2));
            assert_eq!(trace.bytes.as_ref(), b"1\n2\n");
        }
        let outside = outside.to_str().expect("text");
        for file in [
            outside,
            "../out.csv",
            "traces/../../out.csv",
            "traces/out.csv",
            "beside.csv",
            "traces",
            "traces/deep",
            "traces/none.csv",
            "",
        ] {
            assert!(shelf.replay(&settings(file)).is_err(), "{file}");
        }
    }

    #[test]
    fn a_file_is_read_once_and_can_be_replayed_at_any_scale() {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(place.path().join("traces")).expect("a folder");
        let file = place.path().join("traces/a.csv");
        std::fs::write(&file, "1\n2\n").expect("a file");
        let shelf = Shelf::beside(&place.path().join("a.toml"));
        shelf.replay(&settings("traces/a.csv")).expect("a trace");
        std::fs::remove_file(&file).expect("removed");
        let fast = TraceSettings { time_scale: 7.0, ..settings("traces/a.csv") };
        let (replay, _) = shelf.replay(&fast).expect("kept");
        assert!((replay.time_scale - 7.0).abs() < f64::EPSILON);
    }
}

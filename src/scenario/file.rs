//! Reading a scenario file without trusting it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::scenario::builtin::{BUILT_IN, BuiltIn};
use crate::scenario::complaint::{Complaint, ScenarioError};
use crate::scenario::keys::{listed, nearest};
use crate::scenario::shelf::Shelf;
use crate::scenario::sources::Sources;
use crate::units::Bytes;

/// The largest scenario file.
const LARGEST_FILE: Bytes = Bytes(256 << 10);

/// The name and text of a file, or of a built-in scenario if there is no such file, and where
/// the files lie that it names.
pub(crate) fn read(path: &Path) -> Result<(String, String, Shelf), ScenarioError> {
    let origin = path.display().to_string();
    let found = path.metadata();
    // A folder may share the name of a built-in scenario; it cannot be what was meant.
    if found.as_ref().is_ok_and(std::fs::Metadata::is_dir) && named(path).is_some() {
        return built_in(path);
    }
    let metadata = match found {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return built_in(path),
        Err(error) => return Err(unreadable(&origin, &error)),
    };
    // A pipe or a device could keep the reader waiting, or never end.
    if !metadata.is_file() {
        let kind = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(refusal(
            format!("`{origin}` is {kind}"),
            "name a scenario file, such as `scenarios/quickstart.toml`",
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE.0 + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&origin, &error))?;
    if bytes.len() > LARGEST_FILE.as_usize() {
        return Err(too_large(&origin, &bytes));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((origin, text, Shelf::beside(path))),
        Err(error) => Err(not_text(&origin, error.as_bytes())),
    }
}

/// The built-in scenario of that name.
fn named(name: &Path) -> Option<&'static BuiltIn> {
    BUILT_IN.iter().find(|scenario| Path::new(scenario.name) == name)
}

fn built_in(path: &Path) -> Result<(String, String, Shelf), ScenarioError> {
    let wanted = path.to_string_lossy();
    if let Some(scenario) = named(path) {
        let origin = format!("{} (built in)", scenario.name);
        return Ok((origin, scenario.text.to_owned(), Shelf::built_in()));
    }
    let names: Vec<&str> = BUILT_IN.iter().map(|BuiltIn { name, .. }| *name).collect();
    let message = format!("there is no file `{wanted}`, and no built-in scenario of that name");
    let remedy = match nearest(&wanted, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Built in are: {}", listed(&names)),
        None => format!("built in are: {}", listed(&names)),
    };
    Err(refusal(message, remedy))
}

fn unreadable(origin: &str, error: &std::io::Error) -> ScenarioError {
    refusal(format!("`{origin}` cannot be read: {error}"), "check its name and permissions")
}

/// An error that shows where the file stops being text.
fn not_text(origin: &str, bytes: &[u8]) -> ScenarioError {
    let shown = String::from_utf8_lossy(bytes).into_owned();
    // The replacement character stands exactly where the first wrong byte is.
    let place = bytes.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    let mut sources = Sources::default();
    sources.add(origin, shown);
    let span = place..place + char::REPLACEMENT_CHARACTER.len_utf8();
    let complaint = Complaint::at(span, "the file is not UTF-8", "save it in UTF-8");
    ScenarioError::new(sources, vec![complaint])
}

/// An error that shows where the file goes beyond what is read of it.
fn too_large(origin: &str, bytes: &[u8]) -> ScenarioError {
    let shown = String::from_utf8_lossy(bytes).into_owned();
    let place = shown.len()..shown.len();
    let mut sources = Sources::default();
    sources.add(origin, shown);
    let message = format!("the file is larger than {LARGEST_FILE}, which end here");
    let remedy = "is it a scenario? They are a page or two of TOML";
    ScenarioError::new(sources, vec![Complaint::at(place, message, remedy)])
}

fn refusal(message: impl Into<String>, remedy: impl Into<String>) -> ScenarioError {
    ScenarioError::new(Sources::default(), vec![Complaint::whole(message, remedy)])
}

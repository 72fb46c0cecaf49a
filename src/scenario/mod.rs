//! Scenarios: a TOML file exactly as written, checked, with errors that point into the file.
//!
//! A scenario that loads can be planned: every value is possible, every default is filled in,
//! and every point of its sweep has been read. Everything else is a [`ScenarioError`] that
//! shows the offending text and names a remedy.

mod arrivals;
mod builtin;
mod complaint;
mod document;
mod faults;
mod file;
mod keys;
mod limits;
mod overrides;
mod path;
mod read;
#[cfg(test)]
mod refusals;
mod schema;
mod sections;
mod shelf;
mod sources;
mod sweep;
mod vocabulary;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::aim::Aims;
use crate::incident::{self, Incident};
use crate::network::asked::Network;
use crate::scenario::complaint::Complaint;
use crate::scenario::document::Document;
use crate::scenario::path::{Path, written};
use crate::scenario::read::{Reader, Reading};
use crate::scenario::sections::Wanted;
use crate::scenario::shelf::Shelf;
use crate::scenario::sources::{Sources, Span};
use crate::scenario::sweep::{PointDocument, Sweep};
use crate::scenario::vocabulary::{Target, Vocabulary};
use crate::stopping::StoppingRule;

pub use crate::scenario::builtin::{BUILT_IN, BuiltIn, export};
pub use crate::scenario::complaint::{Position, ScenarioError};
pub use crate::scenario::limits::{
    DRAIN_MARGIN, LARGEST_SEED, LONGEST_MARGIN, LONGEST_RTT, LONGEST_RUN, LONGEST_SPIN,
    LONGEST_WINDOW, MOST_DELIVERIES, MOST_REPEATS, MOST_STRATEGIES, MOST_SUBSCRIBERS,
    TRIAL_OVERHEAD,
};
pub use crate::scenario::overrides::Override;
pub use crate::scenario::read::NamedStrategy;
pub use crate::scenario::schema::schema;
pub use crate::scenario::sections::{Events, Layout};
pub use crate::scenario::shelf::{TRACES_FOLDER, TraceFile};
pub use crate::scenario::sweep::MOST_POINTS;

/// A scenario that can be run, every default filled in.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is called.
    pub title: String,
    /// The question it answers.
    pub question: Option<String>,
    /// The file, verbatim.
    pub text: String,
    /// The values given beside the file, as `path=value`, in order.
    pub overrides: Vec<String>,
    /// The seed everything random derives from, at most [`LARGEST_SEED`].
    pub seed: u64,
    /// Blocks at each point; with a stopping rule, the most.
    pub repeats: u32,
    /// When a point has blocks enough, unless their number is fixed.
    pub stopping: Option<StoppingRule>,
    /// Whether strategies share a source.
    pub layout: Layout,
    /// What is wanted of the strategies.
    pub aims: Aims,
    /// The combinations of swept settings, the first of them changing slowest; one without a
    /// sweep.
    pub points: Vec<ScenarioPoint>,
}

/// One combination of swept settings.
#[derive(Clone, Debug)]
pub struct ScenarioPoint {
    /// The swept settings, path and value, as written.
    pub parameters: BTreeMap<String, String>,
    /// What happens at the source.
    pub events: Events,
    /// Time before the measured window.
    pub warm_up: Duration,
    /// Length of the measured window.
    pub window: Duration,
    /// How long after the window outstanding events are waited for, at most.
    pub drain: Duration,
    /// Whether each process is kept on one CPU.
    pub pin: bool,
    /// How long before each event the pacer spins.
    pub spin: Duration,
    /// What lies between source and subscribers.
    pub network: Network,
    /// What goes wrong, in the order of the file.
    pub incidents: Vec<Incident>,
    /// The strategies, in the order of the file.
    pub strategies: Vec<NamedStrategy>,
}

impl ScenarioPoint {
    /// What goes wrong for a strategy.
    #[must_use]
    pub fn befalling(&self, named: &NamedStrategy) -> Vec<Incident> {
        incident::befalling(&self.incidents, named.strategy.target())
    }
}

/// Reads and checks a scenario: a file, or the name of a built-in scenario if no such file
/// exists.
///
/// # Errors
///
/// When the file cannot be read, and for everything in it, or in `overrides`, that is unknown,
/// unreadable or impossible.
pub fn load(scenario: &std::path::Path, overrides: &[Override]) -> Result<Scenario, ScenarioError> {
    let (origin, text, shelf) = file::read(scenario)?;
    read_text(&origin, &text, overrides, &shelf)
}

/// Checks the text of a scenario that names no files but built-in ones; `origin` is what errors
/// call it.
///
/// # Errors
///
/// For everything that is unknown, unreadable or impossible.
pub fn parse(origin: &str, text: &str, overrides: &[Override]) -> Result<Scenario, ScenarioError> {
    read_text(origin, text, overrides, &Shelf::built_in())
}

fn read_text(
    origin: &str,
    text: &str,
    overrides: &[Override],
    shelf: &Shelf,
) -> Result<Scenario, ScenarioError> {
    let mut sources = Sources::default();
    let start = sources.add(origin, text);
    let checked = Document::parse(text, start)
        .and_then(|document| check(document, overrides, &mut sources, shelf));
    match checked {
        Ok(checked) => Ok(Scenario { text: text.to_owned(), ..checked }),
        Err(complaints) => Err(ScenarioError::new(sources, complaints)),
    }
}

fn check<'i>(
    mut document: Document<'i>,
    overrides: &'i [Override],
    sources: &mut Sources,
    shelf: &Shelf,
) -> Result<Scenario, Vec<Complaint>> {
    let vocabulary = Vocabulary::new();
    let given = override_all(&mut document, overrides, sources, &vocabulary)?;
    let sweep = Sweep::take(&mut document, &vocabulary)?;
    let swept = |(path, place): &(Path, Span)| {
        sweep.varies(path).then(|| {
            let message = format!("`{path}` is swept, so one value for it would be ignored");
            let written = written(&path.to_string());
            Complaint::at(place.clone(), message, format!("write `sweep.{written}=[…]`"))
        })
    };
    let mut complaints: Vec<Complaint> = given.iter().filter_map(swept).collect();
    let mut readings = Vec::new();
    for PointDocument { parameters, document } in sweep.points(&document) {
        let mut reader = Reader::new(&vocabulary, shelf);
        let reading = reader.read(&document);
        complaints.append(&mut reader.complaints);
        if let Some(reading) = reading {
            complaints.append(&mut limits::complaints(&reading, &document));
            readings.push((parameters, reading));
        }
        if complaints.len() > MOST_COMPLAINTS {
            break;
        }
    }
    if complaints.is_empty() {
        complaints.extend(limits::expectations(&readings, &document));
        complaints.extend(limits::searched(&readings, &document));
        complaints.extend(limits::too_long(readings.iter().map(|(_, reading)| reading), &document));
    }
    if complaints.is_empty() { Ok(scenario(readings, overrides)) } else { Err(complaints) }
}

/// With this many complaints further points have nothing to add.
const MOST_COMPLAINTS: usize = 100;

/// Puts the values given beside the file into the document; returns their paths and places.
fn override_all<'i>(
    document: &mut Document<'i>,
    overrides: &'i [Override],
    sources: &mut Sources,
    vocabulary: &Vocabulary,
) -> Result<Vec<(Path, Span)>, Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut given = Vec::new();
    for text in overrides {
        let assignment = text.read(sources).and_then(|assignment| {
            let target = vocabulary.resolve(&assignment.path, &assignment.place, document)?;
            Ok((assignment, target))
        });
        match assignment {
            Ok((assignment, target)) => {
                for key in excluded_by(&target) {
                    document.remove("run", key);
                }
                document.put(&target, &assignment.place, assignment.value);
                given.push((assignment.path, assignment.place));
            }
            Err(complaint) => complaints.push(complaint),
        }
    }
    if complaints.is_empty() { Ok(given) } else { Err(complaints) }
}

/// The keys of `[run]` whose place a value beside the file takes: a fixed number of blocks and a
/// stopping rule exclude each other, and what was said last is meant.
fn excluded_by(target: &Target) -> &'static [&'static str] {
    match target {
        Target::Section("run", key) if key == "repeats" => &["precision", "measure", "max-repeats"],
        Target::Section("run", key) if key == "precision" => &["repeats"],
        _ => &[],
    }
}

/// Readings of all points, which agree in everything that cannot be swept.
fn scenario(
    readings: Vec<(BTreeMap<String, String>, Reading)>,
    overrides: &[Override],
) -> Scenario {
    let (_, first) = readings.first().expect("a scenario without a complaint has a point");
    let (heading, run) = (first.heading.clone(), first.run.clone());
    let Wanted { objective, prices, thresholds } = first.wanted.clone();
    let thresholds = thresholds.into_iter().map(|threshold| threshold.expect).collect();
    let point = |(parameters, reading): (BTreeMap<String, String>, Reading)| ScenarioPoint {
        parameters,
        drain: limits::drain(&reading),
        network: reading.network,
        events: reading.events,
        warm_up: reading.run.warm_up,
        window: reading.run.duration,
        pin: reading.run.pin,
        spin: reading.run.spin,
        incidents: reading.incidents,
        strategies: reading.strategies,
    };
    Scenario {
        title: heading.title,
        question: heading.question,
        text: String::new(),
        overrides: overrides.iter().map(|given| given.text.clone()).collect(),
        seed: run.seed,
        repeats: run.blocks(),
        stopping: run.rule(),
        layout: run.layout,
        aims: Aims { objective, prices, thresholds },
        points: readings.into_iter().map(point).collect(),
    }
}

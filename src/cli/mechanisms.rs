//! `pollpush mechanisms`: the ways of delivering, and their settings.

use clap::Args;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::cli::grid::Grid;
use crate::cli::options::Format;
use crate::cli::outcome::Outcome;
use crate::cli::terminal::Terminal;
use crate::delivery::MECHANISMS;
use crate::delivery::contract::Mechanism;
use crate::wire::link::Link;

/// List the ways of delivering, with their settings and defaults.
#[derive(Debug, Args)]
pub(crate) struct Mechanisms {
    /// How to write the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A mechanism as it is listed.
#[derive(Debug, Serialize)]
struct Entry {
    name: &'static str,
    summary: &'static str,
    settings: Vec<Setting>,
}

/// A setting of a mechanism.
#[derive(Debug, Serialize)]
struct Setting {
    key: String,
    required: bool,
    default: Option<Value>,
    meaning: String,
}

impl Mechanisms {
    pub(crate) fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
        let own = MECHANISMS.iter().map(|mechanism| entry(*mechanism));
        let entries: Vec<Entry> = own.chain([every_mechanism()]).collect();
        terminal.result(&match self.format {
            Format::Table => entries.iter().map(section).collect::<Vec<_>>().join("\n"),
            Format::Json => serde_json::to_string_pretty(&entries)? + "\n",
            Format::Csv => grid(&entries).csv(),
            Format::Markdown => grid(&entries).markdown(),
        })?;
        Ok(Outcome::Done)
    }
}

fn entry(mechanism: &dyn Mechanism) -> Entry {
    let schema = mechanism.schema(&mut SchemaGenerator::default());
    Entry { name: mechanism.name(), summary: mechanism.summary(), settings: settings(&schema) }
}

/// The settings that every strategy has beside its mechanism's.
fn every_mechanism() -> Entry {
    Entry {
        name: "every mechanism",
        summary: "What connects the two sides is set alike for all of them.",
        settings: settings(&Link::json_schema(&mut SchemaGenerator::default())),
    }
}

fn settings(schema: &Schema) -> Vec<Setting> {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    let setting = |(key, property): (&String, &Value)| Setting {
        key: key.clone(),
        required: required.iter().any(|name| name == key),
        default: property.get("default").cloned(),
        meaning: one_line(property.get("description")),
    };
    properties.into_iter().flatten().map(setting).collect()
}

fn one_line(text: Option<&Value>) -> String {
    let text = text.and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A mechanism's name and summary, and below them its settings.
fn section(entry: &Entry) -> String {
    let mut grid = Grid::new(["setting", "default", "meaning"]);
    for setting in &entry.settings {
        grid.row(vec![setting.key.clone(), default(setting), setting.meaning.clone()]);
    }
    format!("{}: {}\n{}", entry.name, entry.summary, grid.table())
}

/// All settings of all mechanisms.
fn grid(entries: &[Entry]) -> Grid {
    let mut grid = Grid::new(["mechanism", "setting", "default", "meaning"]);
    for entry in entries {
        for setting in &entry.settings {
            let name = entry.name.to_owned();
            let (key, meaning) = (setting.key.clone(), setting.meaning.clone());
            grid.row(vec![name, key, default(setting), meaning]);
        }
    }
    grid
}

/// The default as a scenario writes it.
fn default(setting: &Setting) -> String {
    match &setting.default {
        Some(default) => default.to_string(),
        None if setting.required => "(required)".to_owned(),
        None => String::new(),
    }
}

//! What may be written where: the sections, their keys, and the settings of each mechanism.

use schemars::SchemaGenerator;

use crate::aim::{Objective, Prices};
use crate::delivery::MECHANISMS;
use crate::delivery::contract::Mechanism;
use crate::incident::Incident;
use crate::network::asked::Written as WrittenNetwork;
use crate::scenario::arrivals::{SHAPES, TRACE};
use crate::scenario::complaint::Complaint;
use crate::scenario::document::{Document, Node};
use crate::scenario::keys::{Keys, listed, remedy};
use crate::scenario::path::{Path, written};
use crate::scenario::sections::{EventsHead, Heading, Run, StrategyHead, Threshold};
use crate::scenario::sources::Span;
use crate::wire::link::Link;

/// The tables of a scenario file.
pub(crate) const TABLES: [&str; 9] =
    ["events", "network", "run", "strategy", "fault", "sweep", "objective", "prices", "threshold"];

/// Every key that has a meaning.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) heading: Keys,
    pub(crate) events: Keys,
    pub(crate) network: Keys,
    pub(crate) run: Keys,
    pub(crate) objective: Keys,
    pub(crate) prices: Keys,
    pub(crate) threshold: Keys,
    pub(crate) fault: Keys,
    pub(crate) head: Keys,
    pub(crate) link: Keys,
    mechanisms: Vec<(&'static str, Keys)>,
    shapes: Vec<(&'static str, Keys)>,
}

/// A place in a document that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A key above the first table.
    Heading(String),
    /// A key of `[events]`, `[network]`, `[run]`, `[objective]` or `[prices]`.
    Section(&'static str, String),
    /// A key of a strategy, counted from zero.
    Strategy(usize, String),
    /// The values of a swept path.
    Sweep(String),
}

impl Vocabulary {
    /// The vocabulary of the sections and of every mechanism.
    pub(crate) fn new() -> Vocabulary {
        let settings = |mechanism: &&'static dyn Mechanism| {
            let schema = mechanism.schema(&mut SchemaGenerator::default());
            (mechanism.name(), Keys::in_schema(&schema))
        };
        Vocabulary {
            heading: Keys::of::<Heading>(),
            events: Keys::of::<EventsHead>(),
            network: Keys::of::<WrittenNetwork>(),
            run: Keys::of::<Run>(),
            objective: Keys::of::<Objective>(),
            prices: Keys::of::<Prices>(),
            threshold: Keys::of::<Threshold>(),
            fault: Keys::of::<Incident>(),
            head: Keys::of::<StrategyHead>(),
            link: Keys::of::<Link>(),
            mechanisms: MECHANISMS.iter().map(settings).collect(),
            shapes: SHAPES
                .iter()
                .map(|shape| {
                    let schema = shape.schema(&mut SchemaGenerator::default());
                    (shape.name(), Keys::in_schema(&schema))
                })
                .collect(),
        }
    }

    /// The keys of a strategy of that mechanism; of an unknown one, those all strategies have.
    pub(crate) fn strategy(&self, mechanism: Option<&str>) -> Keys {
        let own = self.mechanisms.iter().find(|(name, _)| Some(*name) == mechanism);
        let common = self.head.and(&self.link);
        own.map_or_else(|| common.clone(), |(_, keys)| common.and(keys))
    }

    /// The keys of `[events]` with that arrival process.
    pub(crate) fn events(&self, shape: &str) -> Keys {
        let head = if shape == TRACE { self.events.without("rate") } else { self.events.clone() };
        let own = self.shapes.iter().find(|(name, _)| *name == shape);
        own.map_or_else(|| head.clone(), |(_, keys)| head.and(keys))
    }

    /// The keys of `[events]`, whatever the arrival process.
    fn all_events(&self) -> Keys {
        self.shapes.iter().fold(self.events.clone(), |keys, (_, more)| keys.or(more))
    }

    /// The arrival processes that have a key of that name.
    pub(crate) fn shapes_with(&self, key: &str) -> Vec<&'static str> {
        let with = self.shapes.iter().filter(|(_, keys)| keys.get(key).is_some());
        with.map(|(name, _)| *name).collect()
    }

    /// The place a path leads to.
    pub(crate) fn resolve(
        &self,
        path: &Path,
        place: &Span,
        document: &Document<'_>,
    ) -> Result<Target, Complaint> {
        let unknown = |remedy: String| {
            Complaint::at(place.clone(), format!("no setting has the path `{path}`"), remedy)
        };
        let in_section = |section: &'static str, keys: &Keys, key: &str| {
            let paths: Vec<String> =
                keys.names().iter().map(|name| format!("{section}.{name}")).collect();
            keys.get(key)
                .map(|key| Target::Section(section, key.name.clone()))
                .ok_or_else(|| unknown(remedy(&path.to_string(), paths.iter().map(String::as_str))))
        };
        match path.keys()[..] {
            ["events", key] => in_section("events", &self.all_events(), key),
            ["network", key] => in_section("network", &self.network, key),
            ["run", key] => in_section("run", &self.run, key),
            ["objective", key] => in_section("objective", &self.objective, key),
            ["prices", key] => in_section("prices", &self.prices, key),
            ["strategy", name, key] => self.strategy_target(name, key, document).map_err(unknown),
            ["sweep", swept] => Ok(Target::Sweep(swept.to_owned())),
            ["sweep", ref swept @ ..] if !swept.is_empty() => {
                let swept = Path(swept.iter().map(|key| (*key).to_owned()).collect());
                Err(unknown(format!("write `sweep.{}`", written(&swept.to_string()))))
            }
            [key] if self.heading.get(key).is_some() => Ok(Target::Heading(key.to_owned())),
            _ => Err(unknown(self.paths(document))),
        }
    }

    fn strategy_target(
        &self,
        name: &str,
        key: &str,
        document: &Document<'_>,
    ) -> Result<Target, String> {
        let names: Vec<&str> =
            document.strategies().filter_map(|node| text(node, "name")).collect();
        let Some((index, node)) =
            document.strategies().enumerate().find(|(_, node)| text(node, "name") == Some(name))
        else {
            let known: Vec<String> = names.iter().map(|name| written(name)).collect();
            return Err(format!("the strategies are {}", listed(&known)));
        };
        let keys = self.strategy(text(node, "mechanism"));
        match keys.get(key) {
            Some(_) if key == "name" => Err("a strategy is found by its name, so it stays".into()),
            Some(known) => Ok(Target::Strategy(index, known.name.clone())),
            None => Err(keys.remedy(key)),
        }
    }

    /// Every path that has a meaning in this document, as a sentence.
    fn paths(&self, document: &Document<'_>) -> String {
        let section = |name: &str, keys: &Keys| format!("{name}.{{{}}}", keys.names().join(","));
        let strategies = document.strategies().filter_map(|node| text(node, "name"));
        let strategies = strategies.map(|name| format!("strategy.{}.KEY", written(name)));
        let heading = self.heading.names().into_iter().map(str::to_owned);
        let sections =
            [("events", &self.all_events()), ("network", &self.network), ("run", &self.run)];
        let wanted = [("objective", &self.objective), ("prices", &self.prices)];
        let paths: Vec<String> = sections
            .map(|(name, keys)| section(name, keys))
            .into_iter()
            .chain(strategies)
            .chain(heading)
            .chain(wanted.map(|(name, keys)| section(name, keys)))
            .collect();
        format!("paths are {}", listed(&paths))
    }
}

/// A key's value, if it is text.
pub(crate) fn text<'n>(node: &'n Node<'_>, key: &str) -> Option<&'n str> {
    node.get_ref().as_table()?.get(key)?.get_ref().as_str()
}

/// The mechanism of that name.
pub(crate) fn mechanism(name: &str) -> Option<&'static dyn Mechanism> {
    MECHANISMS.iter().copied().find(|mechanism| mechanism.name() == name)
}

#[cfg(test)]
mod tests {
    use super::{Target, Vocabulary};
    use crate::scenario::document::Document;
    use crate::scenario::path::Path;

    const TEXT: &str = "[[strategy]]\nname = 'a b'\nmechanism = 'poll'\n";

    fn resolve(path: &str) -> Option<Target> {
        let document = Document::parse(TEXT, 0).expect("TOML");
        let path = Path::parse(path).expect("a path");
        Vocabulary::new().resolve(&path, &(0..1), &document).ok()
    }

    #[test]
    fn paths_lead_to_settings() {
        assert_eq!(resolve("title"), Some(Target::Heading("title".into())));
        assert_eq!(resolve("run.warm-up"), Some(Target::Section("run", "warm-up".into())));
        assert_eq!(resolve("network.rtt"), Some(Target::Section("network", "rtt".into())));
        assert_eq!(resolve("strategy.'a b'.every"), Some(Target::Strategy(0, "every".into())));
        assert_eq!(
            resolve("strategy.'a b'.subscribers"),
            Some(Target::Strategy(0, "subscribers".into()))
        );
        assert_eq!(resolve("sweep.'events.rate'"), Some(Target::Sweep("events.rate".into())));
    }

    #[test]
    fn paths_to_nothing_are_refused() {
        for path in [
            "events",
            "rate",
            "run.rate",
            "events.rate.x",
            "strategy.b.every",
            "strategy.'a b'.name",
            "strategy.'a b'.concurrency",
            "sweep",
            "sweep.events.rate",
            "x.y",
        ] {
            assert_eq!(resolve(path), None, "{path}");
        }
    }
}

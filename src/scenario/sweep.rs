//! The sweep: every combination of the values given for some settings.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::scenario::complaint::Complaint;
use crate::scenario::document::{Document, Node, in_order};
use crate::scenario::path::Path;
use crate::scenario::read::a_kind;
use crate::scenario::sources::Span;
use crate::scenario::vocabulary::{Target, Vocabulary};

/// The most points of a sweep.
pub const MOST_POINTS: usize = 1_000;

/// The swept settings of a scenario, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Sweep<'i>(Vec<Axis<'i>>);

/// One swept setting.
#[derive(Clone, Debug)]
struct Axis<'i> {
    path: Path,
    place: Span,
    target: Target,
    values: Vec<Node<'i>>,
}

/// The document of one point, and the values that make it differ from the others.
#[derive(Clone, Debug)]
pub(crate) struct PointDocument<'i> {
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) document: Document<'i>,
}

impl<'i> Sweep<'i> {
    /// Takes the sweep out of a document.
    pub(crate) fn take(
        document: &mut Document<'i>,
        vocabulary: &Vocabulary,
    ) -> Result<Sweep<'i>, Vec<Complaint>> {
        let Some(written) = document.root.remove("sweep") else { return Ok(Sweep(Vec::new())) };
        let sweep = Sweep(axes(&written, document, vocabulary)?);
        let count = sweep.count();
        if count > MOST_POINTS {
            return Err(vec![too_many(count, written.span())]);
        }
        Ok(sweep)
    }

    /// The number of points: one without a sweep.
    fn count(&self) -> usize {
        self.0.iter().fold(1, |product: usize, axis| product.saturating_mul(axis.values.len()))
    }

    /// Whether points differ in the setting of that path.
    pub(crate) fn varies(&self, path: &Path) -> bool {
        self.0.iter().any(|axis| axis.path == *path)
    }

    /// The documents of all points, one at a time: the first swept setting changes slowest.
    pub(crate) fn points(&self, base: &Document<'i>) -> impl Iterator<Item = PointDocument<'i>> {
        (0..self.count()).map(|place| self.point(place, base))
    }

    fn point(&self, mut place: usize, base: &Document<'i>) -> PointDocument<'i> {
        let mut point = PointDocument { parameters: BTreeMap::new(), document: base.clone() };
        for axis in self.0.iter().rev() {
            let value = &axis.values[place % axis.values.len()];
            place /= axis.values.len();
            point.document.put(&axis.target, &axis.place, value.clone());
            point.parameters.insert(axis.path.to_string(), shown(value));
        }
        point
    }
}

fn too_many(points: usize, span: Span) -> Complaint {
    let message = format!("the sweep has {points} points");
    let remedy = format!("sweep fewer values; a scenario has at most {MOST_POINTS} points");
    Complaint::at(span, message, remedy)
}

/// A swept value as it is written, without quotes.
fn shown(value: &Node<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        other => other.type_str().to_owned(),
    }
}

fn axes<'i>(
    sweep: &Node<'i>,
    document: &Document<'i>,
    vocabulary: &Vocabulary,
) -> Result<Vec<Axis<'i>>, Vec<Complaint>> {
    let Some(table) = sweep.get_ref().as_table() else {
        let message = format!("`sweep` is a table, not {}", a_kind(sweep));
        return Err(vec![Complaint::at(sweep.span(), message, REMEDY)]);
    };
    let mut axes: Vec<Axis<'i>> = Vec::new();
    let mut found = Vec::new();
    for (key, values) in in_order(table) {
        match axis(key.get_ref(), key.span(), values, document, vocabulary) {
            Ok(new) if axes.iter().any(|earlier| earlier.target == new.target) => {
                let message = format!("`{}` is swept twice", new.path);
                found.push(Complaint::at(new.place, message, "put all its values into one list"));
            }
            Ok(new) => axes.push(new),
            Err(complaint) => found.push(complaint),
        }
    }
    if found.is_empty() { Ok(axes) } else { Err(found) }
}

const REMEDY: &str = "below `[sweep]` write `\"events.rate\" = [\"1/s\", \"20/s\"]`";

fn axis<'i>(
    key: &str,
    place: Span,
    values: &Node<'i>,
    document: &Document<'i>,
    vocabulary: &Vocabulary,
) -> Result<Axis<'i>, Complaint> {
    if let Some(table) = values.get_ref().as_table() {
        let inner = table.keys().next().map_or("…", |inner| inner.get_ref());
        let message = "the path of a swept setting is one key";
        let remedy = format!("put it in quotes: `\"{key}.{inner}\" = […]`");
        return Err(Complaint::at(place, message, remedy));
    }
    let path = Path::parse(key).ok_or_else(|| {
        let message = format!("`{key}` is not the path of a setting");
        Complaint::at(place.clone(), message, REMEDY)
    })?;
    let target = vocabulary.resolve(&path, &place, document)?;
    if !can_be_swept(&target) {
        let message = format!("`{path}` is the same at every point and cannot be swept");
        let remedy = "sweep a setting of `events`, of `network` or of a strategy, or a time or `pin` of `run`";
        return Err(Complaint::at(place, message, remedy));
    }
    let values = plain_values(values, &path)?;
    Ok(Axis { path, place, target, values })
}

/// Whether points may differ in a setting.
fn can_be_swept(target: &Target) -> bool {
    match target {
        Target::Section("run", key) => {
            ["warm-up", "duration", "drain", "pin", "spin"].contains(&key.as_str())
        }
        Target::Section("objective" | "prices", _) => false,
        Target::Section(..) => true,
        Target::Strategy(_, key) => key != "mechanism",
        Target::Heading(_) | Target::Sweep(_) => false,
    }
}

/// The values of a list, which must be plain, and all different.
fn plain_values<'i>(values: &Node<'i>, path: &Path) -> Result<Vec<Node<'i>>, Complaint> {
    let array = values.get_ref().as_array().filter(|array| !array.is_empty()).ok_or_else(|| {
        let message = format!("`{path}` is swept over a list with at least one value");
        Complaint::at(values.span(), message, REMEDY)
    })?;
    if array.len() > MOST_POINTS {
        return Err(too_many(array.len(), values.span()));
    }
    for (place, value) in array.iter().enumerate() {
        if value.get_ref().is_array() || value.get_ref().is_table() {
            let message =
                format!("a swept value is text, a number or a truth, not {}", a_kind(value));
            return Err(Complaint::at(value.span(), message, REMEDY));
        }
        if array.iter().take(place).any(|earlier| shown(earlier) == shown(value)) {
            let message = format!("`{}` is swept over twice", shown(value));
            return Err(Complaint::at(value.span(), message, "write each value once"));
        }
    }
    Ok(array.iter().cloned().collect())
}

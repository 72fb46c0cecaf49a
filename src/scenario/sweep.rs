//! The sweep: every combination of the values given for some settings, or of groups of settings
//! that change together.

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

/// The key below `[sweep]` that names settings which change together.
const ZIP: &str = "zip";

/// The axes of a sweep, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Sweep<'i>(Vec<Axis<'i>>);

/// Settings that change together, each with as many values: a single one unless they are zipped.
#[derive(Clone, Debug)]
struct Axis<'i>(Vec<Swept<'i>>);

/// One swept setting.
#[derive(Clone, Debug)]
struct Swept<'i> {
    path: Path,
    place: Span,
    target: Target,
    values: Vec<Node<'i>>,
}

impl Axis<'_> {
    /// The number of steps along it.
    fn steps(&self) -> usize {
        self.0.first().map_or(1, |swept| swept.values.len())
    }
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
        self.0.iter().fold(1, |product: usize, axis| product.saturating_mul(axis.steps()))
    }

    /// Whether points differ in the setting of that path.
    pub(crate) fn varies(&self, path: &Path) -> bool {
        self.0.iter().flat_map(|axis| &axis.0).any(|swept| swept.path == *path)
    }

    /// The documents of all points, one at a time: the first swept setting changes slowest.
    pub(crate) fn points(&self, base: &Document<'i>) -> impl Iterator<Item = PointDocument<'i>> {
        (0..self.count()).map(|place| self.point(place, base))
    }

    fn point(&self, mut place: usize, base: &Document<'i>) -> PointDocument<'i> {
        let mut point = PointDocument { parameters: BTreeMap::new(), document: base.clone() };
        for axis in self.0.iter().rev() {
            let step = place % axis.steps();
            place /= axis.steps();
            for swept in &axis.0 {
                let value = &swept.values[step];
                point.document.put(&swept.target, &swept.place, value.clone());
                point.parameters.insert(swept.path.to_string(), shown(value));
            }
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
    let mut all: Vec<Swept<'i>> = Vec::new();
    let mut zip = None;
    let mut found = Vec::new();
    for (key, values) in in_order(table) {
        if key.get_ref() == ZIP {
            zip = Some(values);
            continue;
        }
        match swept(key.get_ref(), key.span(), values, document, vocabulary) {
            Ok(new) if all.iter().any(|earlier| earlier.target == new.target) => {
                let message = format!("`{}` is swept twice", new.path);
                found.push(Complaint::at(new.place, message, "put all its values into one list"));
            }
            Ok(new) => all.push(new),
            Err(complaint) => found.push(complaint),
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    let groups = zip.map_or(Ok(Vec::new()), |zip| groups(zip, &all)).map_err(|one| vec![one])?;
    Ok(zipped(all, &groups))
}

/// Axes of settings that change together, and of those that change alone; each is where the
/// first of its settings is.
fn zipped<'i>(all: Vec<Swept<'i>>, groups: &[Vec<usize>]) -> Vec<Axis<'i>> {
    let mut axes: Vec<(usize, Axis<'i>)> = Vec::new();
    for (place, swept) in all.into_iter().enumerate() {
        let group = groups.iter().find(|group| group.contains(&place));
        let first = group.and_then(|group| group.iter().min()).copied().unwrap_or(place);
        match axes.iter_mut().find(|(axis, _)| *axis == first) {
            Some((_, axis)) => axis.0.push(swept),
            None => axes.push((first, Axis(vec![swept]))),
        }
    }
    axes.into_iter().map(|(_, axis)| axis).collect()
}

const ZIP_REMEDY: &str = "below `[sweep]` write `zip = [\"events.rate\", \
                          \"strategy.poll.every\"]`, or a list of such lists";

/// Which swept settings change together, as their places in the file: one list of paths, or
/// several.
fn groups(zip: &Node<'_>, all: &[Swept<'_>]) -> Result<Vec<Vec<usize>>, Complaint> {
    let Some(listed) = zip.get_ref().as_array() else {
        let message = format!("`zip` is a list of swept paths, not {}", a_kind(zip));
        return Err(Complaint::at(zip.span(), message, ZIP_REMEDY));
    };
    let lists: Vec<&Node<'_>> = if listed.iter().any(|one| one.get_ref().is_array()) {
        listed.iter().collect()
    } else {
        vec![zip]
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for list in lists {
        let group = group(list, all)?;
        let earlier = group.iter().find(|place| groups.iter().flatten().any(|one| one == *place));
        if let Some(place) = earlier {
            let message = format!("`{}` is zipped twice", all[*place].path);
            return Err(Complaint::at(list.span(), message, "put it into one list"));
        }
        groups.push(group);
    }
    Ok(groups)
}

/// One list of paths that change together.
fn group(list: &Node<'_>, all: &[Swept<'_>]) -> Result<Vec<usize>, Complaint> {
    let Some(paths) = list.get_ref().as_array().filter(|paths| paths.len() > 1) else {
        let message = "settings change together in lists of at least two paths";
        return Err(Complaint::at(list.span(), message, ZIP_REMEDY));
    };
    let mut group: Vec<usize> = Vec::new();
    for path in paths {
        let written = path.get_ref().as_str().and_then(Path::parse);
        let place = written.and_then(|written| all.iter().position(|one| one.path == written));
        let Some(place) = place else {
            let message = "`zip` names a setting that is not swept";
            let remedy = "name paths that have values below `[sweep]`, written the same way";
            return Err(Complaint::at(path.span(), message, remedy));
        };
        if group.contains(&place) {
            let message = format!("`{}` is zipped with itself", all[place].path);
            return Err(Complaint::at(path.span(), message, "name each path once"));
        }
        group.push(place);
    }
    let [first, rest @ ..] = &group[..] else { return Ok(group) };
    let steps = all[*first].values.len();
    if let Some(odd) = rest.iter().find(|place| all[**place].values.len() != steps) {
        let message = format!(
            "`{}` has {steps} values and `{}` has {}, but they change together",
            all[*first].path,
            all[*odd].path,
            all[*odd].values.len()
        );
        return Err(Complaint::at(list.span(), message, "give both as many values"));
    }
    Ok(group)
}

const REMEDY: &str = "below `[sweep]` write `\"events.rate\" = [\"1/s\", \"20/s\"]`";

fn swept<'i>(
    key: &str,
    place: Span,
    values: &Node<'i>,
    document: &Document<'i>,
    vocabulary: &Vocabulary,
) -> Result<Swept<'i>, Complaint> {
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
    Ok(Swept { path, place, target, values })
}

/// Whether points may differ in a setting.
fn can_be_swept(target: &Target) -> bool {
    match target {
        Target::Section("run", key) => {
            ["warm-up", "duration", "drain", "pin", "spin"].contains(&key.as_str())
        }
        Target::Section("objective" | "prices", _) | Target::Heading(_) | Target::Sweep(_) => false,
        Target::Section(..) => true,
        Target::Strategy(_, key) => key != "mechanism",
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

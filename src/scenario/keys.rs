//! The keys a table may have, taken from the schema of what it is read into.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// A key a table may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The key as written.
    pub(crate) name: String,
    /// Whether a table without it is refused.
    pub(crate) required: bool,
    /// What it means, in whole sentences.
    pub(crate) meaning: String,
}

/// All keys a table may have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Vec<Key>);

impl Keys {
    /// The keys of a type that is read from a table.
    pub(crate) fn of<T: JsonSchema>() -> Keys {
        Keys::in_schema(&T::json_schema(&mut SchemaGenerator::default()))
    }

    /// The properties of an object's schema.
    pub(crate) fn in_schema(schema: &Schema) -> Keys {
        let required = |name: &str| {
            let names = schema.get("required").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|required| required == name))
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        let key = |(name, property): (&String, &Value)| Key {
            name: name.clone(),
            required: required(name),
            meaning: meaning(property),
        };
        Keys(properties.into_iter().flatten().map(key).collect())
    }

    /// These keys and those of `other`.
    pub(crate) fn and(&self, other: &Keys) -> Keys {
        Keys(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// These keys, and those of `other` that have other names.
    pub(crate) fn or(&self, other: &Keys) -> Keys {
        let more = other.0.iter().filter(|key| self.get(&key.name).is_none());
        Keys(self.0.iter().chain(more).cloned().collect())
    }

    /// All keys but that one.
    pub(crate) fn without(&self, name: &str) -> Keys {
        Keys(self.0.iter().filter(|key| key.name != name).cloned().collect())
    }

    /// The keys, in the order of the schema.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// The names of the keys, in the order of the schema.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.name.as_str()).collect()
    }

    /// The key of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.name == name)
    }

    /// What to write instead of an unknown key.
    pub(crate) fn remedy(&self, unknown: &str) -> String {
        remedy(unknown, self.names().into_iter())
    }
}

/// The description of a property on one line.
fn meaning(property: &Value) -> String {
    let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What to write instead of an unknown word: the one it resembles, or the whole list.
pub(crate) fn remedy<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are: {}", listed(&known)),
    }
}

/// Words in backticks, as a sentence lists them.
pub(crate) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The known word that is at most a third of its letters away.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST_WORD).collect();
    known
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Words beyond this length resemble nothing that is known.
const LONGEST_WORD: usize = 100;

/// Letters to insert, remove or replace to turn one word into the other (Levenshtein 1966).
fn distance(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (line, theirs) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, ours) in word.iter().enumerate() {
            let replaced = diagonal + usize::from(*ours != theirs);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn the_distance_of_words_counts_letters() {
        for (from, to, letters) in
            [("", "", 0), ("rte", "rate", 1), ("kitten", "sitting", 3), ("abc", "", 3)]
        {
            assert_eq!(distance(&from.chars().collect::<Vec<_>>(), to), letters, "{from} {to}");
        }
    }

    #[test]
    fn a_typo_finds_its_word_and_nonsense_finds_none() {
        let known = ["rate", "arrivals", "payload"];
        assert_eq!(nearest("arivals", known.into_iter()), Some("arrivals"));
        assert_eq!(nearest("RATE", known.into_iter()), Some("rate"));
        assert_eq!(nearest("zebra crossing", known.into_iter()), None);
        assert_eq!(nearest(&"rate".repeat(100_000), known.into_iter()), None);
    }
}

//! The keys a table may have, taken from the schema of what it is read into.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

pub(crate) use crate::spelling::{listed, nearest, remedy};

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

//! The JSON Schema of scenario files, for editors that follow `#:schema`.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::aim::{Objective, Prices};
use crate::delivery::MECHANISMS;
use crate::delivery::contract::Mechanism;
use crate::incident::Incident;
use crate::network::asked::Written as WrittenNetwork;
use crate::scenario::arrivals::{SHAPES, Shape, TRACE};
use crate::scenario::faults::MOST_FAULTS;
use crate::scenario::limits::MOST_STRATEGIES;
use crate::scenario::sections::{
    EventsHead, Heading, Run, StrategyHead, Threshold, default_arrivals,
};
use crate::wire::link::Link;

/// The schema of `[sweep]`.
fn sweep() -> Value {
    json!({
        "description": "Paths of settings, such as \"events.rate\", and the values each takes \
                        in turn; every combination is a point.",
        "type": "object",
        "properties": {
            "zip": {
                "description": "Paths whose values are taken together, the first with the \
                                first and so on, instead of in every combination: one list \
                                of paths, or a list of such lists.",
                "type": "array",
                "minItems": 1,
                "items": {
                    "anyOf": [
                        { "type": "string" },
                        { "type": "array", "items": { "type": "string" }, "minItems": 2 },
                    ],
                },
            },
        },
        "additionalProperties": {
            "type": "array",
            "items": { "type": ["string", "number", "boolean"] },
            "minItems": 1,
            "uniqueItems": true,
        },
    })
}

/// The JSON Schema of scenario files, in the 2020-12 dialect.
#[must_use]
pub fn schema() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let strategies: Vec<Value> =
        MECHANISMS.iter().map(|mechanism| strategy(*mechanism, &mut generator)).collect();
    let events = SHAPES.map(|shape| events(shape, &mut generator));
    let mut schema = Heading::json_schema(&mut generator);
    let tables = json!({
        "events": {
            "description": "What happens at the source.",
            "type": "object",
            "oneOf": events,
        },
        "network": generator.subschema_for::<WrittenNetwork>(),
        "run": generator.subschema_for::<Run>(),
        "fault": {
            "description": "What goes wrong, for a while.",
            "type": "array",
            "items": generator.subschema_for::<Incident>(),
            "maxItems": MOST_FAULTS,
        },
        "strategy": {
            "description": "The strategies compared.",
            "type": "array",
            "items": { "oneOf": strategies },
            "minItems": 1,
            "maxItems": MOST_STRATEGIES,
        },
        "objective": generator.subschema_for::<Objective>(),
        "prices": generator.subschema_for::<Prices>(),
        "threshold": {
            "description": "What single strategies are held to.",
            "type": "array",
            "items": generator.subschema_for::<Threshold>(),
        },
        "sweep": sweep(),
    });
    extend(&mut schema, "properties", tables);
    schema.insert("title".into(), "pollpush scenario".into());
    schema.insert("description".into(), "What `pollpush run` measures.".into());
    schema.insert("required".into(), json!(["title", "events", "run", "strategy"]));
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("$defs".into(), Value::Object(generator.take_definitions(true)));
    schema
}

/// The schema as the file that comes with the scenarios.
pub(crate) fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("a schema is plain JSON");
    text.push('\n');
    text
}

/// What a `[[strategy]]` of one mechanism may hold.
fn strategy(mechanism: &dyn Mechanism, generator: &mut SchemaGenerator) -> Value {
    let mut schema = mechanism.schema(generator);
    let head = StrategyHead::json_schema(generator);
    let settings = schema.get("properties").cloned().unwrap_or_else(|| json!({}));
    let required = schema.get("required").cloned().unwrap_or_else(|| json!([]));
    let mut properties = head.get("properties").cloned().unwrap_or_else(|| json!({}));
    let link = Link::json_schema(generator);
    let link = link.get("properties").cloned().unwrap_or_else(|| json!({}));
    properties["mechanism"]["const"] = mechanism.name().into();
    schema.insert("properties".into(), properties);
    extend(&mut schema, "properties", link);
    extend(&mut schema, "properties", settings);
    schema.insert("required".into(), head.get("required").cloned().unwrap_or_else(|| json!([])));
    append(&mut schema, "required", required);
    schema.insert("title".into(), mechanism.name().into());
    schema.insert("description".into(), mechanism.summary().into());
    schema.insert("additionalProperties".into(), false.into());
    schema.to_value()
}

/// What `[events]` may hold with one arrival process.
fn events(shape: &dyn Shape, generator: &mut SchemaGenerator) -> Value {
    let mut schema = shape.schema(generator);
    let head = EventsHead::json_schema(generator);
    let mut properties = head.get("properties").cloned().unwrap_or_else(|| json!({}));
    let mut required = head.get("required").cloned().unwrap_or_else(|| json!([]));
    if shape.name() == TRACE
        && let (Value::Object(properties), Value::Array(required)) =
            (&mut properties, &mut required)
    {
        properties.remove("rate");
        required.retain(|key| key != "rate");
    }
    properties["arrivals"]["const"] = shape.name().into();
    extend(&mut schema, "properties", properties);
    append(&mut schema, "required", required);
    if shape.name() != default_arrivals() {
        append(&mut schema, "required", json!(["arrivals"]));
    }
    schema.insert("title".into(), shape.name().into());
    schema.insert("additionalProperties".into(), false.into());
    schema.to_value()
}

fn extend(schema: &mut Schema, member: &str, more: Value) {
    let object = schema.ensure_object().entry(member).or_insert_with(|| Map::new().into());
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn append(schema: &mut Schema, member: &str, more: Value) {
    let list = schema.ensure_object().entry(member).or_insert_with(|| Value::Array(Vec::new()));
    if let (Value::Array(list), Value::Array(more)) = (list, more) {
        list.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::{schema, text};
    use crate::delivery::MECHANISMS;

    #[test]
    fn the_schema_beside_the_scenarios_is_the_programs() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/scenario.schema.json");
        // `UPDATE_SCHEMA=1 cargo test schema` writes it anew.
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(file, text()).expect("written");
        }
        assert_eq!(std::fs::read_to_string(file).expect("the schema"), text());
    }

    #[test]
    fn every_mechanism_has_its_own_kind_of_strategy() {
        let schema = schema();
        for (place, mechanism) in MECHANISMS.iter().enumerate() {
            let kind = format!("/properties/strategy/items/oneOf/{place}");
            let at = |member: &str| schema.pointer(&format!("{kind}/{member}"));
            assert_eq!(at("properties/mechanism/const"), Some(&mechanism.name().into()));
            assert_eq!(at("additionalProperties"), Some(&false.into()));
            assert!(at("properties/name").is_some());
        }
    }
}

//! The arrival processes as `[events]` writes them: a name, and the keys it brings.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::de::{Error, ValueDeserializer};

use crate::schedule::{Arrivals, Batch, Diurnal, Lognormal, OnOff, Pareto};

/// An arrival process that a scenario can name.
pub(crate) trait Shape: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The keys it has beside those all processes share.
    fn schema(&self, generator: &mut SchemaGenerator) -> Schema;
    /// Reads these keys.
    fn read(&self, input: ValueDeserializer<'_>) -> Result<Written, Error>;
}

/// What the keys of a process say.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// All there is to know.
    Whole(Arrivals),
    /// A file that is still to be read.
    Trace(TraceSettings),
}

/// Every arrival process, the simplest first.
pub(crate) const SHAPES: [&dyn Shape; 8] = [
    &Of("constant", |_: Constant| Written::Whole(Arrivals::Constant)),
    &Of("poisson", |_: Poisson| Written::Whole(Arrivals::Poisson)),
    &Of("batch", |batch: Batch| Written::Whole(Arrivals::Batch(batch))),
    &Of("on-off", |on_off: OnOff| Written::Whole(Arrivals::OnOff(on_off))),
    &Of("diurnal", |diurnal: Diurnal| Written::Whole(Arrivals::Diurnal(diurnal))),
    &Of("pareto", |pareto: Pareto| Written::Whole(Arrivals::Pareto(pareto))),
    &Of("lognormal", |lognormal: Lognormal| Written::Whole(Arrivals::Lognormal(lognormal))),
    &Of(TRACE, Written::Trace),
];

/// The process that has its own rate.
pub(crate) const TRACE: &str = "trace";

/// The process of that name.
pub(crate) fn shape(name: &str) -> Option<&'static dyn Shape> {
    SHAPES.into_iter().find(|shape| shape.name() == name)
}

/// A process by its name and by what its keys are read into.
struct Of<T>(&'static str, fn(T) -> Written);

impl<T: JsonSchema + DeserializeOwned> Shape for Of<T> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn read(&self, input: ValueDeserializer<'_>) -> Result<Written, Error> {
        T::deserialize(input).map(self.1)
    }
}

/// One event every 1/rate, from a random phase on. It locks onto any poll interval that is a
/// multiple or a fraction of the gap.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Constant {}

/// Independent exponential gaps of mean 1/rate: many independent users.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Poisson {}

/// The moments in a file, replayed from the first one on. Their rate follows from file and
/// time scale; every block replays the same moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TraceSettings {
    /// The file, in the folder "traces" beside the scenario, such as "traces/orders.csv": one
    /// timestamp a line in seconds or RFC 3339, or CSV with a header and a column of them.
    pub(crate) file: String,
    /// The column of the timestamps; without it "time" or "timestamp", or the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) column: Option<String>,
    /// How many seconds of the trace pass in one second of a trial, from 0.001 to 1000000000:
    /// 1440 makes a day a minute.
    #[serde(default = "as_recorded")]
    #[schemars(range(min = 0.001, max = 1e9))]
    pub(crate) time_scale: f64,
}

fn as_recorded() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::SHAPES;
    use crate::schedule::Arrivals;

    #[test]
    fn scenarios_know_every_process_that_has_a_name() {
        let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name()).collect();
        assert_eq!(names[..7], Arrivals::NAMES);
        assert_eq!(names[7], "trace");
    }
}

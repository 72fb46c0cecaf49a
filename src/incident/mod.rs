//! Incidents: what a scenario makes go wrong, when, and for how long.
//!
//! What [`crate::fault`] plants spoils a run to prove that its checks notice. An incident is part
//! of what is measured: it is planned, befalls every strategy at the same moments, and ends. This
//! room only says what is to happen; sockets, server loops and the coordinator carry it out.

mod corrupt_signature;
mod crash;
mod down;
mod error;
mod half_open;
mod lose_ack;
mod pause;
mod reset;
mod share;
mod slow;
mod slow_body;

use std::time::Duration;

use rand_pcg::Pcg64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schedule::random_stream;
use crate::units::{DurationText, duration_text, nanoseconds, some_duration_text};

pub use crate::incident::error::Errors;
pub use crate::incident::lose_ack::LoseAck;
pub use crate::incident::share::Share;
pub use crate::incident::slow::Delay;
pub use crate::incident::slow_body::SlowBody;

/// Random streams of a trial's seed that belong to incidents start here; see [`random_stream`].
const INCIDENT_STREAMS: u64 = 1 << 36;

/// The most times an incident may come again.
pub const MOST_TIMES: u32 = 1_000;

/// The shortest an incident may last: what is shorter falls between two looks at the clock.
pub const SHORTEST: Duration = Duration::from_millis(1);

/// Something that goes wrong for a while: a `[[fault]]` of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Incident {
    /// When it begins, from the start of the schedule, the warm-up included.
    #[serde(with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub at: Duration,
    /// How long it lasts. It ends before the window does, so that recovery is measured too.
    #[serde(rename = "for", with = "duration_text")]
    #[schemars(with = "DurationText")]
    pub lasts: Duration,
    /// Whom it befalls: "source", "subscriber" or "network", which is between them.
    pub who: Who,
    /// What goes wrong: "down", "crash", "pause", "reset", "half-open" or "corrupt-signature",
    /// or one with a value, such as `{ error = "503:5%, 429:1%" }`, `{ slow = "200ms" }`,
    /// `{ lose-ack = "10%" }` or `{ slow-body = "200ms" }`.
    pub what: What,
    /// How often it happens; once by default.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    #[schemars(range(min = 1, max = 1000))]
    pub times: u32,
    /// With `times`, the time from one beginning to the next.
    #[serde(default, with = "some_duration_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DurationText")]
    pub every: Option<Duration>,
}

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it might skip")]
fn is_once(times: &u32) -> bool {
    *times == 1
}

/// Whom an incident befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The source, equally for all strategies.
    Source,
    /// The subscribers of every strategy.
    Subscriber,
    /// What lies between them: every connection.
    Network,
}

impl Who {
    fn words(self) -> &'static str {
        match self {
            Who::Source => "source",
            Who::Subscriber => "subscribers",
            Who::Network => "network",
        }
    }
}

/// Makes the list of what can go wrong: each with the file that says what it does.
macro_rules! kinds {
    (
        plain { $($(#[$about:meta])* $plain:ident($unit:expr),)+ }
        valued { $($(#[$what:meta])* $kind:ident($value:ty),)+ }
    ) => {
        /// What goes wrong.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum What {
            $($(#[$about])* $plain,)+
            $($(#[$what])* $kind($value),)+
        }

        impl What {
            fn effect(&self) -> &dyn Effect {
                match self {
                    $(What::$plain => &$unit,)+
                    $(What::$kind(effect) => effect,)+
                }
            }
        }
    };
}

kinds! {
    plain {
        /// No connection is accepted or made, and those that are open are closed.
        Down(down::Down),
        /// The process is killed (SIGKILL), and started again when it is over.
        Crash(crash::Crash),
        /// The process stands still (SIGSTOP), and goes on when it is over (SIGCONT).
        Pause(pause::Pause),
        /// Connections are reset: those that are open at once, others when a request comes.
        Reset(reset::Reset),
        /// Connections go silent without closing, and stay so when it is over; new ones work
        /// then.
        HalfOpen(half_open::HalfOpen),
        /// Signatures of webhooks are wrong.
        CorruptSignature(corrupt_signature::CorruptSignature),
    }
    valued {
        /// Shares of requests are answered with an error status unread, such as
        /// "503:5%, 429:1%"; "503" alone is all of them.
        Error(Errors),
        /// Every request is taken up so much later.
        Slow(Delay),
        /// A share of requests is handled, but the connection breaks in place of the answer.
        LoseAck(LoseAck),
        /// The body of every answer comes so much later than its head.
        SlowBody(SlowBody),
    }
}

/// What one kind of incident does: nothing, but for what its file says.
trait Effect {
    /// What it does, in words.
    fn words(&self) -> String;

    /// Why it cannot befall somebody, if it cannot.
    fn refuse(&self, _who: Who) -> Option<Impossible> {
        None
    }

    /// Whether it makes a difference to a strategy.
    fn hits(&self, who: Who, target: Target) -> bool;

    /// What becomes of connections.
    fn connections(&self) -> Option<Connections> {
        None
    }

    /// What becomes of a request, with a number from 0 to 1 that was drawn for it.
    fn request(&self, _draw: f64) -> Option<Request> {
        None
    }

    /// What becomes of the process.
    fn process(&self) -> Option<Process> {
        None
    }

    /// Whether what is signed meanwhile is signed wrongly.
    fn forges(&self) -> bool {
        false
    }
}

/// What an incident does to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// None is accepted or made, and those that are open are closed.
    Refused,
    /// Those that are open are reset.
    Reset,
    /// Nothing passes, and nobody is told.
    Silent,
}

/// What an incident does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It is answered with this status, unread.
    Answered(u16),
    /// It is taken up later.
    Delayed(Duration),
    /// Its connection breaks before it is read.
    Cut,
    /// It is handled, and its connection breaks in place of the answer.
    Unanswered,
    /// The body of its answer comes later than the head.
    Trickled(Duration),
}

/// What an incident does to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// It is killed, and started again at the end.
    Killed,
    /// It stands still until the end.
    Stopped,
}

/// What an incident can find at a strategy.
#[expect(clippy::struct_excessive_bools, reason = "each is a claim of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether its source answers requests while events flow.
    pub source_answers: bool,
    /// Whether its subscribers do.
    pub subscriber_answers: bool,
    /// Whether deliveries are signed.
    pub signed: bool,
    /// Whether its subscribers live in a process of their own, with a network in between.
    pub apart: bool,
}

impl Target {
    /// A strategy whose subscribers ask the source.
    pub const ASKING: Target =
        Target { source_answers: true, subscriber_answers: false, signed: false, apart: true };

    /// Whether somebody answers requests.
    fn answers(self, who: Who) -> bool {
        match who {
            Who::Source => self.source_answers,
            Who::Subscriber => self.subscriber_answers,
            Who::Network => self.apart,
        }
    }
}

/// An incident that makes no sense: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// The key that is wrong.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// One time that an incident happens, in nanoseconds from the start of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// Its first moment.
    pub from: u64,
    /// The first moment after it.
    pub until: u64,
}

impl Span {
    /// Whether a moment is in it.
    #[must_use]
    pub fn contains(&self, moment: u64) -> bool {
        (self.from..self.until).contains(&moment)
    }
}

impl Incident {
    /// Why it makes no sense by itself, if it makes none.
    #[must_use]
    pub fn refuse(&self) -> Option<Impossible> {
        let refused = |key, message: String, remedy: &str| {
            Some(Impossible { key, message, remedy: remedy.to_owned() })
        };
        if self.lasts < SHORTEST {
            let message = "a fault that takes no time changes nothing".to_owned();
            return refused("for", message, "write how long it lasts, at least \"1ms\"");
        }
        if !(1..=MOST_TIMES).contains(&self.times) {
            let message = format!("{} times are not possible", self.times);
            return refused("times", message, "write a whole number from 1 to 1000");
        }
        match self.every {
            None if self.times > 1 => {
                let message = "a fault that comes again needs a time in between".to_owned();
                return refused("times", message, "add `every`, from one beginning to the next");
            }
            Some(_) if self.times == 1 => {
                let message = "`every` means nothing for a fault that comes once".to_owned();
                return refused("every", message, "add `times = 10`, or remove it");
            }
            Some(every) if every <= self.lasts => {
                let message = "the fault would begin again before it has ended".to_owned();
                return refused("every", message, "let `every` be longer than `for`");
            }
            _ => {}
        }
        self.what.effect().refuse(self.who)
    }

    /// Whether it makes a difference to a strategy.
    #[must_use]
    pub fn hits(&self, target: Target) -> bool {
        self.what.effect().hits(self.who, target)
    }

    /// When it happens, the first time first.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let (at, lasts) = (nanoseconds(self.at), nanoseconds(self.lasts));
        let every = self.every.map_or(0, nanoseconds);
        let span = |time: u32| {
            let from = at.saturating_add(every.saturating_mul(time.into()));
            Span { from, until: from.saturating_add(lasts) }
        };
        (0..self.times).map(span).collect()
    }

    /// When it is over for the last time, from the start of the schedule.
    #[must_use]
    pub fn ends(&self) -> Duration {
        let again = self.every.unwrap_or_default().saturating_mul(self.times.saturating_sub(1));
        self.at.saturating_add(again).saturating_add(self.lasts)
    }

    /// Whom it befalls and what it does, in words.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}: {}", self.who.words(), self.what.effect().words())
    }

    /// What becomes of connections.
    #[must_use]
    pub fn connections(&self) -> Option<Connections> {
        self.what.effect().connections()
    }

    /// What becomes of a request, with a number from 0 to 1 that was drawn for it.
    #[must_use]
    pub fn request(&self, draw: f64) -> Option<Request> {
        self.what.effect().request(draw)
    }

    /// Whether it breaks the connection of every request.
    #[must_use]
    pub fn cuts(&self) -> bool {
        self.request(0.0) == Some(Request::Cut)
    }

    /// What becomes of the process.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        self.what.effect().process()
    }

    /// Whether somebody may wait for an answer that never comes, and be told nothing.
    #[must_use]
    pub fn leaves_waiting(&self) -> bool {
        self.connections() == Some(Connections::Silent) || self.process() == Some(Process::Stopped)
    }

    /// Whether what is signed meanwhile is signed wrongly.
    #[must_use]
    pub fn forges(&self) -> bool {
        self.what.effect().forges()
    }

    /// Whether no attempt of a delivery gets through while it lasts, and each fails at once and may
    /// be repeated.
    #[must_use]
    pub fn stops_deliveries(&self) -> bool {
        let refused = self.connections() == Some(Connections::Refused);
        refused || matches!(&self.what, What::Error(errors) if errors.are_certain_and_temporary())
    }
}

/// Those that make a difference to a strategy.
#[must_use]
pub fn befalling(incidents: &[Incident], target: Target) -> Vec<Incident> {
    incidents.iter().filter(|incident| incident.hits(target)).cloned().collect()
}

/// The draws of a scenario's incident, counted from zero: the same for every strategy.
#[must_use]
pub fn draws(seed: u64, incident: usize) -> Pcg64 {
    random_stream(seed, INCIDENT_STREAMS + incident as u64)
}

#[cfg(test)]
mod tests {
    use super::{Connections, Incident, Process, Request, Target, What, Who};
    use std::time::Duration;

    fn incident(text: &str) -> Incident {
        toml::from_str(text).expect("an incident")
    }

    const WEBHOOK: Target =
        Target { source_answers: false, subscriber_answers: true, signed: true, apart: true };

    #[test]
    fn every_kind_is_written_as_a_scenario_would() {
        for (what, words) in [
            ("'down'", "subscribers: no connection"),
            ("'crash'", "is killed"),
            ("'pause'", "stands still"),
            ("'reset'", "reset"),
            ("{ error = '503:5%, 429:1%' }", "5 % of requests are answered 503, 1 % 429"),
            ("{ error = '503' }", "requests are answered 503"),
            ("{ slow = '200ms' }", "200ms"),
            ("{ lose-ack = '10%' }", "10 %"),
        ] {
            let text = format!("at = '1s'\nfor = '2s'\nwho = 'subscriber'\nwhat = {what}");
            let incident = incident(&text);
            assert_eq!(incident.refuse(), None, "{what}");
            assert!(incident.words().contains(words), "{}", incident.words());
            let again = serde_json::to_value(&incident).expect("plain values");
            assert_eq!(serde_json::from_value::<Incident>(again).expect("the same"), incident);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        for (text, key) in [
            ("at='1s'\nfor='0s'\nwho='source'\nwhat='down'", "for"),
            ("at='1s'\nfor='1s'\nwho='source'\nwhat='crash'", "what"),
            ("at='1s'\nfor='1s'\nwho='network'\nwhat='pause'", "what"),
            ("at='1s'\nfor='1s'\nwho='network'\nwhat={slow='1s'}", "what"),
            ("at='1s'\nfor='1s'\nwho='source'\nwhat='half-open'", "what"),
            ("at='1s'\nfor='1s'\nwho='subscriber'\nwhat='corrupt-signature'", "what"),
            ("at='1s'\nfor='1s'\nwho='subscriber'\nwhat={slow-body='1s'}", "what"),
            ("at='1s'\nfor='1s'\nwho='source'\nwhat='down'\ntimes=0", "times"),
            ("at='1s'\nfor='1s'\nwho='source'\nwhat='down'\ntimes=3", "times"),
            ("at='1s'\nfor='1s'\nwho='source'\nwhat='down'\nevery='9s'", "every"),
            ("at='1s'\nfor='1s'\nwho='source'\nwhat='down'\ntimes=2\nevery='1s'", "every"),
        ] {
            assert_eq!(incident(text).refuse().map(|refused| refused.key), Some(key), "{text}");
        }
    }

    #[test]
    fn an_incident_comes_again_as_often_as_asked() {
        let text = "at='1s'\nfor='100ms'\nwho='subscriber'\nwhat='crash'\ntimes=3\nevery='2s'";
        let incident = incident(text);
        let from: Vec<u64> = incident.spans().iter().map(|span| span.from).collect();
        assert_eq!(from, [1_000_000_000, 3_000_000_000, 5_000_000_000]);
        assert!(incident.spans().iter().all(|span| span.until - span.from == 100_000_000));
        assert_eq!(incident.ends(), Duration::from_millis(5_100));
        assert_eq!(incident.process(), Some(Process::Killed));
    }

    #[test]
    fn it_befalls_whoever_has_what_it_disturbs() {
        let hits = |who: &str, what: &str, target| {
            incident(&format!("at='1s'\nfor='1s'\nwho='{who}'\nwhat={what}")).hits(target)
        };
        let control = Target { source_answers: false, apart: false, ..Target::ASKING };
        for (who, what, asking, webhook) in [
            ("subscriber", "'down'", true, true),
            ("network", "'down'", true, true),
            ("source", "{error='503'}", true, false),
            ("subscriber", "{error='503'}", false, true),
            ("source", "'corrupt-signature'", false, true),
            ("subscriber", "'crash'", true, true),
        ] {
            assert_eq!(hits(who, what, Target::ASKING), asking, "{who} {what}");
            assert_eq!(hits(who, what, WEBHOOK), webhook, "{who} {what}");
            assert!(!hits(who, what, control), "{who} {what}");
        }
        // What stands still in the source keeps everybody waiting.
        assert!(hits("source", "'pause'", control));
    }

    #[test]
    fn shares_of_requests_follow_the_draw() {
        let what: What = toml::from_str::<Incident>(
            "at='1s'\nfor='1s'\nwho='source'\nwhat={error='503:5%, 429:1%'}",
        )
        .expect("an incident")
        .what;
        let incident = Incident {
            at: Duration::ZERO,
            lasts: Duration::from_secs(1),
            who: Who::Source,
            what,
            times: 1,
            every: None,
        };
        assert_eq!(incident.request(0.049), Some(Request::Answered(503)));
        assert_eq!(incident.request(0.051), Some(Request::Answered(429)));
        assert_eq!(incident.request(0.061), None);
        assert_eq!(incident.connections(), None);
        let down = Incident { what: What::Down, ..incident };
        assert_eq!(down.connections(), Some(Connections::Refused));
    }
}

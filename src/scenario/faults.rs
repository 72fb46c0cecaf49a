//! What cannot go wrong: faults that make no sense, or that nobody would notice.

use crate::incident::{Impossible, Incident, Who};
use crate::scenario::complaint::Complaint;
use crate::scenario::document::Document;
use crate::scenario::read::Reading;
use crate::units::format_duration;

/// The most faults of a scenario.
pub(crate) const MOST_FAULTS: usize = 64;

/// Everything about the faults of one point that cannot be.
pub(crate) fn complaints(reading: &Reading, document: &Document<'_>) -> Vec<Complaint> {
    let incidents = &reading.incidents;
    if incidents.len() > MOST_FAULTS {
        let message = format!("{} faults are too many", incidents.len());
        let remedy = format!("write at most {MOST_FAULTS}; with `times` one comes again");
        return vec![Complaint::at(document.fault_span(MOST_FAULTS, "at"), message, remedy)];
    }
    let refused = |(index, incident): (usize, &Incident)| {
        let Impossible { key, message, remedy } = incident
            .refuse()
            .or_else(|| outlasting(incident, reading))
            .or_else(|| too_early(incident, reading))
            .or_else(|| unnoticed(incident, reading))
            .or_else(|| meeting(index, incidents))?;
        Some(Complaint::at(document.fault_span(index, key), message, remedy))
    };
    incidents.iter().enumerate().filter_map(refused).collect()
}

/// A fault ends before the window does, or there is nothing to see of the recovery.
fn outlasting(incident: &Incident, reading: &Reading) -> Option<Impossible> {
    let until = reading.run.warm_up + reading.run.duration;
    (incident.ends() >= until).then(|| Impossible {
        key: "at",
        message: format!(
            "the fault lasts until {}, and the window ends at {}: nothing would be seen of the \
             recovery",
            format_duration(incident.ends()),
            format_duration(until)
        ),
        remedy: "let it begin earlier or last shorter, or write a longer `duration`".to_owned(),
    })
}

/// What befalls a process would also befall its reading of the counters when the window opens.
fn too_early(incident: &Incident, reading: &Reading) -> Option<Impossible> {
    let warm_up = reading.run.warm_up;
    (incident.process().is_some() && incident.at <= warm_up).then(|| Impossible {
        key: "at",
        message: format!(
            "the process would be gone when the window opens, at {}",
            format_duration(warm_up)
        ),
        remedy: "let it begin after the warm-up, which counts too".to_owned(),
    })
}

/// A fault that no strategy notices would be taken for one that all of them bear.
fn unnoticed(incident: &Incident, reading: &Reading) -> Option<Impossible> {
    let hit = |named: &crate::scenario::NamedStrategy| incident.hits(named.strategy.target());
    (!reading.strategies.iter().any(hit)).then(|| {
        let remedy = match incident.who {
            Who::Subscriber => {
                "of all subscribers only those of webhooks answer requests; write `who = \
                 \"source\"`, or add such a strategy"
            }
            Who::Source => {
                "the source of a webhook answers no requests, and signs only with `sign`; write \
                 `who = \"subscriber\"`, or add such a strategy"
            }
            Who::Network => "add a strategy with a network in it, or remove the fault",
        };
        Impossible {
            key: "who",
            message: "no strategy of the scenario would notice this fault".to_owned(),
            remedy: remedy.to_owned(),
        }
    })
}

/// Nobody can be killed twice at the same time, nor while standing still.
fn meeting(index: usize, incidents: &[Incident]) -> Option<Impossible> {
    let this = &incidents[index];
    this.process()?;
    let earlier = incidents[..index]
        .iter()
        .filter(|other| other.process().is_some() && other.who == this.who);
    let meets = earlier.flat_map(Incident::spans).any(|other| {
        this.spans().iter().any(|span| span.from <= other.until && other.from <= span.until)
    });
    meets.then(|| Impossible {
        key: "at",
        message: "another fault befalls the same process at the same time".to_owned(),
        remedy: "let one begin after the other has ended".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;

    const STRATEGIES: &str = "
[[strategy]]
name = 'poll'
mechanism = 'poll'
every = '1s'
[[strategy]]
name = 'null'
mechanism = 'null'
";

    const WEBHOOK: &str = "[[strategy]]\nname = 'hook'\nmechanism = 'webhook'\n";

    fn scenario(faults: &str, more: &str) -> String {
        let head = "title = 't'\n[events]\nrate = '20/s'\n[run]\nduration = '20s'\n";
        format!("{head}{faults}{STRATEGIES}{more}")
    }

    fn fault(at: &str, lasts: &str, who: &str, what: &str) -> String {
        format!("[[fault]]\nat = '{at}'\nfor = '{lasts}'\nwho = '{who}'\nwhat = {what}\n")
    }

    #[test]
    fn faults_that_make_no_sense_are_refused_at_their_place_and_with_a_remedy() {
        for (faults, said) in [
            (fault("2s", "1s", "source", "'crash'"), "write `who = \"subscriber\"`"),
            (fault("2s", "1s", "network", "'pause'"), "`what = \"half-open\"`"),
            (fault("2s", "19s", "source", "'down'"), "let it begin earlier or last shorter"),
            (fault("500ms", "1s", "subscriber", "'crash'"), "let it begin after the warm-up"),
            (fault("2s", "1s", "subscriber", "{ error = '503' }"), "no strategy of the scenario"),
            (fault("2s", "1s", "source", "'corrupt-signature'"), "no strategy of the scenario"),
            (fault("2s", "1s", "source", "{ error = '200:5%' }"), "no status from 400 to 599"),
            (fault("2s", "1s", "source", "{ lose-ack = '0%' }"), "no share of requests"),
            (fault("2s", "1s", "source", "'melt'"), "unknown variant"),
            (fault("2s", "1s", "nobody", "'down'"), "unknown variant"),
            (
                fault("2s", "3s", "subscriber", "'crash'")
                    + &fault("4s", "1s", "subscriber", "'pause'"),
                "let one begin after the other has ended",
            ),
            ("fault = 3\n".to_owned(), "list of tables"),
        ] {
            let text = if faults.starts_with('[') {
                scenario(&faults, "")
            } else {
                faults.clone() + &scenario("", "")
            };
            let error = parse("faults.toml", &text, &[]).expect_err(&faults);
            assert!(!error.positions().is_empty(), "no position: {error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn a_fault_befalls_the_strategies_that_notice_it() {
        let faults = fault("2s", "1s", "subscriber", "{ error = '503' }")
            + &fault("5s", "1s", "network", "'down'")
            + &fault("8s", "1s", "source", "'pause'");
        let scenario = parse("faults.toml", &scenario(&faults, WEBHOOK), &[]).expect("right");
        let point = &scenario.points[0];
        let hit: Vec<usize> =
            point.strategies.iter().map(|named| point.befalling(named).len()).collect();
        // The poll, the control and the webhook.
        assert_eq!(hit, [2, 1, 3]);
    }

    #[test]
    fn a_drain_outlasts_what_is_left_waiting_unless_the_file_says_otherwise() {
        let drain = |faults: &str, drain: &str, more: &str| {
            let text = scenario(faults, more);
            let text = text.replace("duration = '20s'\n", &format!("duration = '20s'\n{drain}"));
            parse("faults.toml", &text, &[]).expect("right").points[0].drain.as_secs()
        };
        let silent = |at: &str| fault(at, "1s", "network", "'half-open'");
        let written = "drain = '4s'\n";
        // A second between polls, and two beyond.
        assert_eq!(drain("", "", ""), 3);
        assert_eq!(drain(&fault("18s", "1s", "network", "'down'"), "", ""), 3);
        // It is over at 19 s; the poll after it gives up within 31 s, and the window ends at 21 s.
        assert_eq!(drain(&silent("18s"), "", ""), 3 + 29);
        assert_eq!(drain(&fault("18s", "1s", "source", "'pause'"), "", ""), 3 + 29);
        assert_eq!(drain(&silent("2s"), "", ""), 3 + 13);
        assert_eq!(drain(&silent("18s"), written, ""), 4);
        // Two heartbeats and ten seconds, and three until it connects again.
        let stream = "[[strategy]]\nname = 's'\nmechanism = 'sse'\nheartbeat = '30s'\n";
        assert_eq!(drain(&silent("18s"), "", stream), 3 + 2 + 3 + 70 - 2);
        // A webhook's attempts time out, whatever is silent.
        assert_eq!(drain(&silent("18s"), "", WEBHOOK), 3 + 29);
    }
}

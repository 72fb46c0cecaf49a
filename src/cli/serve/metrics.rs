//! `GET /metrics`: the totals in Prometheus's text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write;

use crate::counts::Counts;

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The totals as counters; names and units follow <https://prometheus.io/docs/practices/naming/>.
pub(super) fn exposition(counts: &Counts, events: u64) -> String {
    let mut text = String::with_capacity(2048);
    let mut counter = |name: &str, help: &str, samples: &[(&str, u64)]| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    counter("pollpush_events_emitted_total", "Events in the log.", &[("", events)]);
    counter(
        "pollpush_exchanges_total",
        "Requests and their responses, by what they brought.",
        &[
            ("{outcome=\"useful\"}", counts.useful),
            ("{outcome=\"empty\"}", counts.empty),
            ("{outcome=\"not-modified\"}", counts.not_modified),
            ("{outcome=\"rate-limited\"}", counts.rate_limited),
            ("{outcome=\"stream\"}", counts.streams),
            ("{outcome=\"failed\"}", counts.failed),
            ("{outcome=\"overhead\"}", counts.overhead),
        ],
    );
    let others = [
        ("retried", "Exchanges that repeat an attempt that failed.", counts.retried),
        ("denied", "Exchanges refused for want of right credentials.", counts.denied),
        ("messages", "Frames of streams.", counts.messages),
        ("connections_opened", "Connections accepted or dialled.", counts.connections),
        ("received_bytes", "Bytes read from sockets.", counts.bytes_received),
        ("sent_bytes", "Bytes written to sockets.", counts.bytes_sent),
    ];
    for (name, help, value) in others {
        counter(&format!("pollpush_{name}_total"), help, &[("", value)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::exposition;
    use crate::counts::Counts;
    use std::collections::BTreeSet;

    #[test]
    fn every_sample_has_a_type_and_a_help_and_is_there_once() {
        let counts = Counts { useful: 7, bytes_sent: 9, ..Counts::default() };
        let text = exposition(&counts, 3);
        let mut seen = BTreeSet::new();
        let (mut helped, mut typed) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                help.split_once(' ').expect("a name and a help").0.clone_into(&mut helped);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                kind.strip_suffix(" counter").expect("a counter").clone_into(&mut typed);
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a name and a value");
                let bare = name.split('{').next().expect("a name");
                assert_eq!((bare, bare), (helped.as_str(), typed.as_str()), "{line}");
                assert!(bare.starts_with("pollpush_") && bare.ends_with("_total"), "{line}");
                assert!(value.parse::<u64>().is_ok() && seen.insert(name), "{line}");
            }
        }
        assert!(text.ends_with('\n'));
        for line in [
            "pollpush_events_emitted_total 3\n",
            "pollpush_exchanges_total{outcome=\"useful\"} 7\n",
            "pollpush_sent_bytes_total 9\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}

//! Every way a scenario can be wrong, refused at its place and with a remedy.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::{any, prop, proptest};

use crate::scenario::{BUILT_IN, Override, Scenario, ScenarioError, load, parse};

/// A scenario that is right, in parts a test can replace.
const RIGHT: &str = r#"title = "t"

[events]
rate = "20/s"

[run]
duration = "60s"

[[strategy]]
name = "poll"
mechanism = "poll"
every = "1s"
"#;

fn read(text: &str, overrides: &[&str]) -> Result<Scenario, ScenarioError> {
    let given: Vec<Override> = overrides
        .iter()
        .map(|text| Override { origin: "--set", text: (*text).to_owned() })
        .collect();
    parse("scenario.toml", text, &given)
}

/// The errors of scenarios that differ from the right one by one replacement.
fn shown(cases: &[(&str, &str)]) -> String {
    let mut shown = String::new();
    for (from, to) in cases {
        assert!(RIGHT.contains(from), "{from}");
        let text = RIGHT.replacen(from, to, 1);
        let error = read(&text, &[]).expect_err(to);
        assert!(!error.positions().is_empty(), "no position: {error}");
        writeln!(shown, "{error}\n").expect("writing to memory");
    }
    shown
}

fn shown_overrides(cases: &[&[&str]]) -> String {
    let mut shown = String::new();
    for overrides in cases {
        let error = read(RIGHT, overrides).expect_err(overrides[0]);
        assert!(!error.positions().is_empty(), "no position: {error}");
        writeln!(shown, "{error}\n").expect("writing to memory");
    }
    shown
}

#[test]
fn the_right_scenario_is_right() {
    let scenario = read(RIGHT, &[]).expect("right");
    assert_eq!((scenario.seed, scenario.repeats, scenario.points.len()), (1, 1, 1));
}

#[test]
fn texts_that_are_not_toml() {
    insta::assert_snapshot!(shown(&[
        ("\"20/s\"", "20/s"),
        ("\"20/s\"", "\"20/s"),
        ("\"20/s\"", ""),
        ("[events]", "[events"),
        ("title = \"t\"", "title \"t\""),
        ("title = \"t\"", "title = \"t\"\ntitle = \"u\""),
        ("title = \"t\"", "title = \"t\0\""),
        ("[run]", "[events]"),
    ]));
}

#[test]
fn keys_and_tables_that_do_not_exist() {
    insta::assert_snapshot!(shown(&[
        ("title", "titel"),
        ("[events]", "[event]"),
        ("[[strategy]]", "[[treshold]]\nexpect = \"x\"\n\n[[strategy]]"),
        ("rate", "rte"),
        ("rate", "arrival = \"poisson\"\nrate"),
        ("duration", "seeed = 4\nduration"),
        ("every", "evry"),
        ("every", "colour = \"red\"\nevery"),
        ("[[strategy]]", "[strategy]"),
        ("[events]\nrate = \"20/s\"", ""),
        ("mechanism = \"poll\"", ""),
        ("every = \"1s\"", ""),
    ]));
}

#[test]
fn what_cannot_be_wanted() {
    let cases = [
        "[objective]",
        "[objective]\nminimize = \"loss\"",
        "[objective]\nminimise = \"request.per_event\"",
        "[objective]\nminimise = \"cost\"",
        "[objective]\nrequire = \"loss = 0\"",
        "[objective]\nrequire = [\"loss = 0\", \"latncy.p99 < 1s\"]",
        "[objective]\nrequire = [\"latency.p99 < 5\"]",
        "[objective]\nrequire = [\"latency.p99 = 5ms\"]",
        "[objective]\nrequire = [\"latency.p99\"]",
        "[[objective]]\nminimise = \"loss\"",
        "[prices]\ncurrency = \"USD\"",
        "[prices]\nsource-per-gb = 0.09",
        "[prices]\ncurrency = \"USD\"\nsource-per-gb = -1",
        "[prices]\ncurrency = \"USD\"\nsource-per-gb = \"9 cents\"",
        "[prices]\ncurrency = \"\"\nsource-per-gb = 1",
        "[prices]\ncurrency = \"USD\"\nsource-per-gb = 1\nsubscribers = [0]",
        "[threshold]\nexpect = \"poll: loss = 0\"",
        "[[threshold]]",
        "[[threshold]]\nexpect = \"loss = 0\"",
        "[[threshold]]\nexpect = \"poll: loss = 0\"\n[[threshold]]\nexpect = \"pol: loss = 0\"",
        "[[threshold]]\nexpect = \"poll: lost = 0\"",
        "[[threshold]]\nexpect = \"poll: cost < 5\"",
        "[[threshold]]\nexpect = \"poll: loss = 0 at events.rate=5/s\"",
        "[sweep]\n\"objective.minimise\" = [\"loss\"]",
        "[objective]\nsearch = \"events.rate\"",
        "[objective]\nminimise = \"requests.per_event\"\nsearch = \"events.rate\"",
        "[objective]\nminimise = \"requests.per_event\"\nsearch = \"run.pin\"\n[sweep]\n\"run.pin\" = [true, false]",
        "[objective]\nminimise = \"requests.per_event\"\nsearch = \"events.rate\"\n[sweep]\n\"events.rate\" = [\"1/s\", \"2/s\"]",
        "[objective]\nminimise = \"requests.per_event\"\nsearch = \"events.rate\"\n[sweep]\n\"events.rate\" = [\"1/s\", \"2/s\", \"4/s\", \"8/s\"]\n[[threshold]]\nexpect = \"poll: loss = 0 at events.rate=2/s\"",
    ];
    let cases: Vec<String> = cases.iter().map(|text| format!("{text}\n\n[[strategy]]")).collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|to| ("[[strategy]]", to.as_str())).collect();
    insta::assert_snapshot!(shown(&cases));
}

#[test]
fn values_of_the_wrong_kind() {
    insta::assert_snapshot!(shown(&[
        ("\"20/s\"", "20"),
        ("\"20/s\"", "\"20\""),
        ("\"20/s\"", "\"20/fortnight\""),
        ("\"20/s\"", "\"20/s\"\narrivals = \"poison\""),
        ("\"20/s\"", "\"20/s\"\npayload = 1024"),
        ("\"60s\"", "60"),
        ("\"60s\"", "\"60\""),
        ("\"60s\"", "\"60s\"\nrepeats = \"three\""),
        ("\"60s\"", "\"60s\"\nrepeats = -1"),
        ("\"60s\"", "\"60s\"\nlayout = \"alone\""),
        ("\"60s\"", "\"60s\"\npin = 1"),
        ("\"60s\"", "\"60s\"\nspin = 100"),
        ("\"1s\"", "1"),
        ("\"1s\"", "\"1s\"\nkeep-alive = \"yes\""),
        ("\"1s\"", "\"1s\"\nclient = \"curl\""),
        ("mechanism = \"poll\"", "mechanism = \"pol\""),
        ("mechanism = \"poll\"", "mechanism = \"carrier pigeon\""),
        ("mechanism = \"poll\"", "mechanism = 7"),
        ("\"t\"", "2024"),
    ]));
}

#[test]
fn values_that_are_impossible() {
    insta::assert_snapshot!(shown(&[
        ("20/s", "0/s"),
        ("20/s", "-1/s"),
        ("20/s", "NaN/s"),
        ("20/s", "1e308/s"),
        ("\"20/s\"", "\"20/s\"\npayload = \"63 B\""),
        ("\"20/s\"", "\"20/s\"\npayload = \"2 MiB\""),
        ("60s", "0s"),
        ("60s", "25h"),
        ("60s", "169h"),
        ("\"60s\"", "\"60s\"\nwarm-up = \"2h\""),
        ("\"60s\"", "\"60s\"\ndrain = \"2h\""),
        ("\"60s\"", "\"60s\"\ndrain = \"900ms\""),
        ("\"60s\"", "\"60s\"\nspin = \"1.1ms\""),
        ("every = \"1s\"", "every = \"2h\""),
        ("every = \"1s\"", "every = \"1s\"\ntls-resume = false"),
        ("\"60s\"", "\"60s\"\n[network]\nrtt = \"2s\""),
        ("\"60s\"", "\"60s\"\nrepeats = 0"),
        ("\"60s\"", "\"60s\"\nseed = 9007199254740992"),
        ("every", "subscribers = 1000000000\nevery"),
        ("every", "subscribers = 0\nevery"),
        ("every", "limit = 0\nevery"),
        ("\"t\"", "\" \""),
        ("\"t\"", "\"a\\nb\""),
        ("name = \"poll\"", "name = \"\""),
        ("name = \"poll\"", "name = \" poll\""),
        ("name = \"poll\"", "name = \"\\u001b[31m\""),
        ("\"1s\"", "\"1s\"\n[[strategy]]\nname = \"poll\"\nmechanism = \"webhook\""),
        ("20/s", "1000000/s"),
        ("\"60s\"", "\"23h\"\nrepeats = 10"),
    ]));
}

#[test]
fn numbers_of_blocks_that_cannot_be() {
    let with = |more: &str| format!("\"60s\"\n{more}");
    let cases = [
        with("precision = 5"),
        with("precision = \"5\""),
        with("precision = \"0%\""),
        with("precision = \"101%\""),
        with("precision = \"5%\"\nrepeats = 10"),
        with("precision = \"5%\"\nmeasure = \"latency.max\""),
        with("precision = \"5%\"\nmax-repeats = 5"),
        with("precision = \"5%\"\nmax-repeats = 1001"),
        with("measure = \"latency.p99\""),
        with("repeats = 10\nmax-repeats = 20"),
        "\"3h\"\nprecision = \"5%\"".to_owned(),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|to| ("\"60s\"", to.as_str())).collect();
    insta::assert_snapshot!(shown(&cases));
}

#[test]
fn a_number_of_blocks_and_a_precision_replace_each_other_beside_the_file() {
    let precise = RIGHT.replace(
        "\"60s\"",
        "\"60s\"\nprecision = \"5%\"\nmeasure = \"latency.mean\"\nmax-repeats = 9",
    );
    let read = |text: &str, overrides: &[&str]| {
        let scenario = read(text, overrides).expect("right");
        let rule = scenario.stopping.map(|rule| format!("{} {}", rule.measure, rule.precision));
        (scenario.repeats, rule.unwrap_or_default())
    };
    let rule = |text: &str| text.to_owned();
    assert_eq!(read(&precise, &[]), (9, rule("latency.mean 5%")));
    assert_eq!(read(&precise, &["run.repeats=3"]), (3, String::new()));
    assert_eq!(read(&precise, &["run.measure=cpu.per_event"]), (9, rule("cpu.per_event 5%")));
    let fixed = RIGHT.replace("\"60s\"", "\"60s\"\nrepeats = 3");
    assert_eq!(read(&fixed, &["run.precision=1%"]), (60, rule("latency.p50 1%")));
    let last = ["run.precision=1%", "run.repeats=4"];
    assert_eq!(read(&fixed, &last), (4, String::new()));
}

#[test]
fn arrivals_that_cannot_be() {
    let rate = "rate = \"20/s\"";
    let with = |more: &str| format!("{rate}\n{more}");
    let uv = "arrivals = \"trace\"\nfile = \"traces/uv-main-2026-07.csv\"";
    let cases = [
        with("arrivals = 7"),
        with("arrivals = { batch = { size = 10 } }"),
        with("batch-size = 10"),
        with("arrivals = \"constant\"\namplitude = 0.5"),
        with("arrivals = \"batch\"\nbatch-sice = 10"),
        with("arrivals = \"batch\"\nbatch-size = 0"),
        with("arrivals = \"batch\"\nbatch-size = 2.5"),
        with("arrivals = \"on-off\"\nmean-on = \"0s\""),
        with("arrivals = \"on-off\"\nmean-off = 9"),
        with("arrivals = \"on-off\"\nmean-off = \"60h\""),
        with("arrivals = \"diurnal\"\namplitude = 1.5"),
        with("arrivals = \"diurnal\"\namplitude = nan"),
        with("arrivals = \"diurnal\"\nday = \"0s\""),
        with("arrivals = \"pareto\"\nalpha = 1"),
        with("arrivals = \"pareto\"\nsources = 0"),
        with("arrivals = \"lognormal\"\nvariation = inf"),
        "arrivals = \"on-off\"".to_owned(),
        "arrivals = \"trace\"".to_owned(),
        with(uv),
        "arrivals = \"trace\"\nfile = \"../secret.csv\"".to_owned(),
        "arrivals = \"trace\"\nfile = \"/etc/passwd\"".to_owned(),
        "arrivals = \"trace\"\nfile = \"traces/none.csv\"".to_owned(),
        format!("{uv}\ncolumn = \"day\""),
        format!("{uv}\ntime-scale = 0"),
        format!("{uv}\ntime-scale = 1e9"),
        format!("{uv}\ntime-scale = 86400"),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|to| (rate, to.as_str())).collect();
    insta::assert_snapshot!(shown(&cases));
}

#[test]
fn arrivals_are_read_with_and_without_their_parameters() {
    for (more, overrides, expected) in [
        ("", &[][..], r#""poisson""#),
        ("arrivals = \"batch\"", &[], r#"{"batch":{"batch-size":10}}"#),
        ("arrivals = \"batch\"", &["events.batch-size=3"], r#"{"batch":{"batch-size":3}}"#),
        ("", &["events.batch-size=3", "events.arrivals=batch"], r#"{"batch":{"batch-size":3}}"#),
        (
            "arrivals = \"diurnal\"\nday = \"1min\"",
            &[],
            r#"{"diurnal":{"amplitude":0.5,"day":"1m"}}"#,
        ),
    ] {
        let text = RIGHT.replacen("rate =", &format!("{more}\nrate ="), 1);
        let scenario = read(&text, overrides).expect(more);
        let arrivals = serde_json::to_string(&scenario.points[0].events.arrivals).expect("JSON");
        assert_eq!(arrivals, expected);
    }
}

#[test]
fn arrivals_and_their_parameters_can_be_swept() {
    let arrivals = |text: &str| -> Vec<String> {
        let scenario = read(text, &[]).expect(text);
        let json = |point: &crate::scenario::ScenarioPoint| {
            serde_json::to_string(&point.events.arrivals).expect("JSON")
        };
        scenario.points.iter().map(json).collect()
    };
    let shapes = format!("{RIGHT}[sweep]\n'events.arrivals' = ['constant', 'batch']\n");
    assert_eq!(arrivals(&shapes), [r#""constant""#, r#"{"batch":{"batch-size":10}}"#]);
    let sizes = format!("{shapes}'events.batch-size' = [1, 2]\n");
    assert!(read(&sizes, &[]).is_err(), "constant arrivals have no batches");
    let sizes = sizes.replace("'constant', ", "");
    assert_eq!(
        arrivals(&sizes),
        [r#"{"batch":{"batch-size":1}}"#, r#"{"batch":{"batch-size":2}}"#]
    );
}

#[test]
fn a_trace_has_its_own_rate_and_a_window_no_longer_than_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("traces")).expect("a folder");
    let trace: Vec<String> = (0..=1_000).map(|second| second.to_string()).collect();
    std::fs::write(folder.path().join("traces/a.txt"), trace.join("\n")).expect("a file");
    let file = folder.path().join("a.toml");
    let write = |duration: &str| {
        let events = "arrivals = \"trace\"\nfile = \"traces/a.txt\"\ntime-scale = 10";
        let text = RIGHT.replace("rate = \"20/s\"", events).replace("60s", duration);
        std::fs::write(&file, text).expect("a file");
    };
    write("99s");
    let scenario = load(&file, &[]).expect("right");
    let events = &scenario.points[0].events;
    assert_eq!(events.rate.to_string(), "10.01/s");
    let second = std::time::Duration::from_secs(1);
    assert!((events.expected(second, 99 * second) - 980.0).abs() < f64::EPSILON);
    write("100s");
    let error = load(&file, &[]).expect_err("101 s of 100 s").to_string();
    assert!(error.contains("write `duration = \"1m 39s\"`"), "{error}");
}

#[test]
fn sweeps_that_mean_nothing() {
    let swept = |sweep: &str| format!("{RIGHT}\n[sweep]\n{sweep}\n");
    let numbers: Vec<String> = (1..=1001).map(|n| format!("\"{n}/s\"")).collect();
    let mut shown = String::new();
    for sweep in [
        "events.rate = [\"1/s\"]",
        "\"events.rte\" = [\"1/s\"]",
        "\"events.rate\" = \"1/s\"",
        "\"events.rate\" = []",
        "\"events.rate\" = [\"1/s\", [\"2/s\"]]",
        "\"events.rate\" = [\"1/s\", \"1/s\"]",
        "\"events.rate\" = [\"1/s\", \"0/s\", 3]",
        "\"events.rate\" = [\"1/s\"]\n\"events . rate\" = [\"2/s\"]",
        "\"run.seed\" = [1, 2]",
        "\"strategy.poll.mechanism\" = [\"poll\", \"webhook\"]",
        "\"strategy.pol.every\" = [\"1s\"]",
        "\"strategy.poll.limit\" = [10, 0]",
        "\"strategy poll\" = [10]",
        "\"events.rate\" = [\"1/s\"]\nzip = \"events.rate\"",
        "\"events.rate\" = [\"1/s\"]\nzip = [\"events.rate\"]",
        "\"events.rate\" = [\"1/s\"]\nzip = [\"events.rate\", \"run.duration\"]",
        "\"events.rate\" = [\"1/s\"]\nzip = [\"events.rate\", \"events.rate\"]",
        "\"events.rate\" = [\"1/s\"]\n\"run.duration\" = [\"1s\", \"2s\"]\n\
         zip = [\"events.rate\", \"run.duration\"]",
        "\"events.rate\" = [\"1/s\"]\n\"run.duration\" = [\"1s\"]\n\
         zip = [[\"events.rate\", \"run.duration\"], [\"run.duration\", \"events.rate\"]]",
        &format!("\"events.rate\" = [{}]", numbers.join(", ")),
    ] {
        let error = read(&swept(sweep), &[]).expect_err(sweep);
        assert!(!error.positions().is_empty(), "no position: {error}");
        writeln!(shown, "{error}\n").expect("writing to memory");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn values_beside_the_file_that_mean_nothing() {
    insta::assert_snapshot!(shown_overrides(&[
        &["events.rate"],
        &["a b=1"],
        &["events.rte=5/s"],
        &["nothing.at.all=5"],
        &["strategy.hook.every=5s"],
        &["strategy.poll.name=x"],
        &["strategy.poll.concurrency=5"],
        &["events.rate=5"],
        &["run.repeats=three"],
        &["run.duration=0s"],
        &["run.layout=alone"],
        &["sweep.events.rate=[\"1/s\"]"],
        &["sweep.\"events.rate\"=[\"1/s\", \"0/s\"]"],
        &["sweep.\"events.rate\"=[\"1/s\"]", "events.rate=5/s"],
        &["title=\u{1b}[31m"],
    ]));
}

#[test]
fn large_and_hostile_texts_are_refused_before_anybody_gets_bored() {
    let many = |line: &dyn Fn(usize) -> String| (0..8_000).map(line).collect::<String>();
    let numbers = many(&|n| format!("\"{n}/s\","));
    for text in [
        many(&|n| format!("key{n} = 1\n")),
        format!("{RIGHT}[sweep]\n'events.rate' = [{numbers}]\n"),
        format!(
            "{RIGHT}[sweep]\n'run.duration' = ['1s', '2s']\n{}",
            many(&|n| format!("k{n} = 1\n"))
        ),
        many(&|_| "[[strategy]]\nname = 'a'\n".to_owned()),
        RIGHT.replace("20/s", &"9".repeat(200_000)),
        format!("{}{RIGHT}", "\n".repeat(200_000)).replace("20/s", "0/s"),
        format!("{}b=1", "a.".repeat(100_000)),
        "[".repeat(200_000),
        "\"".repeat(200_000),
    ] {
        let error = read(&text, &[]).expect_err("refused");
        let shown = error.render(false);
        assert!(!error.positions().is_empty() && shown.len() < 20_000, "{shown}");
    }
}

#[test]
fn several_errors_are_shown_at_once() {
    let text = RIGHT.replace("rate =", "rte =").replace("60s", "60").replace("every", "evry");
    let error = read(&text, &[]).expect_err("three errors");
    let lines: Vec<usize> = error.positions().iter().map(|position| position.line).collect();
    // A typo is told once: not also as the required key that it leaves missing.
    assert_eq!(lines, [4, 7, 12]);
}

#[test]
fn seventeen_strategies_are_too_many() {
    let mut text = RIGHT.to_owned();
    for n in 0..16 {
        write!(text, "[[strategy]]\nname = 'w{n}'\nmechanism = 'webhook'\n").expect("memory");
    }
    let error = read(&text, &[]).expect_err("17 strategies");
    assert_eq!(error.messages(), ["17 strategies are too many"]);
    assert_eq!(error.positions()[0].line, 58);
}

#[test]
fn line_ends_and_marks_of_other_systems_are_read() {
    for text in [RIGHT.replace('\n', "\r\n"), format!("\u{feff}{RIGHT}")] {
        let scenario = read(&text, &[]).expect("right");
        assert_eq!(scenario.text, text);
        let error = read(&text.replace("20/s", "0/s"), &[]).expect_err("no rate");
        assert_eq!((error.positions()[0].line, error.positions()[0].column), (4, 8));
    }
}

#[test]
fn values_beside_the_file_take_the_place_of_its_own() {
    let given = ["events.rate=5/s", "run.repeats=3", "strategy.poll.every=2s", "run.drain=3s"];
    let scenario = read(RIGHT, &given).expect("right");
    assert_eq!(scenario.points[0].events.rate.to_string(), "5/s");
    assert_eq!(scenario.repeats, 3);
    assert_eq!(scenario.points[0].drain.as_secs(), 3);
    assert_eq!(scenario.points[0].strategies[0].strategy.settings()["every"], "2s");
    assert_eq!(scenario.overrides, given);
}

#[test]
fn a_sweep_is_every_combination_in_the_order_of_the_file() {
    let sweep = "[sweep]\n'run.duration' = ['1s', '2s']\n'events.rate' = ['3/s', '4/s']\n";
    let scenario = read(&format!("{RIGHT}{sweep}"), &[]).expect("right");
    let points: Vec<String> = scenario
        .points
        .iter()
        .map(|point| format!("{} {:?}", point.events.rate, point.window))
        .collect();
    assert_eq!(points, ["3/s 1s", "4/s 1s", "3/s 2s", "4/s 2s"]);
    assert_eq!(scenario.points[1].parameters["events.rate"], "4/s");
}

#[test]
fn zipped_settings_change_together() {
    let sweep = "[sweep]\n'run.duration' = ['1s', '2s']\n'events.rate' = ['3/s', '4/s']\n\
                 'run.warm-up' = ['5s', '6s']\n";
    for zip in ["['run.warm-up', 'run.duration']", "[['run.duration', 'run.warm-up']]"] {
        let scenario = read(&format!("{RIGHT}{sweep}zip = {zip}\n"), &[]).expect("right");
        let points: Vec<String> = scenario
            .points
            .iter()
            .map(|point| format!("{:?} {:?} {}", point.warm_up, point.window, point.events.rate))
            .collect();
        assert_eq!(points, ["5s 1s 3/s", "5s 1s 4/s", "6s 2s 3/s", "6s 2s 4/s"]);
        let named: Vec<&String> = scenario.points[3].parameters.keys().collect();
        assert_eq!(named, ["events.rate", "run.duration", "run.warm-up"]);
    }
    let whole = format!("{RIGHT}{sweep}zip = ['run.warm-up', 'run.duration', 'events.rate']\n");
    assert_eq!(read(&whole, &[]).expect("right").points.len(), 2);
}

#[test]
fn pinning_and_spinning_can_be_swept() {
    let sweep = "[sweep]\n'run.pin' = [false, true]\n'run.spin' = ['0ms', '100us']\n";
    let scenario = read(&format!("{RIGHT}{sweep}"), &[]).expect("right");
    let points: Vec<(bool, u128)> =
        scenario.points.iter().map(|point| (point.pin, point.spin.as_micros())).collect();
    assert_eq!(points, [(false, 0), (false, 100), (true, 0), (true, 100)]);
}

#[test]
fn files_that_are_no_scenario() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let dangling = folder.path().join("dangling.toml");
    std::os::unix::fs::symlink("nowhere", &dangling).expect("a link");
    let latin = [&RIGHT.as_bytes()[..8], b"\xe9", &RIGHT.as_bytes()[8..]].concat();
    let mut shown = String::new();
    for path in [
        folder.path().to_owned(),
        dangling,
        folder.path().join("quickstar"),
        write("large.toml", &vec![b'#'; (1 << 20) + 1]),
        write("latin.toml", &latin),
        "/dev/zero".into(),
        write("empty.toml", b""),
        "a\0b.toml".into(),
    ] {
        let error = load(&path, &[]).expect_err("no scenario");
        writeln!(shown, "{error}\n").expect("writing to memory");
    }
    let shown = shown.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_link_to_a_scenario_is_followed_and_a_file_comes_before_a_built_in_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("right.toml");
    std::fs::write(&file, RIGHT).expect("a file");
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert_eq!(load(&link, &[]).expect("right").title, "t");
    let built_in = load(Path::new("quickstart"), &[]).expect("built in");
    assert_eq!(built_in.text, BUILT_IN[0].text);
}

proptest! {
    #[test]
    fn any_text_is_refused_or_read(text in any::<String>()) {
        let _ = read(&text, &[&text]).map_err(|error| error.render(true));
    }

    #[test]
    fn any_replacement_in_a_scenario_is_refused_or_read(
        place in 0..RIGHT.len(),
        length in 0..20_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let end = (place + length).min(RIGHT.len());
        let bytes = [&RIGHT.as_bytes()[..place], &bytes, &RIGHT.as_bytes()[end..]].concat();
        let text = String::from_utf8_lossy(&bytes);
        let _ = read(&text, &[]).map_err(|error| error.render(false));
    }

    #[test]
    fn any_file_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("a file");
        let _ = load(file.path(), &[]).map_err(|error| error.to_string());
    }

    #[test]
    fn any_value_beside_the_file_is_refused_or_read(value in any::<String>()) {
        for path in ["events.rate", "run.duration", "sweep.'run.duration'", "strategy.poll.every"] {
            let _ = read(RIGHT, &[&format!("{path}={value}")]).map_err(|error| error.to_string());
        }
    }
}

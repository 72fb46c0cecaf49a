//! Scenario files that are wrong on purpose: each is refused at its place, quickly, in little
//! memory.
//!
//! The table is read in a process of its own, so that its time and its memory are nobody else's.
//! `just malformed` gives every file to the program as it is used, and measures it from outside.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use pollpush::clock;
use pollpush::scenario::load;
use procfs::process::Process;

use crate::program::pollpush;

/// How many files there are at least.
const FEWEST: usize = 200;

/// The CPU time that one file may take: 100 ms; without optimisation, where the parser alone takes
/// more than a second for a megabyte, no more than tells work that grows with the square of a file.
const MOST_CPU: Duration = Duration::from_millis(if cfg!(debug_assertions) { 30_000 } else { 100 });

/// The memory that the process may take for one file beyond what it has before: 50 MB; without
/// optimisation stack frames are larger, and a tree of 300,000 tables is taken apart by recursion.
const MOST_MEMORY: u64 = if cfg!(debug_assertions) { 100_000_000 } else { 50_000_000 };

/// The variable that makes a test do its work itself, in a process of its own.
const INSIDE: &str = "POLLPUSH_TEST_MALFORMED";

/// The variable that names a program, built with optimisation, that is to be measured.
const PROGRAM: &str = "POLLPUSH_TEST_PROGRAM";

/// The time from start to end that the measured program may take for one file.
const MOST_TIME: Duration = Duration::from_millis(100);

/// The memory that it may take for one file at its peak.
const MOST_OUTSIDE: u64 = 50_000_000;

/// A scenario in parts: what each table is called here, its header, and its lines.
type Part = (&'static str, &'static str, Vec<(String, String)>);

fn right() -> Vec<Part> {
    let lines = |lines: &[(&str, &str)]| {
        lines.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    vec![
        ("top", "", lines(&[("title", "'t'")])),
        ("events", "[events]", lines(&[("rate", "'20/s'")])),
        ("run", "[run]", lines(&[("duration", "'60s'")])),
        ("network", "[network]", lines(&[("rtt", "'1ms'")])),
        (
            "poll",
            "[[strategy]]",
            lines(&[("name", "'poll'"), ("mechanism", "'poll'"), ("every", "'1s'")]),
        ),
        ("webhook", "[[strategy]]", lines(&[("name", "'hook'"), ("mechanism", "'webhook'")])),
        ("sse", "[[strategy]]", lines(&[("name", "'stream'"), ("mechanism", "'sse'")])),
        ("objective", "[objective]", lines(&[("minimise", "'requests.per_event'")])),
        ("prices", "[prices]", lines(&[("currency", "'USD'"), ("source-per-gb", "1")])),
        ("threshold", "[[threshold]]", lines(&[("expect", "'poll: loss = 0'")])),
    ]
}

fn text(parts: &[Part]) -> String {
    let mut text = String::new();
    for (_, header, lines) in parts {
        writeln!(text, "{header}").unwrap();
        for (key, value) in lines {
            writeln!(text, "{key} = {value}").unwrap();
        }
    }
    text
}

/// The right scenario with a line that is added to a part, or takes the place of one.
fn with(part: &str, key: &str, value: &str) -> String {
    let mut parts = right();
    let (_, _, lines) = parts.iter_mut().find(|(name, ..)| *name == part).unwrap();
    lines.retain(|(known, _)| known != key);
    lines.push((key.to_owned(), value.to_owned()));
    text(&parts)
}

/// A file, and what is wrong with it.
struct Case {
    about: String,
    bytes: Vec<u8>,
}

impl Case {
    fn new(about: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
        Case { about: about.into(), bytes: bytes.into() }
    }
}

const DURATIONS: [&str; 12] = [
    "7",
    "true",
    "[]",
    "{}",
    "1979-05-27",
    "''",
    "'s'",
    "'-1s'",
    "'NaNs'",
    "'1e308s'",
    "'9223372036854775808s'",
    "'99999999999999999999999h'",
];
const RATES: [&str; 14] = [
    "7",
    "true",
    "[]",
    "{}",
    "''",
    "'/s'",
    "'0/s'",
    "'-1/s'",
    "'NaN/s'",
    "'inf/s'",
    "'1e308/s'",
    "'1e-308/s'",
    "'9223372036854775808/s'",
    "'1/fortnight'",
];
const SIZES: [&str; 9] =
    ["7", "true", "[]", "''", "'-1 B'", "'0 B'", "'NaN KiB'", "'1e308 GiB'", "'99999999999 TiB'"];
const WHOLES: [&str; 10] = [
    "'3'",
    "-1",
    "1.5",
    "true",
    "[]",
    "{}",
    "nan",
    "9223372036854775807",
    "99999999999999999999",
    "'10⁹'",
];
const NUMBERS: [&str; 7] = ["'3'", "true", "[]", "{}", "nan", "inf", "-1"];
const FLAGS: [&str; 5] = ["'yes'", "1", "[]", "{}", "1979-05-27"];
const TEXTS: [&str; 6] = ["7", "true", "[]", "{}", "''", "nan"];

/// Every key of every table, with values that it cannot have.
fn wrong_values() -> Vec<Case> {
    let keys: [(&str, &[&str], &[&str]); 24] = [
        ("top", &["title", "question"], &TEXTS),
        ("events", &["rate"], &RATES),
        ("events", &["payload"], &SIZES),
        ("events", &["arrivals"], &TEXTS),
        ("run", &["duration", "warm-up", "drain", "spin"], &DURATIONS),
        ("run", &["repeats", "max-repeats", "seed"], &WHOLES),
        ("run", &["pin"], &FLAGS),
        ("run", &["layout", "measure", "precision"], &TEXTS),
        ("network", &["rtt"], &DURATIONS),
        ("poll", &["every", "poll-interval-hint"], &DURATIONS),
        ("poll", &["limit", "subscribers"], &WHOLES),
        ("poll", &["conditional", "obey", "keep-alive", "tls", "tls-resume"], &FLAGS),
        ("poll", &["jitter"], &NUMBERS),
        ("poll", &["beat", "client", "resource", "adaptive", "rate-limit", "http", "auth"], &TEXTS),
        ("webhook", &["timeout"], &DURATIONS),
        ("webhook", &["concurrency"], &WHOLES),
        ("webhook", &["ordered"], &FLAGS),
        ("webhook", &["retry-budget", "time-scale"], &NUMBERS),
        ("webhook", &["payload", "sign", "batch", "retries"], &["7", "true", "''", "{}", "nan"]),
        ("sse", &["heartbeat", "reconnect", "max-age"], &DURATIONS),
        ("sse", &["replay"], &FLAGS),
        ("objective", &["minimise", "require"], &["7", "true", "{}", "''", "['x']"]),
        ("prices", &["currency"], &TEXTS),
        ("threshold", &["expect"], &TEXTS),
    ];
    let mut cases = Vec::new();
    for (part, keys, values) in keys {
        for key in keys {
            for value in values {
                cases.push(Case::new(format!("{part}.{key} = {value}"), with(part, key, value)));
            }
        }
    }
    cases
}

/// Keys that do not exist, in every table.
fn unknown_keys() -> Vec<Case> {
    let inner = [
        ("poll", "adaptive", "{ min = '1s', max = '2s', fastor = 2 }"),
        ("poll", "rate-limit", "{ rate = '1/s', burst = 1, per = 2 }"),
        ("poll", "rate-limit", "{ rate = '1/s', burst = 1000000000000 }"),
        ("webhook", "batch", "{ linger = '1ms', most = 3 }"),
        ("webhook", "batch", "{ linger = '1ms', max = 1000000000 }"),
        ("webhook", "receiver", "{ handel = '2ms' }"),
        ("webhook", "receiver", "{ workers = 1000000000 }"),
        ("webhook", "receiver", "{ fail = nan }"),
        ("webhook", "receiver", "{ outage = { at = '1s', until = '2s' } }"),
        ("webhook", "retries", "['-1s']"),
        ("webhook", "retries", "[1, 2]"),
    ];
    let unknown = right().into_iter().flat_map(|(part, ..)| {
        [("evry", "1"), ("\"\\u0000\"", "1"), ("\"../key\"", "1"), ("\"\"", "1")]
            .map(|(key, value)| Case::new(format!("{part}: {key}"), with(part, key, value)))
    });
    let inner = inner.map(|(part, key, value)| Case::new(value, with(part, key, value)));
    unknown.chain(inner).collect()
}

/// What is no TOML, or more of it than anybody needs.
#[expect(clippy::too_many_lines, reason = "a table, a line an entry")]
fn wrong_texts() -> Vec<Case> {
    let right = text(&right());
    let behind = |more: &str| format!("{right}{more}\n");
    let many = |line: &dyn Fn(usize) -> String, count: usize| (0..count).map(line).collect();
    let numbers: String = many(&|n| format!("'{n}/s',"), 8_000);
    let strategies: String =
        many(&|n| format!("[[strategy]]\nname = 'w{n}'\nmechanism = 'webhook'\n"), 9_000);
    let keys: String = many(&|n| format!("key{n} = 1\n"), 60_000);
    [
        ("an empty file", String::new()),
        ("a line feed", "\n".to_owned()),
        ("a byte order mark alone", "\u{feff}".to_owned()),
        ("two byte order marks", format!("\u{feff}\u{feff}{right}")),
        ("a byte order mark within", behind("\u{feff}x = 1")),
        ("a NUL in a text", right.replace("'t'", "'t\0'")),
        ("an escaped NUL in a title", right.replace("'t'", "\"t\\u0000\"")),
        ("an escape sequence in a name", right.replace("'poll'\n", "\"\\u001b[31mpoll\"\n")),
        ("a NUL between lines", right.replace("[run]", "\0[run]")),
        ("a lone surrogate", right.replace("'t'", "\"\\ud800\"")),
        ("a form feed", right.replace("[run]", "\u{c}[run]")),
        ("the same key twice", right.replace("rate =", "rate = '1/s'\nrate =")),
        ("the same table twice", behind("[run]\nseed = 1")),
        ("a table that is a list elsewhere", behind("[strategy]\nname = 'x'")),
        ("a list that is a table elsewhere", behind("[[run]]\nseed = 1")),
        ("the same name twice", right.replace("'hook'", "'poll'")),
        ("a dotted key over a table", behind("run.seed = 1")),
        ("no equals sign", right.replace("rate =", "rate")),
        ("no value", right.replace("rate = '20/s'", "rate =")),
        ("an open text", right.replace("'20/s'", "'20/s")),
        ("an open text of several lines", right.replace("'t'", "'''t")),
        ("an open list", behind("[sweep]\n'events.rate' = ['1/s'")),
        ("an open table", right.replace("[events]", "[events")),
        ("JSON", r#"{"title": "t", "events": {"rate": "20/s"}}"#.to_owned()),
        ("YAML with anchors", "a: &a [x]\nb: [*a, *a]\n".to_owned()),
        ("XML with an entity", "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>".to_owned()),
        ("a page of HTML", "<html></html>".to_owned()),
        ("a script", "#!/bin/sh\nrm -rf /\n".to_owned()),
        ("lists nested without end", format!("x = {}", "[".repeat(500_000))),
        ("lists nested deep", format!("x = {}{}", "[".repeat(79), "]".repeat(79))),
        ("tables nested without end", format!("x = {}", "{a=".repeat(300_000))),
        ("tables nested deep", format!("x = {}1{}", "{a=".repeat(79), "}".repeat(79))),
        ("a key of many parts", format!("{}b = 1", "a.".repeat(400_000))),
        ("headers of many parts", format!("[{}b]", "a.".repeat(400_000))),
        ("dots and braces", format!("{}c=1{}", format!("{}b={{", "a.".repeat(75)).repeat(75), "}".repeat(75))),
        ("quotation marks", "\"".repeat(1_000_000)),
        ("a rate of many digits", right.replace("20/s", &format!("{}/s", "9".repeat(900_000)))),
        ("a seed of many digits", with("run", "seed", &"9".repeat(900_000))),
        ("a name of many letters", with("poll", "name", &format!("'{}'", "a".repeat(900_000)))),
        ("a title of many letters", right.replace("'t'", &format!("'{}'", "ä".repeat(400_000)))),
        ("a wrong line behind many", format!("{}x = 1", "\n".repeat(1_000_000))),
        ("keys by the thousand", keys),
        ("strategies by the thousand", format!("{right}{strategies}")),
        ("a sweep of thousands", behind(&format!("[sweep]\n'events.rate' = [{numbers}]"))),
        ("a sweep of a million points", behind(
            "[sweep]\n'events.rate' = ['1/s', '2/s', '3/s', '4/s', '5/s', '6/s', '7/s', '8/s', '9/s', '10/s']\n\
             'run.duration' = ['1s', '2s', '3s', '4s', '5s', '6s', '7s', '8s', '9s', '10s']\n\
             'run.warm-up' = ['1s', '2s', '3s', '4s', '5s', '6s', '7s', '8s', '9s', '10s']\n\
             'network.rtt' = ['1ms', '2ms', '3ms', '4ms', '5ms', '6ms', '7ms', '8ms', '9ms', '10ms']\n\
             'strategy.poll.every' = ['1s', '2s', '3s', '4s', '5s', '6s', '7s', '8s', '9s', '10s']\n\
             'strategy.poll.limit' = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]")),
        ("a sweep over nothing", behind("[sweep]\n'events.rate' = []")),
        ("a sweep over a path", behind("[sweep]\n'../events.rate' = ['1/s']")),
        ("a sweep over a name of a strategy", behind("[sweep]\n'strategy.poll.name' = ['a', 'b']")),
        ("a sweep over a value and a list", behind("[sweep]\n'events.rate' = ['1/s', ['2/s']]")),
        ("a zip of nothing", behind("[sweep]\n'events.rate' = ['1/s']\nzip = ['events.rate']")),
        ("a thousand million subscribers", with("poll", "subscribers", "1000000000")),
        ("more deliveries than there is time for", with("events", "rate", "'1000000/s'")),
        ("a window of years", with("run", "duration", "'9000h'")),
        ("a run of years", with("run", "duration", "'24h'").replace("[network]", "repeats = 1000\n[network]")),
        ("a round trip to another planet", with("network", "rtt", "'20min'")),
        ("polls that never come", with("poll", "every", "'9000h'")),
        ("no strategy", right[..right.find("[[strategy]]").unwrap()].to_owned()),
        ("a mechanism from afar", with("webhook", "mechanism", "'http://192.0.2.1/'")),
        ("a mechanism that is a path", with("webhook", "mechanism", "'../../bin/sh'")),
        ("a URL where none is", with("webhook", "url", "'http://169.254.169.254/'")),
    ]
    .map(|(about, text)| Case::new(about, text))
    .into()
}

/// What is no text.
fn wrong_bytes() -> Vec<Case> {
    let right = text(&right()).into_bytes();
    let place = right.iter().position(|byte| *byte == b't').unwrap();
    let with = |bytes: &[u8]| [&right[..place], bytes, &right[place..]].concat();
    [
        ("Latin-1", with(b"\xe9")),
        ("an overlong slash", with(b"\xc0\xaf")),
        ("an overlong NUL", with(b"\xc0\x80")),
        ("a surrogate", with(b"\xed\xa0\x80")),
        ("beyond Unicode", with(b"\xf4\x90\x80\x80")),
        ("a byte that begins nothing", with(b"\xff")),
        ("a beginning without an end", [&right[..], b"\xe2\x82"].concat()),
        ("UTF-16", right.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("UTF-16 with its mark", [&b"\xff\xfe"[..], &right].concat()),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec()),
        ("a program", b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00".to_vec()),
        ("a million bytes of nothing", vec![0; 1_000_000]),
        ("a million wrong bytes", vec![0xff; 1_000_000]),
    ]
    .map(|(about, bytes)| Case::new(about, bytes))
    .into()
}

/// Traces that are none, or are not where they should be; `folder` is the scenario's.
#[expect(clippy::too_many_lines, reason = "a table, a line an entry")]
fn traces(folder: &Path) -> Vec<Case> {
    let traces = folder.join("traces");
    fs::create_dir(&traces).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(traces.join(name), bytes).unwrap();
    for (name, bytes) in [
        ("empty.csv", &b""[..]),
        ("one.csv", b"1\n"),
        ("same.csv", b"1\n1\n"),
        ("back.csv", b"2\n1\n"),
        ("words.csv", b"time\nnoon\n"),
        ("mixed.csv", b"1\n2026-07-01T00:47:37Z\n"),
        ("nul.csv", b"1\n\0\n2\n"),
        ("latin.csv", b"1\n\xe9\n2\n"),
        ("years.csv", b"1\n99999999999999999999\n"),
        ("negative.csv", b"-1\n2\n"),
        ("quote.csv", b"\"1\n2\n"),
    ] {
        write(name, bytes);
    }
    write("long.csv", &vec![b'1'; 1 << 20]);
    fs::File::create(traces.join("huge.csv")).unwrap().set_len(1 << 40).unwrap();
    fs::write(folder.parent().unwrap().join("secret.csv"), "1\n2\n3\n").unwrap();
    fs::create_dir(traces.join("folder.csv")).unwrap();
    symlink("../../secret.csv", traces.join("out.csv")).unwrap();
    symlink("/dev/zero", traces.join("device.csv")).unwrap();
    symlink("loop.csv", traces.join("loop.csv")).unwrap();
    symlink("nowhere.csv", traces.join("dangling.csv")).unwrap();
    symlink("..", traces.join("up")).unwrap();
    let names = [
        "empty.csv",
        "one.csv",
        "same.csv",
        "back.csv",
        "words.csv",
        "mixed.csv",
        "nul.csv",
        "latin.csv",
        "years.csv",
        "negative.csv",
        "quote.csv",
        "long.csv",
        "huge.csv",
        "folder.csv",
        "out.csv",
        "device.csv",
        "loop.csv",
        "dangling.csv",
        "up/../secret.csv",
        "up/../../secret.csv",
        "../../secret.csv",
        "../traces/../../secret.csv",
        "absent.csv",
    ];
    let inside = names.map(|name| format!("traces/{name}"));
    let outside = [
        "../secret.csv",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/stdin",
        "secret.csv",
        ".",
        "",
        "traces",
        "traces/",
        "./traces/one.csv/..",
        "//etc/passwd",
        "~/.ssh/id_rsa",
        "file:///etc/passwd",
        "http://192.0.2.1/trace.csv",
        "traces\\\\..\\\\secret.csv",
        "traces/a\\u0000.csv",
        "traces/\\u001b[31m.csv",
    ];
    let paths = inside.iter().map(String::as_str).chain(outside);
    paths
        .map(|path| {
            let events = format!("arrivals = \"trace\"\nfile = \"{path}\"");
            Case::new(path, text(&right()).replace("rate = '20/s'", &events))
        })
        .collect()
}

fn cases(folder: &Path) -> Vec<Case> {
    let cases = [wrong_values(), unknown_keys(), wrong_texts(), wrong_bytes(), traces(folder)];
    cases.into_iter().flatten().collect()
}

/// A folder inside a folder, so that there is an outside.
fn place() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("scenarios");
    fs::create_dir(&folder).unwrap();
    (outer, folder)
}

/// The most memory that the process had since the peak was forgotten, in bytes.
fn peak() -> u64 {
    Process::myself().unwrap().status().unwrap().vmhwm.unwrap() * 1024
}

/// Lets the peak begin anew at what the process has now, and says how much that is.
fn forget_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

/// Reads the whole table; says what is wrong with what was said.
fn read_the_table() -> Vec<String> {
    let (_outer, folder) = place();
    let cases = cases(&folder);
    assert!(cases.len() >= FEWEST, "{} are not enough", cases.len());
    let file = folder.join("scenario.toml");
    fs::write(&file, text(&right())).unwrap();
    load(&file, &[]).unwrap();
    let mut wrong = Vec::new();
    for Case { about, bytes } in &cases {
        fs::write(&file, bytes).unwrap();
        let had = forget_peak();
        let before = clock::process_cpu();
        let loaded = load(&file, &[]);
        let shown = loaded.as_ref().err().map(|error| error.render(false));
        let took = Duration::from_nanos(clock::process_cpu() - before);
        let (Err(error), Some(shown)) = (loaded, shown) else {
            wrong.push(format!("{about}: it is taken"));
            continue;
        };
        if error.positions().is_empty() {
            wrong.push(format!("{about}: no place: {shown}"));
        }
        if took > MOST_CPU {
            wrong.push(format!("{about}: it took {took:?}"));
        }
        let more = peak().saturating_sub(had);
        if more > MOST_MEMORY {
            wrong.push(format!("{about}: it took {more} bytes"));
        }
        let is_plain = |sign: char| sign == '\n' || !sign.is_control();
        if shown.len() > 20_000 || !shown.chars().all(is_plain) {
            wrong.push(format!("{about}: it is shown in {} bytes", shown.len()));
        }
    }
    wrong
}

/// Runs the test of this name in a process of its own, which is told this, and returns what it
/// said.
fn alone(name: &str, told: &OsStr) -> String {
    let mut alone = Command::new(std::env::current_exe().unwrap());
    alone.args(["--exact", &format!("malformed::{name}"), "--nocapture"]).env(INSIDE, told);
    let output = alone.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{cried}");
    said
}

#[test]
fn every_malformed_file_is_refused_at_its_place_quickly_and_in_little_memory() {
    if std::env::var_os(INSIDE).is_some() {
        let wrong = read_the_table();
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
        return;
    }
    let name = "every_malformed_file_is_refused_at_its_place_quickly_and_in_little_memory";
    alone(name, "1".as_ref());
}

/// Whether a text names a line and a column of a file.
fn is_placed(said: &str, file: &Path) -> bool {
    let place = format!("{}:", file.display());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|sign| sign.is_ascii_digit());
    said.lines().filter_map(|line| line.split_once(&place)).any(|(_, behind)| {
        behind.split_once(':').is_some_and(|(line, column)| is_number(line) && is_number(column))
    })
}

/// Writes every file of the table; what each is about, and where it lies.
fn written(folder: &Path) -> Vec<(String, PathBuf)> {
    let write = |(number, case): (usize, Case)| {
        let file = folder.join(format!("{number}.toml"));
        fs::write(&file, case.bytes).unwrap();
        (case.about, file)
    };
    cases(folder).into_iter().enumerate().map(write).collect()
}

#[test]
fn the_program_says_where_and_ends() {
    let (_outer, folder) = place();
    for (about, file) in written(&folder).iter().step_by(25) {
        let ended = pollpush(["check".as_ref(), file.as_os_str()]);
        ended.expect_code(&[2]);
        assert!(is_placed(&ended.stderr, file), "{about}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{about}");
    }
}

/// The most memory that any process had that this one started and that has ended, in bytes.
fn peak_of_children() -> u64 {
    let kibibytes = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    u64::try_from(kibibytes).unwrap() * 1024
}

/// Gives every file of a folder to a program; a line for each of its exit code, whether it named
/// the place, its nanoseconds from start to end, and the most memory of any so far.
///
/// A process begins with the peak of the one that starts it, so this one holds nothing.
#[expect(clippy::print_stdout, reason = "another process reads it")]
fn measure(program: &Path, folder: &Path) {
    let files = (0..).map(|number| folder.join(format!("{number}.toml")));
    for file in files.take_while(|file| file.exists()) {
        let mut command = Command::new(program);
        command.arg("check").arg(&file).env_remove("RUST_BACKTRACE");
        let started = clock::now();
        let output = command.output().unwrap();
        let took = clock::now().since(started).as_nanos();
        let is_placed = is_placed(&String::from_utf8_lossy(&output.stderr), &file);
        let code = output.status.code().unwrap_or(-1);
        println!("\nmeasured {code} {is_placed} {took} {}", peak_of_children());
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "what was measured is the result")]
fn a_measured_program_refuses_every_file_quickly_and_in_little_memory() {
    let Some(program) = std::env::var_os(PROGRAM) else { return };
    if let Some(folder) = std::env::var_os(INSIDE) {
        return measure(Path::new(&program), Path::new(&folder));
    }
    let (_outer, folder) = place();
    let files = written(&folder);
    let name = "a_measured_program_refuses_every_file_quickly_and_in_little_memory";
    let said = alone(name, folder.as_os_str());
    let measured: Vec<Vec<&str>> = said
        .lines()
        .filter_map(|line| Some(line.strip_prefix("measured ")?.split(' ').collect()))
        .collect();
    assert_eq!(measured.len(), files.len());
    let (mut wrong, mut slowest, mut largest) = (Vec::new(), (0.0, ""), (0.0, ""));
    for ((about, _), figures) in files.iter().zip(&measured) {
        if figures[..2] != ["2", "true"] {
            wrong.push(about.as_str());
        }
        let [took, peak] = [2, 3].map(|place| figures[place].parse::<f64>().unwrap());
        if took > slowest.0 {
            slowest = (took, about);
        }
        // It only ever grows, by whoever is larger than all before.
        if peak > largest.0 {
            largest = (peak, about);
        }
    }
    println!(
        "{} of {} malformed scenarios refused with a position; the slowest took {:.1} ms ({}), \
         the largest {:.1} MB ({})",
        files.len() - wrong.len(),
        files.len(),
        slowest.0 / 1e6,
        slowest.1,
        largest.0 / 1e6,
        largest.1,
    );
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    assert!(slowest.0 < MOST_TIME.as_nanos() as f64 && largest.0 < MOST_OUTSIDE as f64);
}

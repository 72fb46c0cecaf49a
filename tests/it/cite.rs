//! What makes a run evidence: it can be cited, verified, compared and reproduced, and refuses
//! where it must.

use std::fs;
use std::path::{Path, PathBuf};

use pollpush::record::manifest::{Manifest, RunStatus};
use pollpush::record::run::{Run, manifest_of};
use pollpush::record::sample::Sample;

use crate::program::{Ended, Place, pollpush};

/// A fixed run with everything that is derived from it.
fn reported(sample: &Sample) -> (Place, PathBuf) {
    let place = Place::new();
    let run = sample.write(&place.path("results")).unwrap();
    pollpush(["report".as_ref(), run.as_os_str(), "--quiet".as_ref()]).expect_code(&[0]);
    (place, run)
}

fn on(verb: &str, run: &Path, options: &[&str]) -> Ended {
    let mut arguments = vec![verb.as_ref(), run.as_os_str()];
    arguments.extend(options.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
    pollpush(arguments)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Changes the manifest, and gives it the seals that its contents then have.
fn forge(run: &Path, change: impl FnOnce(&mut Manifest)) {
    let mut manifest = manifest_of(run).unwrap();
    change(&mut manifest);
    manifest.run_id = manifest.identity();
    if let Some(mut derived) = manifest.derived.take() {
        derived.seal = manifest.seal_of_derived(&derived);
        manifest.derived = Some(derived);
    }
    fs::write(run.join("manifest.json"), manifest.text()).unwrap();
}

/// Changes a file, and gives it the digest that it then has.
fn forge_file(run: &Path, file: &str, change: impl FnOnce(String) -> String) {
    let path = run.join(file);
    let changed = change(fs::read_to_string(&path).unwrap());
    fs::write(&path, &changed).unwrap();
    let digest = pollpush::digest::sha256(changed.as_bytes());
    forge(run, |manifest| {
        let derived = &mut manifest.derived.as_mut().unwrap().files;
        let files = if derived.contains_key(file) { derived } else { &mut manifest.files };
        assert!(files.insert(file.to_owned(), digest).is_some());
    });
}

#[test]
fn one_flipped_byte_anywhere_is_named_by_its_file() {
    let (_place, run) = reported(&Sample::default());
    on("verify", &run, &[]).expect_code(&[0]);
    let all = files(&run);
    assert!(all.len() > 15, "{all:?}");
    for (number, path) in all.iter().enumerate() {
        let whole = fs::read(path).unwrap();
        let mut flipped = whole.clone();
        // Somewhere else in every file, its first and last byte included.
        let place = whole.len().saturating_sub(1) * (number % 5) / 4;
        flipped[place] ^= 1;
        fs::write(path, flipped).unwrap();
        let ended = on("verify", &run, &[]);
        ended.expect_code(&[1]);
        let name = path.strip_prefix(&run).unwrap().to_string_lossy().into_owned();
        let named = ended.stdout.contains(&format!("DIFFERS   `{name}`"))
            || ended.stderr.contains(&format!("{name}`"));
        assert!(named, "{name}, byte {place}:\n{}{}", ended.stdout, ended.stderr);
        fs::write(path, whole).unwrap();
    }
    on("verify", &run, &[]).expect_code(&[0]);
}

#[test]
fn what_is_missing_or_was_added_is_named() {
    let (_place, run) = reported(&Sample::default());
    fs::remove_file(run.join("report.md")).unwrap();
    fs::write(run.join("ledger/extra.parquet"), "PAR1").unwrap();
    let ended = on("verify", &run, &[]);
    ended.expect_code(&[1]);
    assert!(ended.stdout.contains("DIFFERS   `report.md` is missing"), "{}", ended.stdout);
    assert!(ended.stdout.contains("DIFFERS   `ledger/extra.parquet` was added"));
    assert!(ended.stdout.ends_with("not verified: 2 differences\n"), "{}", ended.stdout);
}

#[test]
fn a_number_that_was_forged_with_its_digest_is_caught_from_the_ledger() {
    let (_place, run) = reported(&Sample::default());
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
    let p50 = &summary["points"][0]["strategies"][1]["latency"]["p50"];
    let (from, to) = (format!("\"p50\": {p50}"), "\"p50\": 1234".to_owned());
    forge_file(&run, "summary.json", |text| {
        assert!(text.contains(&from));
        text.replacen(&from, &to, 1)
    });
    let ended = on("verify", &run, &[]);
    ended.expect_code(&[1]);
    let said =
        format!("`summary.json` at $.points[0].strategies[1].latency.p50 is 1234, should be {p50}");
    assert!(ended.stdout.contains(&said), "{}", ended.stdout);
}

#[test]
fn a_report_or_a_ledger_that_was_forged_with_its_digest_is_caught() {
    let (_place, run) = reported(&Sample::default());
    forge_file(&run, "report.md", |text| text + "\nPolling is always better.\n");
    let ended = on("verify", &run, &[]);
    ended.expect_code(&[1]);
    assert!(ended.stdout.contains("`report.md` is not what the records give"), "{}", ended.stdout);

    let (_place, run) = reported(&Sample::default());
    let (from, to) = ("ledger/0001-webhook.parquet", "ledger/0000-webhook.parquet");
    fs::copy(run.join(from), run.join(to)).unwrap();
    forge(&run, |manifest| {
        let digest = manifest.files[from].clone();
        manifest.files.insert(to.to_owned(), digest);
    });
    let ended = on("verify", &run, &[]);
    ended.expect_code(&[1]);
    assert!(ended.stdout.contains("`summary.json` at $."), "{}", ended.stdout);
}

#[test]
fn a_newer_report_changes_no_run_id() {
    let (_place, run) = reported(&Sample::default());
    let before = manifest_of(&run).unwrap();
    // As if an earlier version had made the reports, with other words.
    forge_file(&run, "report.md", |text| text.replacen("Order", "An order's", 1));
    forge(&run, |manifest| manifest.derived.as_mut().unwrap().tool.version = "0.0.9".to_owned());
    let ended = on("verify", &run, &[]);
    ended.expect_code(&[0]);
    assert!(ended.stdout.contains("it was made by pollpush 0.0.9"), "{}", ended.stdout);
    on("report", &run, &["--quiet"]).expect_code(&[0]);
    assert_eq!(manifest_of(&run).unwrap(), before);
    on("verify", &run, &[]).expect_code(&[0]);
}

#[test]
fn a_run_is_cited_in_every_style_with_its_whole_id() {
    let (_place, run) = reported(&Sample { blocks: 6, ..Sample::default() });
    let id = manifest_of(&run).unwrap().run_id;
    for style in ["text", "markdown", "bibtex", "csl-json", "cff", "all"] {
        let options = ["--style", style, "--author", "A. Nyone", "--url", "https://example.org/r"];
        let ended = on("cite", &run, &options);
        ended.expect_code(&[0]);
        for part in [&*id, "Order status", "Simulated CPU", "A. Nyone", "https://example.org/r"] {
            assert!(ended.stdout.contains(part), "{style} has no {part}: {}", ended.stdout);
        }
        // The answer with its interval.
        assert!(ended.stdout.contains("times as fast ("), "{style}: {}", ended.stdout);
    }
    let json = on("cite", &run, &["--style", "csl-json"]).stdout;
    let items: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(items[0]["type"], "dataset");
}

#[test]
fn an_incomplete_or_invalid_run_is_neither_cited_nor_compared_nor_reproduced() {
    let (place, run) = reported(&Sample::default());
    let refused = |code: i32, words: &str| {
        let out = place.path("again");
        let out = out.to_str().unwrap();
        for ended in [
            on("cite", &run, &[]),
            on("compare", &run, &[run.to_str().unwrap()]),
            on("reproduce", &run, &["--out", out]),
        ] {
            ended.expect_code(&[code]);
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
            assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
            assert_eq!(ended.stdout, "");
        }
        assert!(!Path::new(out).exists(), "nothing is run");
    };
    forge(&run, |manifest| manifest.status = RunStatus::Interrupted);
    refused(1, "is incomplete: it was interrupted");
    forge(&run, |manifest| manifest.status = RunStatus::Complete);
    let mut manifest = manifest_of(&run).unwrap();
    manifest.seed += 1;
    fs::write(run.join("manifest.json"), manifest.text()).unwrap();
    refused(4, "sealed: `manifest.json` was edited");
}

#[test]
fn runs_are_compared_and_gates_decide_how_it_ends() {
    let (_one, first) = reported(&Sample { blocks: 6, ..Sample::default() });
    let (_other, second) = reported(&Sample { blocks: 8, ..Sample::default() });
    let second = second.to_str().unwrap();
    let compare = |more: &[&str]| on("compare", &first, &[&[second], more].concat());
    let ended = compare(&[]);
    ended.expect_code(&[0]);
    for words in ["significant?", "the number of blocks is 6 and 8", "requests.per_event"] {
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }
    for (gate, code, word) in [
        ("webhook: latency.p50 > +20%", 0, "passed: "),
        ("webhook: latency.p50 < +20%", 3, "FAILED: "),
        ("*: latency.p99 > +20%", 0, "cannot tell: "),
    ] {
        let ended = compare(&["--fail-on", gate]);
        ended.expect_code(&[code]);
        assert!(ended.stdout.contains(word), "{gate}: {}", ended.stdout);
    }
    for gate in ["webhok: latency.p50 > +20%", "webhook: latency > +20%", "faster!"] {
        let ended = compare(&["--fail-on", gate]);
        ended.expect_code(&[2]);
        assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    }
    let json = compare(&["--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "pollpush/comparison/1");
}

#[test]
fn runs_of_different_things_are_compared_by_force_only_and_the_result_says_so() {
    let (_one, first) = reported(&Sample::default());
    let few = Sample { mechanisms: vec!["webhook"], subscribers: 2, ..Sample::default() };
    let (_other, second) = reported(&few);
    let second = second.to_str().unwrap();
    let refused = on("compare", &first, &[second]);
    refused.expect_code(&[2]);
    let said = "of `webhook`, subscribers is 1 and 2";
    assert!(
        refused.stderr.contains(said) && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    let forced = on("compare", &first, &[second, "--force"]);
    forced.expect_code(&[0]);
    assert!(
        forced.stdout.contains("FORCED: ") && forced.stdout.contains(said),
        "{}",
        forced.stdout
    );
}

/// What a debug build on a loaded machine can do in passing: no network at all.
const REPEATABLE: &str = r#"
title = "Again"
[events]
rate = "100/s"
arrivals = "constant"
[run]
warm-up = "100ms"
duration = "400ms"
repeats = 6
[[strategy]]
name = "one"
mechanism = "null"
delay = "20ms"
"#;

#[test]
fn a_run_is_made_again_from_its_folder_and_a_receipt_says_what_came_out() {
    let place = Place::with(REPEATABLE);
    let mut arguments = place.run_arguments();
    arguments.extend(["--set", "events.rate=120/s", "--quiet"].map(Into::into));
    let first = pollpush(arguments);
    first.expect_code(&[0, 4]);
    // Nothing but the folder is needed.
    fs::remove_file(place.scenario()).unwrap();
    let run = place.only_run();
    let out = place.path("again");
    let options =
        ["--out", out.to_str().unwrap(), "--format", "json", "--tolerance", "900%", "--quiet"];
    let ended = on("reproduce", &run, &options);
    if first.code() == Some(4) {
        ended.expect_code(&[4]);
        return;
    }
    ended.expect_code(&[0, 1, 3, 4]);
    let made = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let again = Run::open(&made).unwrap();
    assert_eq!(again.manifest.overrides, ["events.rate=120/s"]);
    assert_eq!(again.verify().unwrap(), []);
    if ended.code() == Some(4) {
        return;
    }
    let receipt: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(receipt["schema"], "pollpush/receipt/1");
    assert_eq!(receipt["original"]["run_id"], manifest_of(&run).unwrap().run_id);
    let expected = match ended.code() {
        Some(0) => "reproduced",
        Some(3) => "not-reproduced",
        _ => "cannot-tell",
    };
    assert_eq!(receipt["outcome"], expected);
    let p50 = &receipt["headlines"][0];
    assert_eq!((&p50["strategy"], &p50["measure"]), (&"one".into(), &"latency.p50".into()));
    assert!(p50["interval"]["low"].is_number(), "{p50}");
}

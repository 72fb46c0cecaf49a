//! What the documents name must exist: files, verbs, options, checks.

use pollpush::analysis::validity::{CHECKS, CheckEntry};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use assert_cmd::Command;

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "METHODOLOGY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/open-data.md",
    "results/README.md",
    "scenarios/README.md",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pollpush"))
        .args(arguments)
        .arg("--help")
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("help is text")
}

/// The verbs of the program, hidden ones not included.
fn verbs() -> BTreeSet<String> {
    let help = help(&[]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = commands.take_while(|line| !line.is_empty());
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The words of a text as they may stand in a command, without the signs around them.
fn words(text: &str) -> Vec<&str> {
    let sign = |c: char| c.is_whitespace() || "`()[]{}|,;\"'".contains(c);
    text.split(sign).filter(|word| !word.is_empty()).collect()
}

#[test]
fn every_verb_and_option_exists() {
    let verbs = verbs();
    assert!(verbs.contains("run") && verbs.contains("serve"), "{verbs:?}");
    let mut helps = help(&[]);
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        helps += &help(&[verb]);
    }
    let options: BTreeSet<&str> =
        words(&helps).into_iter().filter(|word| word.starts_with("--")).collect();
    for document in DOCUMENTS {
        let text = read(document);
        for line in text.lines() {
            // A command begins a line of a listing, or stands in backticks.
            for (start, found) in line.match_indices("pollpush ") {
                let is_command = start == 0 || line[..start].ends_with(['`', '/']);
                let next = words(&line[start + found.len()..]);
                if let Some(verb) = next.first().filter(|_| is_command) {
                    let known = verbs.contains(*verb) || verb.starts_with('-');
                    assert!(known, "{document}: there is no verb `{verb}`: {line}");
                }
            }
            let Some((_, command)) = line.split_once("--release -- ") else { continue };
            let verb = words(command)[0];
            assert!(verbs.contains(verb), "{document}: there is no verb `{verb}`: {line}");
            for option in words(command).into_iter().filter(|word| word.starts_with("--")) {
                assert!(options.contains(option), "{document}: there is no `{option}`: {line}");
            }
        }
    }
}

#[test]
fn every_scenario_and_linked_file_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root.join(document).parent().unwrap().to_owned();
        let is_scenario = |word: &&str| {
            let file = Path::new(word);
            file.starts_with("scenarios") && file.extension().is_some_and(|end| end == "toml")
        };
        let scenarios = words(&text).into_iter().filter(is_scenario);
        for scenario in scenarios {
            assert!(root.join(scenario).is_file(), "{document}: there is no {scenario}");
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{document}: there is no {file}");
            }
        }
    }
}

#[test]
fn the_scenario_in_the_readme_can_be_run() {
    let text = read("README.md");
    let scenario = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("readme.toml");
    fs::write(&file, scenario).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_pollpush"));
    check.arg("check").arg(file).assert().success();
}

/// A check that nobody can look up is a riddle.
#[test]
fn every_check_is_explained() {
    let methodology = read("METHODOLOGY.md");
    for CheckEntry { code, id, .. } in CHECKS {
        let row = format!("| {code} | `{id}` |");
        assert!(methodology.contains(&row), "METHODOLOGY.md: no row that begins with {row}");
    }
}

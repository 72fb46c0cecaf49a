//! The arguments, and which verb they ask for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::outcome::{self, Outcome};
use crate::cli::terminal::Terminal;

/// Names the verbs: each is a type of arguments that knows how to `run`.
macro_rules! verbs {
    ($($(#[$attribute:meta])* $verb:ident($arguments:ty),)*) => {
        #[derive(Debug, clap::Subcommand)]
        enum Verb {
            $($(#[$attribute])* $verb($arguments),)*
        }

        impl Verb {
            fn run(self, terminal: &mut Terminal) -> anyhow::Result<Outcome> {
                match self {
                    $(Verb::$verb(arguments) => arguments.run(terminal),)*
                }
            }
        }
    };
}

// In the order of `--help`.
verbs! {
    Run(crate::cli::run::Run),
    Check(crate::cli::check::Check),
    Report(crate::cli::report::Report),
    Compare(crate::cli::compare::Compare),
    Cite(crate::cli::cite::Cite),
    Verify(crate::cli::verify::Verify),
    Reproduce(crate::cli::reproduce::Reproduce),
    Project(crate::cli::project::Project),
    Serve(crate::cli::serve::Serve),
    Receive(crate::cli::receive::Receive),
    Doctor(crate::cli::doctor::Doctor),
    Scenarios(crate::cli::scenarios::Scenarios),
    Mechanisms(crate::cli::mechanisms::Mechanisms),
    Checks(crate::cli::checks::Checks),
    Schema(crate::cli::schema::Schema),
    Completions(crate::cli::completions::Completions),
    Man(crate::cli::man::Man),
    #[command(hide = true)]
    Worker(crate::cli::worker::Worker),
}

/// Measures whether an integration should poll an API or be pushed to.
#[derive(Debug, Parser)]
#[command(name = "pollpush", version, after_help = EXIT_CODES, propagate_version = true)]
struct Arguments {
    /// Say less: only results and errors.
    #[arg(long, short, global = true, display_order = LAST)]
    quiet: bool,

    /// Say more: what became of each trial.
    #[arg(long, short, global = true, display_order = LAST, conflicts_with = "quiet")]
    verbose: bool,

    /// When to use colour; `auto` also honours `NO_COLOR`.
    #[arg(long, global = true, display_order = LAST, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,

    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb stand behind the verb's own in its help.
const LAST: usize = 100;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the run failed, 2 usage or scenario error, 3 a threshold was not met, \
4 verdict invalid, 130 interrupted";

/// Does what the arguments ask for, and says how it went.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return outcome::of_usage(&error),
    };
    let mut terminal = Terminal::new(arguments.color, arguments.quiet, arguments.verbose);
    match arguments.verb.run(&mut terminal) {
        Ok(outcome) => outcome.into(),
        Err(error) => outcome::of_error(&error, &mut terminal),
    }
}

/// The command line as clap describes it, for completions and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    use super::{Arguments, command};
    use clap::Parser;

    #[test]
    fn the_arguments_contradict_nothing() {
        command().debug_assert();
    }

    #[test]
    fn arguments_are_accepted_or_refused_as_documented() {
        let accepted = |line: &str| {
            let words = std::iter::once("pollpush").chain(line.split_whitespace());
            Arguments::try_parse_from(words).is_ok()
        };
        for line in [
            "check quickstart",
            "check a.toml --set events.rate=5/s --set run.drain=1s --seed -1 --format json",
            "--quiet check a.toml --color never",
            "check a.toml -v --repeats 3 --duration 5s",
            "scenarios",
            "scenarios export folder",
            "schema",
            "schema summary",
            "completions fish",
            "man",
        ] {
            assert!(accepted(line), "{line}");
        }
        for line in [
            "",
            "chek a.toml",
            "check",
            "check a b",
            "check a --format xml",
            "check a -q -v",
            "scenarios export",
            "schema plan",
            "completions tcl",
        ] {
            assert!(!accepted(line), "{line}");
        }
    }
}

//! The two streams: stdout for results, stderr for the conversation.

use std::io::{self, ErrorKind, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use anyhow::Context;

/// Where an invocation writes to.
#[derive(Debug)]
pub(crate) struct Terminal {
    out: io::Stdout,
    err: AutoStream<io::Stderr>,
    quiet: bool,
    verbose: bool,
}

impl Terminal {
    /// Colour is used as asked, and on `auto` only where a terminal shows it.
    pub(crate) fn new(color: clap::ColorChoice, quiet: bool, verbose: bool) -> Terminal {
        match color {
            clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
            clap::ColorChoice::Always => anstream::ColorChoice::Always,
            clap::ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Terminal { out: io::stdout(), err: AutoStream::auto(io::stderr()), quiet, verbose }
    }

    /// Whether only results and errors are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes a result to stdout.
    ///
    /// A reader that has gone away has read enough; that is not an error.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written for any other reason, such as a full disk.
    pub(crate) fn result(&mut self, text: &str) -> anyhow::Result<()> {
        let mut out = self.out.lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("the result cannot be written to stdout"),
        }
    }

    /// Writes a line to stderr, whatever was asked for.
    pub(crate) fn say(&mut self, text: &str) {
        // With stderr gone there is nobody left to tell.
        let _ = writeln!(self.err, "{text}");
    }

    /// Writes a line about what is going on, unless it should be quiet.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Writes a line that only those who asked for more want to see.
    pub(crate) fn detail(&mut self, text: &str) {
        if self.verbose {
            self.say(text);
        }
    }

    /// Says what is doubtful and what to do about it, unless it should be quiet.
    pub(crate) fn warning(&mut self, text: &str, hint: &str) {
        let warning = bold(AnsiColor::Yellow);
        self.note(&format!("{warning}warning:{warning:#} {text}"));
        self.note(&hint_line(hint));
    }

    /// Says what went wrong.
    pub(crate) fn error(&mut self, text: &str, hint: Option<&str>) {
        let error = bold(AnsiColor::Red);
        self.say(&format!("{error}error:{error:#} {text}"));
        if let Some(hint) = hint {
            self.say(&hint_line(hint));
        }
    }
}

/// Whether a result on stdout should be coloured.
pub(crate) fn colour() -> bool {
    AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

fn hint_line(hint: &str) -> String {
    let style = bold(AnsiColor::Cyan);
    format!("{style}hint:{style:#} {hint}")
}

fn bold(color: AnsiColor) -> Style {
    Style::new().bold().fg_color(Some(color.into()))
}

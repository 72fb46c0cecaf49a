//! The progress of a run, on stderr where that is a terminal.
//!
//! The bar moves once a second, and not at all when nobody looks: drawing it costs CPU time
//! that the measured processes could want.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::check::range;
use crate::cli::terminal::Terminal;
use crate::clock::{self, Moment};
use crate::plan::{Layout, Plan, Trial};
use crate::record::trial::{Outcome, TrialRecord};
use crate::trial::coordinator::Phase;
use crate::trial::run::Observer;

/// How often the bar moves.
const TICK: Duration = Duration::from_secs(1);

/// Shows how a run goes.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    terminal: &'a mut Terminal,
    bar: ProgressBar,
    news: Option<Sender<News>>,
    ticker: Option<JoinHandle<()>>,
}

/// What the ticker is told.
#[derive(Debug)]
enum News {
    /// A trial begins: what it is, and when it begins and ends by the estimate, counted from
    /// the start of the run.
    Trial {
        what: String,
        from: Duration,
        until: Duration,
    },
    Phase(Phase),
}

impl<'a> Progress<'a> {
    /// A bar for a run of the plan; hidden when the user wants quiet or does not look.
    pub(crate) fn new(plan: &Plan, terminal: &'a mut Terminal) -> Progress<'a> {
        let target = if terminal.is_quiet() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let total: Duration = plan.trials.iter().map(|trial| plan.trial_time(trial)).sum();
        let bar = ProgressBar::with_draw_target(Some(milliseconds(total)), target);
        let style = ProgressStyle::with_template("{wide_bar:.cyan/dim}\n{msg}")
            .expect("the template is well formed")
            .progress_chars("━╸─");
        bar.set_style(style);
        if bar.is_hidden() {
            return Progress { terminal, bar, news: None, ticker: None };
        }
        let (news, heard) = channel();
        let ticking = bar.clone();
        let at_most = if plan.may_end_early() { "at most " } else { "" };
        let ticker = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || tick(&ticking, total, at_most, &heard))
            // Without a thread there is no bar; the run does not need one.
            .ok();
        Progress { terminal, bar, news: Some(news), ticker }
    }

    fn tell(&self, news: News) {
        if let Some(sender) = &self.news {
            // A bar that is gone needs no news.
            let _ = sender.send(news);
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.news = None;
        if let Some(ticker) = self.ticker.take() {
            // A ticker that panicked has left its message on stderr.
            let _ = ticker.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress<'_> {
    fn trial_begins(&mut self, plan: &Plan, trial: &Trial) {
        let before = &plan.trials[..trial.index as usize];
        let from: Duration = before.iter().map(|trial| plan.trial_time(trial)).sum();
        let until = from + plan.trial_time(trial);
        self.tell(News::Trial { what: describe(plan, trial), from, until });
    }

    fn phase(&mut self, phase: Phase) {
        self.tell(News::Phase(phase));
    }

    fn kept(&mut self, record: &TrialRecord) {
        let said = format!("block {}, `{}`: kept", record.block + 1, record.strategy.name);
        let terminal = &mut *self.terminal;
        self.bar.suspend(|| terminal.detail(&said));
    }

    fn recorded(&mut self, record: &TrialRecord) {
        let name = &record.strategy.name;
        let block = record.block + 1;
        let terminal = &mut *self.terminal;
        self.bar.suspend(|| match &record.outcome {
            Outcome::Completed => {
                let events = record.measured.as_ref().map(|measured| measured.events);
                let events = events.unwrap_or_default();
                terminal.detail(&format!(
                    "block {block}, `{name}`: {} of {} events delivered",
                    events.delivered, events.emitted
                ));
            }
            Outcome::Spoilt { reason } => terminal.warning(
                &format!("block {block} of `{name}` is spoilt: {reason}"),
                "it is recorded and left out of every figure; the run goes on",
            ),
            Outcome::Interrupted => terminal.warning(
                &format!("block {block} of `{name}` was interrupted"),
                "finished trials are kept; press Ctrl-C again to stop at once",
            ),
        });
    }
}

/// What a trial is, in a few words.
fn describe(plan: &Plan, trial: &Trial) -> String {
    let point = &plan.points[trial.point];
    let blocks = range(&plan.fewest_blocks(), &plan.blocks);
    let mut words = vec![format!("block {} of {blocks}", trial.block + 1)];
    words.extend(point.parameters.iter().map(|(path, value)| format!("{path} = {value}")));
    words.push(match (plan.layout, trial.strategies.as_slice()) {
        (Layout::Solo, [alone]) => format!("`{}`", point.strategies[*alone].name),
        (_, strategies) => format!("{} strategies side by side", strategies.len()),
    });
    words.join(" · ")
}

/// Moves the bar until no more news can come; `at_most` is what the time left is called.
fn tick(bar: &ProgressBar, total: Duration, at_most: &str, heard: &Receiver<News>) {
    let mut what = String::new();
    let mut doing = "";
    let (mut from, mut until, mut began) = (Duration::ZERO, Duration::ZERO, clock::now());
    loop {
        match heard.recv_timeout(TICK) {
            Ok(News::Trial { what: next, from: starts, until: ends }) => {
                (what, from, until, began) = (next, starts, ends, clock::now());
            }
            Ok(News::Phase(phase)) => doing = word(phase),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let done = position(from, until, began);
        bar.set_position(milliseconds(done));
        let left = total.saturating_sub(done).as_secs();
        bar.set_message(format!("{what} · {doing} · {at_most}{} left", clock_face(left)));
    }
}

/// How far the run is by the estimate; a trial that takes longer stands at its end.
fn position(from: Duration, until: Duration, began: Moment) -> Duration {
    (from + clock::now().since(began)).min(until)
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Launching => "starting processes",
        Phase::Calibrating => "measuring raw sockets",
        Phase::WarmUp => "warming up",
        Phase::Window => "measuring",
        Phase::Draining => "waiting for outstanding events",
        Phase::Collecting => "collecting",
    }
}

/// Seconds as `m:ss`.
fn clock_face(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{clock_face, describe};
    use crate::plan::expand;
    use crate::scenario::load;
    use std::path::Path;

    #[test]
    fn a_trial_is_described_by_what_sets_it_apart() {
        let described = |name: &str| {
            let plan = expand(&load(Path::new(name), &[]).expect("built in"));
            describe(&plan, plan.trials.last().expect("a trial"))
        };
        assert_eq!(described("quickstart"), "block 3 of 3 · 3 strategies side by side");
        assert!(described("rate-sweep").contains("events.rate = "));
        assert!(described("solo-latency").contains('`'));
    }

    #[test]
    fn time_left_reads_like_a_clock() {
        assert_eq!((clock_face(9).as_str(), clock_face(75).as_str()), ("0:09", "1:15"));
    }
}

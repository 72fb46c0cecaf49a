//! What earlier runs found out about this machine, kept in the user's state directory.

use std::ffi::OsString;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::cli::terminal::Terminal;
use crate::record::environment::Environment;
use crate::record::noise_floor::{Machine, NoiseFloor, NoiseFloorError, keep, kept};

/// Names the folder, before the places where such folders usually are.
const VARIABLE: &str = "POLLPUSH_STATE_DIR";

/// The file in it.
const FILE: &str = "noise-floor.json";

/// How long a noise floor speaks for its machine: by then the neighbours, the temperature and
/// whatever else runs are others.
const VALID_FOR: SignedDuration = SignedDuration::from_hours(24);

/// This machine, if it can be told from others and there is a place to keep what it is like.
#[derive(Debug)]
pub(crate) struct KnownMachine(Option<(Machine, PathBuf)>);

impl KnownMachine {
    /// The machine this program runs on.
    pub(crate) fn here(environment: &Environment) -> KnownMachine {
        let file = state_folder(|name| std::env::var_os(name)).map(|folder| folder.join(FILE));
        KnownMachine(Machine::here(environment).zip(file))
    }

    /// How far apart two identical strategies came on it in an arrangement, not long before `now`.
    pub(crate) fn noise_floor(
        &self,
        arrangement: &str,
        now: Timestamp,
        terminal: &mut Terminal,
    ) -> Option<NoiseFloor> {
        let (machine, file) = self.0.as_ref()?;
        let found = kept(file, machine, arrangement);
        let floor = found.unwrap_or_else(|error| {
            let hint = "remove the file; `pollpush run a-a` measures the noise floor anew";
            terminal.warning(&format!("no noise floor is known: {}", in_words(&error)), hint);
            None
        });
        floor.filter(|floor| is_fresh(floor, now))
    }

    /// Keeps a noise floor for later runs. What cannot be kept is only told: the run is whole.
    pub(crate) fn keep(self, floor: NoiseFloor, terminal: &mut Terminal) {
        let Some((machine, file)) = self.0 else { return };
        match keep(&file, machine, floor) {
            Ok(()) => terminal.note(&format!("noise     {}", file.display())),
            Err(error) => {
                let hint = format!("make it writable, remove it, or name a folder in {VARIABLE}");
                terminal.warning(&format!("the noise floor is lost: {}", in_words(&error)), &hint);
            }
        }
    }
}

fn in_words(error: &NoiseFloorError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Whether a noise floor is of the last day, and not of a time to come.
fn is_fresh(floor: &NoiseFloor, now: Timestamp) -> bool {
    let age = now.duration_since(floor.measured);
    (SignedDuration::ZERO..=VALID_FOR).contains(&age)
}

/// The folder that is named, or the one for this program below the user's state directory
/// (XDG Base Directory Specification), where only absolute paths count.
fn state_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(named) = variable(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("pollpush"))
}

#[cfg(test)]
mod tests {
    use super::{is_fresh, state_folder};
    use crate::record::noise_floor::NoiseFloor;
    use jiff::{SignedDuration, Timestamp};
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::path::PathBuf;

    #[test]
    fn the_folder_is_where_the_user_keeps_state() {
        let found = |set: &[(&str, &str)]| {
            let set: BTreeMap<&str, &str> = set.iter().copied().collect();
            state_folder(|name| set.get(name).map(OsString::from))
        };
        let home = ("HOME", "/home/a");
        let state = ("XDG_STATE_HOME", "/state");
        for (set, expected) in [
            (vec![home], Some("/home/a/.local/state/pollpush")),
            (vec![home, state], Some("/state/pollpush")),
            (vec![home, ("XDG_STATE_HOME", "state")], Some("/home/a/.local/state/pollpush")),
            (vec![home, state, ("POLLPUSH_STATE_DIR", "here")], Some("here")),
            (vec![state, ("POLLPUSH_STATE_DIR", "")], Some("/state/pollpush")),
            (vec![("HOME", "")], None),
            (vec![], None),
        ] {
            assert_eq!(found(&set), expected.map(PathBuf::from), "{set:?}");
        }
    }

    #[test]
    fn a_noise_floor_speaks_for_a_day() {
        let floor = NoiseFloor {
            run_id: "3f9a1c20".to_owned(),
            measured: Timestamp::UNIX_EPOCH,
            arrangement: "solo".to_owned(),
            mechanism: "webhook".to_owned(),
            blocks: 10,
            factors: BTreeMap::new(),
        };
        for (seconds, expected) in
            [(-1, false), (0, true), (24 * 3_600, true), (24 * 3_600 + 1, false)]
        {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
            assert_eq!(is_fresh(&floor, now), expected, "{seconds}");
        }
    }
}

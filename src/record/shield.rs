//! Decoders of others, kept from ending the program.
//!
//! A decoder may take for granted what only an undamaged file keeps, and panic where it is not so.
//! Whose file it is that is wrong is then known best by the caller, and the panic says nothing to
//! the user.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside a decoder whose panic is an error.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What a decoder returns; `None` if it panicked, of which nothing is told on the terminal.
///
/// What the decoder was changing is lost: it is to own whatever it writes into.
pub(super) fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if !GUARDED.get() {
                told(panicked);
            }
        }));
    });
    let before = GUARDED.replace(true);
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(before);
    decoded.ok()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_inside_is_nothing_and_one_outside_goes_on() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| -> u8 { panic!("damaged") }), None);
        assert_eq!(guarded(|| guarded(|| -> u8 { panic!("deep") })), Some(None));
        assert!(std::panic::catch_unwind(|| panic!("ours")).is_err());
    }
}

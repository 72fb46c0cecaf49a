//! What this machine offers, found out by trying.

use std::io;
use std::time::Duration;

use crate::network::asked::Network;
use crate::network::namespace::{address, with_tunnel};
use crate::network::netem::Netem;
use crate::network::tier::Offer;

impl Offer {
    /// Tries what each tier needs, in namespaces that are gone again when this returns.
    #[must_use]
    pub fn of_this_machine() -> Offer {
        let delayed = Network { rtt: Duration::from_millis(1), ..Network::default() };
        Offer {
            netem: Netem::new(&delayed, 0, 1).err().map(|error| explained(&error)),
            router: with_tunnel(address(None)).err().map(|error| explained(&error)),
        }
    }
}

/// Whether a test can make namespaces and devices; says so where it cannot. It always can in
/// `.ci/run`, which runs as root.
#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a test that is not made says so")]
pub(crate) fn is_privileged() -> bool {
    let Some(why) = Offer::of_this_machine().router else { return true };
    assert!(std::env::var_os("CI").is_none(), "no path can be made: {why}");
    eprintln!("skipped: no path can be made: {why}");
    false
}

/// Why something could not be had, with what would help.
fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{error}; run as root")
        }
        _ => error.to_string(),
    }
}

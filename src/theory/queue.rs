//! Waiting for a free connection.

/// The mean wait and what one wait deviates by, in seconds, at one server with a constant
/// service time and Poisson arrivals (M/D/1); `None` if the server cannot keep up.
///
/// Mean ρS/(2(1 − ρ)); variance λS³/(3(1 − ρ)) + (λS²)²/(4(1 − ρ)²), the Pollaczek–Khinchine
/// and Takács formulae (Kleinrock, *Queueing Systems*, volume 1, sections 5.6 and 5.7). Waits
/// follow each other for a time proportional to 1/(1 − ρ)²: their mean over n events deviates as
/// that of n·(1 − ρ)²/4 independent ones, which is on the safe side.
pub(crate) fn one_server(rate: f64, service: f64) -> Option<(f64, f64)> {
    let idle = 1.0 - rate * service;
    if idle <= 0.0 {
        return None;
    }
    let mean = rate * service.powi(2) / (2.0 * idle);
    let variance = rate * service.powi(3) / (3.0 * idle) + mean * mean;
    Some((mean, variance.sqrt() * 2.0 / idle))
}

/// An upper bound on the mean wait, in seconds, at several servers with Poisson arrivals and
/// a constant service time; `None` if they cannot keep up.
///
/// That of exponential service times (M/M/c, the Erlang C formula), which is longer.
pub(crate) fn several_servers(rate: f64, service: f64, servers: u32) -> Option<f64> {
    let (load, servers) = (rate * service, f64::from(servers));
    let idle = 1.0 - load / servers;
    if idle <= 0.0 {
        return None;
    }
    // Erlang B by its recursion, then Erlang C.
    let mut blocked = 1.0;
    let mut server = 1.0;
    while server <= servers {
        blocked = load * blocked / (server + load * blocked);
        server += 1.0;
    }
    let waiting = blocked / (1.0 - load / servers * (1.0 - blocked));
    Some(waiting * service / (servers * idle))
}

#[cfg(test)]
mod tests {
    use super::{one_server, several_servers};

    #[test]
    fn one_server_waits_as_pollaczek_and_khinchine_say() {
        // ρ = 0.8: mean 0.8·S/0.4 = 2 S.
        let (mean, _) = one_server(8.0, 0.1).expect("keeps up");
        assert!((mean - 0.2).abs() < 1e-12);
        assert_eq!(one_server(10.0, 0.1), None);
    }

    #[test]
    fn erlang_c_has_its_known_values() {
        // With one server every wait is ρS/(1 − ρ), twice that of constant service.
        let one = several_servers(8.0, 0.1, 1).expect("keeps up");
        assert!((one - 0.4).abs() < 1e-12);
        // Two servers at a load of one: C = 1/3, and the mean wait a third of S.
        let two = several_servers(10.0, 0.1, 2).expect("keeps up");
        assert!((two - 0.1 / 3.0).abs() < 1e-12);
        assert_eq!(several_servers(20.0, 0.1, 2), None);
    }
}

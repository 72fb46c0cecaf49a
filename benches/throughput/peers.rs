//! Load generators whose speed is known, if they are installed.

use std::net::SocketAddr;
use std::process::Command;

use crate::place::{self, SUBSCRIBER};
use crate::{CONNECTIONS, SECONDS};

/// Exchanges per second `wrk` reaches.
pub(crate) fn wrk(address: SocketAddr, path: &str) -> Option<f64> {
    let url = format!("http://{address}{path}");
    let (duration, connections) = (format!("-d{SECONDS}s"), format!("-c{CONNECTIONS}"));
    let arguments = ["-t1".to_owned(), connections, duration, url];
    let text = run("wrk", &arguments, SUBSCRIBER)?;
    let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

/// Exchanges per second `oha` reaches.
pub(crate) fn oha(address: SocketAddr, path: &str, body: Option<&str>, cpu: usize) -> Option<f64> {
    let mut arguments = vec![
        "--no-tui".to_owned(),
        "--output-format".to_owned(),
        "json".to_owned(),
        "-c".to_owned(),
        CONNECTIONS.to_string(),
        "-z".to_owned(),
        format!("{SECONDS}s"),
    ];
    if let Some(body) = body {
        arguments.extend(["-m".into(), "POST".into(), "-d".into(), body.to_owned()]);
    }
    arguments.push(format!("http://{address}{path}"));
    let report: serde_json::Value = serde_json::from_str(&run("oha", &arguments, cpu)?).ok()?;
    report["summary"]["requestsPerSec"].as_f64()
}

fn run(program: &str, arguments: &[String], cpu: usize) -> Option<String> {
    // A child runs where the thread that started it may run.
    let output = place::on(cpu, || {
        Command::new(program).args(arguments).env_clear().env("PATH", path()).output()
    });
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

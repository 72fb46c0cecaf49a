//! `pollpush`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    pollpush::cli::main(std::env::args_os())
}

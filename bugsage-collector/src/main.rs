//! The `bugsage` binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    bugsage_collector::cli::main()
}

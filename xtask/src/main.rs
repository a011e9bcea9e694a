//! The developer commands; `cargo xtask help` lists them.

mod args;
mod ci;
mod prerequisites;
mod msrv;
mod sandbox;
mod tidy;
mod api;
mod bench;
mod prove;
mod program;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use args::Command;

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let root = root();
    let done = match command {
        Command::Help => {
            println!("{}", args::USAGE);
            Ok(())
        }
        Command::Ci => ci::run(&root),
        Command::Tidy => tidy::run(&root),
        Command::Api { accept } => api::run(&root, accept),
        Command::Prove(proof, extent) => prove::run(&root, proof, extent)
            .map(|()| println!("proved"))
            .map_err(|reason| format!("not proved: {reason}")),
        Command::Bench { names, json } => bench::run(&root, &names, json),
        Command::Grouping(words) => bench::grouping(&root, &words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the checkout: the folder above this package.
fn root() -> PathBuf {
    // Cargo tells it at run time too, which stays right when the checkout was moved after a build.
    let package = std::env::var("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let package = Path::new(&package);
    package.parent().unwrap_or(package).to_owned()
}

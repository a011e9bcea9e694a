//! Takes orders over HTTP, until standard input ends or someone posts to `/shutdown`.

mod args;
mod server;
mod routes;
mod http;
mod form;

use std::process::ExitCode;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::Args;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("order-service: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };

    let _guard = bugsage_sdk::init();
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();

    match server::run(args.listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("order-service: cannot serve on {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}

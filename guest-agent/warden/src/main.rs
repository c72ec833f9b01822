//! `slipway-warden`: PID 1 of the machine, or the engine's keeper on a Linux host (`--native`).

use std::process::ExitCode;

use warden::{Error, machine, native};

const USAGE: &str = "usage: slipway-warden --native --agent PATH --root DIR --run DIR --link LINK \
                     [--bundled-images DIR]";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let first = args.next();
    let outcome = match first.as_deref().and_then(|arg| arg.to_str()) {
        Some("--native") => native::run(args),
        Some("--load-modules") => machine::load_in_background(),
        // The kernel calls its modprobe as `PROGRAM -q -- MODULE`.
        Some("-q") => {
            machine::await_loaded();
            Ok(())
        }
        _ if rustix::process::getpid().is_init() => machine::run()
            .map(|never| match never {})
            .inspect_err(machine::give_up),
        _ => Err(Error::Usage(USAGE.to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last words of a program")]
            {
                eprintln!("slipway-warden: {}", error.in_full());
            }
            ExitCode::FAILURE
        }
    }
}

//! `slipway-warden`: PID 1 of the machine, or the engine's keeper on a Linux host (`--native`).

use std::process::ExitCode;

use warden::native;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    let outcome = if args.next_if(|arg| arg == "--native").is_some() {
        native::run(args)
    } else {
        Err(warden::Error::Usage("usage".into()))
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

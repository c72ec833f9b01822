//! The program `slipwayd`: reads its few arguments and runs the service in the foreground.

use std::process::ExitCode;

const HELP: &str = "\
slipwayd: owns Slipway's machine and listens where Docker clients connect

Usage: slipwayd [--version | --help]

Runs in the foreground until it gets SIGINT or SIGTERM, then stops the machine.
`slipway machine start` starts it in the background.

Environment:
  SLIPWAY_HOME        folder for all state
  SLIPWAY_IMAGE_DIR   folder with the machine's image
  SLIPWAY_QEMU        the QEMU program
  SLIPWAY_ACCEL       kvm, hvf, whpx or tcg: use this accelerator, unprobed
  SLIPWAY_CPUS        virtual processors (the host's)
  SLIPWAY_MEMORY_MB   memory of the machine (half of the host's, 4096 at most)
  SLIPWAY_DISK_GB     size of the data disk (64; it takes only what is used)
  SLIPWAY_GUEST_DIR   folder with slipway-warden and slipway-agent for native mode
  SLIPWAY_LOG         what to log, for example debug
";

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its caller"
)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--version" | "-V"] => {
            println!("slipwayd {}", host_service::VERSION);
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        [ref other, ..] => {
            eprintln!("error: unknown argument {other}\nhint: see slipwayd --help");
            return ExitCode::from(2);
        }
    }
    match host_service::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {}", problem.message);
            if let Some(cause) = problem.cause {
                eprintln!("caused by: {cause}");
            }
            if let Some(hint) = problem.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

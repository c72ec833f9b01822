//! `docker-init`, what `--init` puts before a container's program: it starts the program, hands it
//! the signals that it gets itself, reaps orphans, and ends as the program does.
//!
//! It must run in any image, so it is linked with nothing: no standard library, no C library, the
//! kernel's calls only. `build.rs` compiles it by itself; the crate holds the finished program.
#![no_std]
#![no_main]

mod system;

use system::{Child, Signals};

/// Written before the program's name when it can't be run.
const FAILED: &[u8] = b"docker-init: cannot execute ";

/// Docker's exit codes for a program that is not there, and for one that can't be run.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// The kernel's first call, with the stack as it left it: the number of arguments, the arguments,
/// a null, the environment, a null.
#[unsafe(no_mangle)]
extern "C" fn begin(stack: *const *const u8) -> ! {
    // SAFETY: the kernel fills the stack of a new process in this form.
    let (arguments, environment) = unsafe { system::vectors(stack) };
    // `docker-init -- PROGRAM ARGUMENTS`
    let command = arguments.get(2..).unwrap_or_default();
    let signals = Signals::block();
    system::become_reaper();
    match system::fork() {
        Child::Itself => {
            signals.restore();
            system::lead_terminal();
            let error = system::execute(command, environment);
            system::complain(FAILED, command);
            system::exit(if error == system::NO_SUCH_FILE {
                NOT_FOUND
            } else {
                NOT_EXECUTABLE
            })
        }
        Child::Failed => system::exit(1),
        Child::Started(program) => loop {
            let signal = signals.wait();
            if signal == system::SIGCHLD {
                if let Some(code) = system::reap(program) {
                    system::exit(code);
                }
            } else if signal > 0 {
                system::send(program, signal);
            }
        },
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    system::exit(1)
}

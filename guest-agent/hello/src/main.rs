//! The program in the bundled image `slipway/hello`: says that a container ran, and what it saw of
//! its own surroundings, so that a first run proves something.
#![expect(
    clippy::print_stdout,
    reason = "saying hello is this program's purpose"
)]

use std::fs;

fn main() {
    println!("Hello from Slipway!");
    println!();
    println!("This line was written inside a Linux container of its own:");
    println!("    process id   {}", std::process::id());
    println!("    host name    {}", word("/proc/sys/kernel/hostname"));
    println!("    kernel       {}", word("/proc/sys/kernel/osrelease"));
    println!();
    println!("What to try next:");
    println!("    slipway run -it --rm alpine      a shell in a container, from a registry");
    println!("    slipway ps --all                 the containers there are");
    println!("    docker ps                        the same with Docker's own command");
}

/// A file's first word; a dash where a container may not read it.
fn word(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "-".to_owned(), |text| text.trim().to_owned())
}

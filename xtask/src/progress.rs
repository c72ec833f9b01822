//! What a person sees while automation works: one line when a step begins, one when it ends, and
//! the exact command when one fails. The only module here that prints or starts programs.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "progress lines are this program's output"
)]

use std::fmt::Display;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Prints one line.
pub(crate) fn say(line: impl Display) {
    println!("{line}");
}

/// Prints an error and what caused it, outermost first.
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}

/// Runs one named step and says how long it took.
pub(crate) fn step<T>(what: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {what}");
    let begun = Instant::now();
    let value = body().with_context(|| format!("step failed: {what}"))?;
    println!("    {what}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(value)
}

/// Runs a program to its end with our own standard streams; a non-zero status is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a program and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", line(command)))?;
    if !output.status.success() {
        bail!(
            "{} ended with {}: {}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("reading the output of {}", line(command)))
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

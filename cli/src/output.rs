//! Standard output and standard error. Writing to a pipe whose reader has gone (`slipway ps |
//! head -1`) ends the command quietly, as it does for every Unix tool.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

/// Exit code of a program killed by SIGPIPE, as shells count it.
const READER_GONE: i32 = 141;

/// Writes a line to standard output.
pub(crate) fn line(text: &str) {
    out(&[text.as_bytes(), b"\n"].concat());
}

/// Writes one JSON document or one item as a line.
pub(crate) fn json<T: Serialize>(value: &T) {
    if let Ok(text) = serde_json::to_string(value) {
        line(&text);
    }
}

/// Writes bytes to standard output and flushes them.
pub(crate) fn out(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    settle(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

/// Writes bytes to standard error.
pub(crate) fn err(bytes: &[u8]) {
    let mut stderr = io::stderr().lock();
    settle(stderr.write_all(bytes));
}

/// Writes a line to standard error.
pub(crate) fn note(text: &str) {
    err(&[text.as_bytes(), b"\n"].concat());
}

/// Whether standard output is a terminal.
pub(crate) fn out_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub(crate) fn err_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether standard input is a terminal.
pub(crate) fn in_is_terminal() -> bool {
    io::stdin().is_terminal()
}

fn settle(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() == ErrorKind::BrokenPipe
    {
        crate::terminal::restore();
        std::process::exit(READER_GONE);
    }
}

//! Consoles of Windows.
#![expect(
    unsafe_code,
    reason = "the console is reached through the Win32 API only"
)]

use std::io;
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, DISABLE_NEWLINE_AUTO_RETURN, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT,
    ENABLE_PROCESSED_INPUT, ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING,
    GetConsoleMode, GetConsoleScreenBufferInfo, GetStdHandle, STD_HANDLE, STD_INPUT_HANDLE,
    STD_OUTPUT_HANDLE, SetConsoleMode,
};

/// How often the size is looked at: the console tells programs that read plain bytes nothing.
const LOOK: Duration = Duration::from_millis(250);

/// The modes of the console's input and output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Modes {
    input: u32,
    output: Option<u32>,
}

pub(super) fn enter_raw() -> io::Result<Option<Modes>> {
    let Some(input) = mode(STD_INPUT_HANDLE) else {
        return Ok(None);
    };
    let output = mode(STD_OUTPUT_HANDLE);
    let raw = (input & !(ENABLE_ECHO_INPUT | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT))
        | ENABLE_VIRTUAL_TERMINAL_INPUT;
    set_mode(STD_INPUT_HANDLE, raw)?;
    if let Some(output) = output {
        // An old console refuses the second flag: then lines end as it likes.
        let vt = output | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
        if set_mode(STD_OUTPUT_HANDLE, vt | DISABLE_NEWLINE_AUTO_RETURN).is_err() {
            let _ = set_mode(STD_OUTPUT_HANDLE, vt);
        }
    }
    Ok(Some(Modes { input, output }))
}

pub(super) fn leave_raw(modes: &Modes) {
    // Nothing better can be done when it fails: the console has gone.
    let _ = set_mode(STD_INPUT_HANDLE, modes.input);
    if let Some(output) = modes.output {
        let _ = set_mode(STD_OUTPUT_HANDLE, output);
    }
}

/// Rows and columns of the console's window.
pub(crate) fn size() -> Option<(u16, u16)> {
    let handle = handle(STD_OUTPUT_HANDLE)?;
    let mut info = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the handle is this process's standard output and `info` outlives the call.
    if unsafe { GetConsoleScreenBufferInfo(handle, &raw mut info) } == 0 {
        return None;
    }
    let window = info.srWindow;
    let rows = u16::try_from(window.Bottom - window.Top + 1).ok()?;
    let columns = u16::try_from(window.Right - window.Left + 1).ok()?;
    Some((rows, columns))
}

/// Tells when the console's window has changed its size.
#[derive(Debug)]
pub(crate) struct Resizes(Option<(u16, u16)>);

impl Resizes {
    /// Looks from now on.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unnecessary_wraps, reason = "other systems can fail")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(size()))
    }

    /// Waits for the next change.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = size();
            if now != self.0 {
                self.0 = now;
                return;
            }
        }
    }
}

/// Ctrl-C, handed to a container; from `new` on it no longer ends this process.
pub(crate) struct Signals(tokio::signal::windows::CtrlC);

impl Signals {
    /// Catches Ctrl-C from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    /// The next signal's name as the Engine API takes it.
    pub(crate) async fn next(&mut self) -> Option<&'static str> {
        self.0.recv().await.map(|()| "INT")
    }
}

fn handle(which: STD_HANDLE) -> Option<HANDLE> {
    // SAFETY: takes a constant and returns a handle that this process owns anyway.
    let handle = unsafe { GetStdHandle(which) };
    (!handle.is_null() && handle != INVALID_HANDLE_VALUE).then_some(handle)
}

fn mode(which: STD_HANDLE) -> Option<u32> {
    let handle = handle(which)?;
    let mut mode = 0;
    // SAFETY: the handle is valid and `mode` outlives the call.
    (unsafe { GetConsoleMode(handle, &raw mut mode) } != 0).then_some(mode)
}

fn set_mode(which: STD_HANDLE, mode: u32) -> io::Result<()> {
    let handle = handle(which).ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: the handle is valid; the call takes plain values.
    if unsafe { SetConsoleMode(handle, mode) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

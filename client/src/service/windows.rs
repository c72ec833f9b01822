//! Detaching a process on Windows.
#![expect(
    unsafe_code,
    reason = "whether a handle is inherited is set by a call without a safe form"
)]

use std::io::{stderr, stdin, stdout};
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::CommandExt;
use std::process::Command;

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};

const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// Its own process group and no console window: Ctrl-C and closing the caller's console do not
/// reach it. Nor does it get the caller's own streams: whoever reads them through a pipe would wait
/// for its end.
pub(super) fn detach(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
    let own = [
        stdin().as_raw_handle(),
        stdout().as_raw_handle(),
        stderr().as_raw_handle(),
    ];
    for handle in own {
        // SAFETY: at most the handle is refused, such as one of a console, and stays as it is.
        unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0) };
    }
}

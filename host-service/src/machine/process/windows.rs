//! Processes on Windows.
#![expect(
    unsafe_code,
    reason = "asking and ending a process that is no child has no safe form"
)]

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::Command;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, INFINITE, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
    PROCESS_TERMINATE, TerminateProcess, WaitForSingleObject,
};

const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

/// How a program that was ended by force ends.
const KILLED: u32 = 1;

pub(super) fn detach(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
}

/// A process that is not our child. While it is held, no other gets its number.
pub(super) struct Foreign(OwnedHandle);

impl Foreign {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        open(pid, PROCESS_SYNCHRONIZE).map(Self)
    }

    pub(super) fn wait(&self) {
        // SAFETY: the handle is ours, and open for waiting.
        unsafe { WaitForSingleObject(self.0.as_raw_handle(), INFINITE) };
    }
}

fn open(pid: u32, access: u32) -> io::Result<OwnedHandle> {
    // SAFETY: takes numbers only.
    let handle = unsafe { OpenProcess(access, 0, pid) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just gave it to us, and nobody else closes it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// In units of 100 ns.
pub(super) fn made(pid: u32) -> Option<u64> {
    let process = open(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()?;
    let mut times = [FILETIME::default(); 4];
    let [made, ended, kernel, user] = &mut times;
    // SAFETY: the handle is ours, and open for this; the times are places to write to.
    let done = unsafe { GetProcessTimes(process.as_raw_handle(), made, ended, kernel, user) };
    (done != 0).then(|| u64::from(made.dwHighDateTime) << 32 | u64::from(made.dwLowDateTime))
}

/// Not known.
pub(super) fn was_told(_pid: u32, _word: &str) -> bool {
    false
}

/// There is no gentle way to end a program without a window.
pub(super) fn terminate(pid: u32) {
    kill(pid);
}

pub(super) fn kill(pid: u32) {
    // It may have ended in this moment: then there is nothing to do.
    if let Ok(process) = open(pid, PROCESS_TERMINATE) {
        // SAFETY: the handle is ours, and open for this.
        unsafe { TerminateProcess(process.as_raw_handle(), KILLED) };
    }
}

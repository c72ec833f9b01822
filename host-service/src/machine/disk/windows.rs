//! Sparse files on Windows.
#![expect(unsafe_code, reason = "a file is marked by a call without a safe form")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_SET_SPARSE;

/// Bytes that the file takes on the disk: not asked for on Windows.
pub(crate) fn used(_path: &Path) -> Option<u64> {
    None
}

/// The folder's access list applies: it is in the person's profile.
pub(crate) fn private(_options: &mut OpenOptions) {}

/// Marks the file as sparse, or it would take its whole size at the first write near its end.
pub(super) fn make_sparse(disk: &File) -> io::Result<()> {
    let mut returned = 0;
    // SAFETY: the handle is the file's; the call reads nothing, and writes one length.
    let done = unsafe {
        DeviceIoControl(
            disk.as_raw_handle(),
            FSCTL_SET_SPARSE,
            null(),
            0,
            null_mut(),
            0,
            &raw mut returned,
            null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

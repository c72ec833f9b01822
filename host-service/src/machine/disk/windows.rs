//! Sparse files on Windows.
#![expect(
    unsafe_code,
    reason = "a file is marked and measured by calls without a safe form"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::ERROR_SHARING_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{GetCompressedFileSizeW, INVALID_FILE_SIZE};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_SET_SPARSE;

/// Bytes that the file takes on the disk.
pub(crate) fn used(path: &Path) -> Option<u64> {
    let name: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let mut high = 0;
    // SAFETY: the name ends with a zero; the number is a place to write to.
    let low = unsafe { GetCompressedFileSizeW(name.as_ptr(), &raw mut high) };
    (low != INVALID_FILE_SIZE).then(|| u64::from(high) << 32 | u64::from(low))
}

/// Whether another program has the file open and lets nobody write to it.
pub(super) fn is_taken(error: &io::Error) -> bool {
    error.raw_os_error() == i32::try_from(ERROR_SHARING_VIOLATION).ok()
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

//! Access lists: who may do what with a pipe or a folder.

use std::ffi::{OsString, c_void};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Component, Path, Prefix};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// An access list in the system's own form.
pub(super) struct Descriptor(*mut c_void);

impl Descriptor {
    /// Reads Windows' language for access lists.
    pub(super) fn new(text: &str) -> io::Result<Self> {
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor = null_mut();
        // SAFETY: the text ends with a zero; the descriptor is a place to write a pointer to.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        if made == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(descriptor))
    }

    /// As calls that make something want it. It must not outlive the descriptor.
    pub(super) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or_default(),
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us to free.
        unsafe { LocalFree(self.0) };
    }
}

/// Makes a folder that only this person, administrators and the system can enter, unless it is there.
/// What is put into it inherits that.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let person = person()?;
    let access = format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{person})");
    let descriptor = Descriptor::new(&access)?;
    let attributes = descriptor.attributes();
    let name = long(folder);
    // SAFETY: the name ends with a zero; the attributes and what they point to outlive the call.
    let made = unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) };
    if made != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    let there = error.raw_os_error() == i32::try_from(ERROR_ALREADY_EXISTS).ok();
    if there && folder.is_dir() {
        Ok(())
    } else {
        Err(error)
    }
}

/// A path in the form that may be long, where it has one.
fn long(path: &Path) -> Vec<u16> {
    let drive = |path: &Path| matches!(path.components().next(), Some(Component::Prefix(prefix)) if matches!(prefix.kind(), Prefix::Disk(_)));
    let mut name = OsString::new();
    if path.is_absolute() && drive(path) {
        name.push(r"\\?\");
    }
    name.push(path);
    name.encode_wide().chain([0]).collect()
}

/// The number by which Windows knows the person who runs this program.
fn person() -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the token is a place to write a handle to.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just gave it to us, and nobody else closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // Room for the structure and the longest number, aligned for both.
    let mut room = [0_u64; 32];
    let mut length = 0;
    // SAFETY: the room is as large as is said.
    let told = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            room.as_mut_ptr().cast(),
            u32::try_from(size_of_val(&room)).unwrap_or_default(),
            &raw mut length,
        )
    };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has put the structure there.
    let user = unsafe { &*room.as_ptr().cast::<TOKEN_USER>() };
    let mut text = null_mut();
    // SAFETY: the number is in the room; the text is a place to write a pointer to.
    if unsafe { ConvertSidToStringSidW(user.User.Sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the text ends with a zero.
    let length = (0..)
        .take_while(|&at| unsafe { *text.add(at) } != 0)
        .count();
    // SAFETY: so long is it.
    let said = String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(text, length) });
    // SAFETY: the system allocated it for us to free.
    unsafe { LocalFree(text.cast()) };
    Ok(said)
}

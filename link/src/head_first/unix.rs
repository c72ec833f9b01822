//! Unix sockets. Linux counts the bytes that were not read yet; macOS has them with the reader at
//! once, and the writer can't see them.

use tokio::net::UnixStream;

use super::Peer;

impl Peer for UnixStream {
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "an ioctl without a safe form")]
    fn has_read_all(&self) -> Option<bool> {
        use rustix::ioctl::{Getter, Opcode, ioctl};

        // Its name for sockets is SIOCOUTQ.
        const UNREAD: Opcode = 0x5411;
        // SAFETY: the kernel writes an int.
        let unread = unsafe { ioctl(self, Getter::<UNREAD, std::ffi::c_int>::new()) };
        unread.ok().map(|bytes| bytes == 0)
    }
}

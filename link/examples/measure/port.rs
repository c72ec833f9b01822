//! The guest's end of a virtio port, as a tokio stream.
#![expect(
    unsafe_code,
    reason = "tokio wants a promise about a file's descriptor"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Makes `/dev` of a machine that has nothing yet.
pub(crate) fn mount_devices() {
    use rustix::mount::{MountFlags, mount};
    let _ = std::fs::create_dir_all("/dev");
    mount("devtmpfs", "/dev", "devtmpfs", MountFlags::empty(), None).unwrap();
}

pub(crate) struct Port(AsyncFd<File>);

impl Port {
    pub(crate) fn open() -> Self {
        let nonblocking = 0o4000;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(nonblocking);
        let file = options.open("/dev/vport0p1").unwrap();
        // SAFETY: a file gives the same descriptor as long as it lives.
        Self(unsafe { AsyncFd::register(file) }.unwrap())
    }
}

impl AsyncRead for Port {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match guard.try_io(|port| port.get_ref().read(room)) {
                Ok(Ok(count)) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Port {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(result) = guard.try_io(|port| port.get_ref().write(buf)) {
                return Poll::Ready(result);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! Finding a virtio port by its name.

use std::io;
use std::path::{Path, PathBuf};

/// The device of the port with that name: `/dev/vport0p1`.
///
/// # Errors
/// When there is no such port.
pub fn device(name: &str) -> io::Result<PathBuf> {
    for entry in std::fs::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        let found = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if found.trim() == name {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no virtio port is called {name}"),
    ))
}

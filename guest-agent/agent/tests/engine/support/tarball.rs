//! Archives entry by entry, with names and numbers that libraries refuse to write.

use tar::{EntryType, Header};

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Tarball(Vec<u8>);

impl Tarball {
    /// Appends an entry whose name is taken as it is.
    pub(crate) fn entry(mut self, kind: u8, name: &str, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        let raw = header.as_ustar_mut().unwrap();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(EntryType::new(kind));
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(content.len() as u64);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(b'0', name, "", content)
    }

    /// A PAX record for the next entry.
    pub(crate) fn pax(self, key: &str, value: &str) -> Self {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        self.entry(
            b'x',
            "pax",
            "",
            format!("{length} {key}={value}\n").as_bytes(),
        )
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

//! Layers made by hand, and a destination with a neighbour that nothing may touch.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

use crate::unpack::{Nothing, unpack};
use crate::{Error, Result};

/// A layer in the making.
pub(super) struct Layer(Vec<u8>);

/// What an entry of a test layer looks like besides its name and kind.
pub(super) struct Look<'a> {
    pub(super) content: &'a [u8],
    pub(super) target: &'a str,
    pub(super) mode: u32,
    pub(super) owner: (u64, u64),
    pub(super) pax: Vec<(&'a str, Vec<u8>)>,
    pub(super) device: (u32, u32),
}

impl Default for Look<'_> {
    fn default() -> Self {
        Self {
            content: b"",
            target: "",
            mode: 0o644,
            owner: (0, 0),
            pax: Vec::new(),
            device: (0, 0),
        }
    }
}

impl Layer {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends an entry by hand: the library refuses to write names that attack.
    pub(super) fn add(mut self, kind: u8, name: &str, look: Look<'_>) -> Self {
        if !look.pax.is_empty() {
            let mut records = Vec::new();
            for (key, value) in &look.pax {
                let rest = key.len() + value.len() + 3;
                let mut length = rest + 1;
                while length != rest + length.to_string().len() {
                    length += 1;
                }
                records.extend(format!("{length} {key}=").into_bytes());
                records.extend_from_slice(value);
                records.push(b'\n');
            }
            self.block(
                b'x',
                "pax",
                &Look {
                    content: &records,
                    ..Look::default()
                },
            );
        }
        self.block(kind, name, &look);
        self
    }

    fn block(&mut self, kind: u8, name: &str, look: &Look<'_>) {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_ustar_mut().unwrap();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..look.target.len()].copy_from_slice(look.target.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(look.mode);
        header.set_uid(look.owner.0);
        header.set_gid(look.owner.1);
        header.set_mtime(1_000_000_000);
        header.set_size(look.content.len() as u64);
        header.set_device_major(look.device.0).unwrap();
        header.set_device_minor(look.device.1).unwrap();
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(look.content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    pub(super) fn file(self, name: &str, content: &str) -> Self {
        self.add(
            b'0',
            name,
            Look {
                content: content.as_bytes(),
                ..Look::default()
            },
        )
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.add(
            b'5',
            name,
            Look {
                mode: 0o755,
                ..Look::default()
            },
        )
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.add(
            b'2',
            name,
            Look {
                target,
                mode: 0o777,
                ..Look::default()
            },
        )
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.add(
            b'1',
            name,
            Look {
                target,
                ..Look::default()
            },
        )
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A destination with a neighbour that nothing may touch.
pub(super) struct Place {
    pub(super) home: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("layer")).unwrap();
        fs::create_dir(home.path().join("outside")).unwrap();
        fs::write(home.path().join("outside/secret"), "untouched").unwrap();
        Self { home }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.home.path().join("layer")
    }

    pub(super) fn outside(&self) -> String {
        self.home
            .path()
            .join("outside")
            .to_str()
            .unwrap()
            .to_owned()
    }

    pub(super) fn unpack(&self, layer: Layer) -> Result<u64> {
        let unpacked =
            unpack(layer.end().as_slice(), &self.root(), &Nothing).map(|written| written.size);
        let outside: Vec<_> = fs::read_dir(self.outside())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(outside, ["secret"], "something appeared outside");
        let secret = self.home.path().join("outside/secret");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(
            fs::metadata(&secret).unwrap().nlink(),
            1,
            "the secret got another name"
        );
        assert_eq!(
            fs::read_dir(self.home.path()).unwrap().count(),
            2,
            "something appeared beside"
        );
        unpacked
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap()
    }

    pub(super) fn meta(&self, name: &str) -> fs::Metadata {
        fs::symlink_metadata(self.root().join(name)).unwrap()
    }

    pub(super) fn xattr(&self, name: &str, xattr: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 256];
        let length = rustix::fs::lgetxattr(self.root().join(name), xattr, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }

    pub(super) fn is_whiteout(&self, name: &str) -> bool {
        let meta = self.meta(name);
        meta.file_type().is_char_device() && meta.rdev() == 0
    }
}

pub(super) fn invalid(result: Result<u64>) -> String {
    match result {
        Err(Error::Invalid(message)) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

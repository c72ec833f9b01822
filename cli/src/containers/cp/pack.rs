//! Files of this computer as the body of a request, read while it is sent.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use super::platform;
use crate::engine::Body;
use crate::failure::Failure;

/// What is sent at once, and how many of them wait.
const PIECE: usize = 256 * 1024;
const QUEUE: usize = 4;

/// Bytes sent so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is copied.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    meta: Metadata,
    pub(super) is_directory: bool,
}

impl Source {
    /// Looks at a path. A link is a link unless it is to be followed, or the path ends with a slash.
    pub(super) fn look(path: &Path, follow: bool) -> Result<Self, Failure> {
        let ends = path.to_string_lossy().ends_with('/');
        let meta = if follow || ends {
            std::fs::metadata(path)
        } else {
            std::fs::symlink_metadata(path)
        }
        .map_err(|error| Failure::file("copy", path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            is_directory: meta.is_dir(),
            meta,
        })
    }
}

/// An archive of the source in which it is called `name`.
pub(super) fn pack(source: Source, name: String, count: Count) -> Body {
    let (sender, pieces) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let last = sender.clone();
        let out = BufWriter::with_capacity(PIECE, Pieces { sender, count });
        let mut packer = Packer {
            tar: Builder::new(out),
            linked: HashMap::new(),
        };
        let packed = packer
            .any(&source.path, &source.meta, &name)
            .and_then(|()| packer.tar.into_inner()?.flush());
        if let Err(error) = packed {
            // The request breaks off, and nobody takes half of it for all.
            let _ = last.blocking_send(Err(error));
        }
    });
    let frames = futures::stream::unfold(pieces, async |mut pieces| {
        let piece: Option<io::Result<Bytes>> = pieces.recv().await;
        Some((piece?.map(Frame::data), pieces))
    });
    BodyExt::boxed(StreamBody::new(Box::pin(frames)))
}

struct Packer {
    tar: Builder<BufWriter<Pieces>>,
    /// Files with several names, and the first of them.
    linked: HashMap<(u64, u64), String>,
}

impl Packer {
    fn any(&mut self, path: &Path, meta: &Metadata, name: &str) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_metadata(meta);
        if meta.is_dir() {
            header.set_size(0);
            self.tar
                .append_data(&mut header, format!("{name}/"), io::empty())?;
            let mut members = std::fs::read_dir(path)
                .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
                .map_err(|error| about(path, &error))?;
            members.sort_by_key(std::fs::DirEntry::file_name);
            for member in members {
                let path = member.path();
                let meta = match std::fs::symlink_metadata(&path) {
                    // Gone since it was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    meta => meta.map_err(|error| about(&path, &error))?,
                };
                let member = member.file_name();
                self.any(
                    &path,
                    &meta,
                    &format!("{name}/{}", member.to_string_lossy()),
                )?;
            }
            return Ok(());
        }
        if meta.is_symlink() {
            header.set_size(0);
            let target = std::fs::read_link(path).map_err(|error| about(path, &error))?;
            return self.tar.append_link(&mut header, name, target);
        }
        if !meta.is_file() {
            // Sockets, devices and fifos of this computer mean nothing in a container.
            crate::output::note(&format!("left out: {} is no file", path.display()));
            return Ok(());
        }
        if let Some(identity) = platform::several_names(meta) {
            if let Some(first) = self.linked.get(&identity) {
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                return self.tar.append_link(&mut header, name, first);
            }
            self.linked.insert(identity, name.to_owned());
        }
        let file = File::open(path).map_err(|error| about(path, &error))?;
        let content = Exactly {
            file,
            left: meta.len(),
        };
        header.set_size(meta.len());
        self.tar.append_data(&mut header, name, content)
    }
}

/// Reads as many bytes as the header says, whatever becomes of the file meanwhile.
struct Exactly {
    file: File,
    left: u64,
}

impl io::Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let mut count = self.file.read(&mut buffer[..most])?;
        if count == 0 {
            buffer[..most].fill(0);
            count = most;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    count: Count,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sender
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        self.count
            .0
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

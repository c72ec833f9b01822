//! An archive from a container into a directory of this computer. Containers are not trusted: no
//! name leads out of the directory, and nothing is written through a link.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tar::{Archive, Entry, EntryType};
use tokio::sync::mpsc;

use super::paths::renamed;
use crate::engine::Error;
use crate::failure::Failure;
use crate::output;

const QUEUE: usize = 16;

/// Extracts and returns how many bytes came.
pub(super) async fn unpack(
    mut body: Incoming,
    directory: PathBuf,
    rename: Option<(String, String)>,
) -> Result<u64, Failure> {
    let (sender, pieces) = mpsc::channel(QUEUE);
    let work = tokio::task::spawn_blocking(move || {
        let mut reader = Pieces {
            pieces,
            current: Bytes::new(),
        };
        let done = Unpacking {
            directory,
            rename,
            times: Vec::new(),
        }
        .run(&mut reader);
        // What follows the archive's end mark.
        done.and_then(|()| {
            io::copy(&mut reader, &mut io::sink())
                .map(drop)
                .map_err(read_failed)
        })
    });
    let mut bytes = 0;
    let feeding = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(Error::Conversation)?;
            if let Ok(chunk) = frame.into_data() {
                bytes += chunk.len() as u64;
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
        }
        drop(sender);
        Ok::<(), Failure>(())
    };
    let (fed, done) = tokio::join!(feeding, work);
    // What broke the stream off explains what the reader found missing.
    fed?;
    done.map_err(|error| Failure::new(error.to_string()))??;
    Ok(bytes)
}

struct Unpacking {
    directory: PathBuf,
    rename: Option<(String, String)>,
    /// Directories' times, set last because every file made in one changes it.
    times: Vec<(PathBuf, u64)>,
}

impl Unpacking {
    fn run(mut self, reader: &mut impl Read) -> Result<(), Failure> {
        let mut archive = Archive::new(reader);
        for entry in archive.entries().map_err(read_failed)? {
            self.entry(&mut entry.map_err(read_failed)?)?;
        }
        for (path, seconds) in self.times {
            if let Ok(file) = File::open(&path) {
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
                // Windows opens no directories this way, and a time is not worth a failure.
                let _ = file.set_modified(time);
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), Failure> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(path) = self.place(&name)? else {
            return Ok(());
        };
        let kind = entry.header().entry_type();
        let is_directory = kind.is_dir();
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() != is_directory => {
                let (old, new) = if is_directory {
                    ("non-directory", "directory")
                } else {
                    ("directory", "non-directory")
                };
                return Err(Failure::new(format!(
                    "cannot overwrite {old} {:?} with {new} {:?}",
                    path.display().to_string(),
                    self.directory.display().to_string()
                )));
            }
            Ok(meta) if !meta.is_dir() => {
                fs::remove_file(&path).map_err(|error| Failure::file("replace", &path, &error))?;
            }
            _ => {}
        }
        let failed = |error: io::Error| Failure::file("write", &path, &error);
        match kind {
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                let target = String::from_utf8_lossy(&target).into_owned();
                if let Some(original) = self.place(&target)? {
                    fs::hard_link(&original, &path).map_err(failed)?;
                }
                return Ok(());
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                output::note(&format!("left out: {} is no file", path.display()));
                return Ok(());
            }
            EntryType::Directory => {
                if let Ok(seconds) = entry.header().mtime() {
                    self.times.push((path.clone(), seconds));
                }
            }
            _ => {}
        }
        entry.set_preserve_permissions(true);
        entry.set_preserve_mtime(!is_directory);
        entry.set_unpack_xattrs(false);
        entry.unpack(&path).map_err(failed)?;
        Ok(())
    }

    /// Where an entry goes; nothing for the directory itself. Makes the directories above it.
    fn place(&self, name: &str) -> Result<Option<PathBuf>, Failure> {
        let name = match &self.rename {
            Some((old, new)) => renamed(name, (old, new)),
            None => name.to_owned(),
        };
        let mut inside = PathBuf::new();
        for component in Path::new(name.trim_start_matches('/')).components() {
            match component {
                Component::Normal(part) => inside.push(part),
                Component::CurDir => {}
                _ => {
                    return Err(Failure::new(format!(
                        "{name:?} is outside of {:?}",
                        self.directory.display().to_string()
                    ))
                    .hint("the archive from the container is not to be trusted"));
                }
            }
        }
        let Some(parent) = inside.parent() else {
            return Ok(None);
        };
        let mut at = self.directory.clone();
        for component in parent.components() {
            at.push(component);
            match fs::symlink_metadata(&at) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => {
                    return Err(Failure::new(format!("{} is no directory", at.display()))
                        .because("nothing is written through links"));
                }
                Err(_) => {
                    fs::create_dir(&at).map_err(|error| Failure::file("create", &at, &error))?;
                }
            }
        }
        Ok(Some(self.directory.join(inside)))
    }
}

fn read_failed(error: io::Error) -> Failure {
    Failure::new("the archive from the engine is damaged or broke off").because(error.to_string())
}

struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

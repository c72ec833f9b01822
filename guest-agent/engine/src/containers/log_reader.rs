//! Reading `json-file` logs: the rotated files in order, from the last lines backwards, and on as
//! the file grows.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::Error;
use crate::time::Time;

/// One line of the log.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    /// What was written, usually with its line feed.
    #[serde(default)]
    pub(crate) log: String,
    /// `stdout` or `stderr`.
    #[serde(default)]
    pub(crate) stream: String,
    /// When.
    pub(crate) time: Time,
}

/// A position in the log.
#[derive(Debug)]
pub(crate) struct LogReader {
    path: PathBuf,
    /// Older files still to read, the next one last.
    older: Vec<(PathBuf, u64)>,
    current: Option<BufReader<File>>,
    current_inode: u64,
    partial: Vec<u8>,
}

impl LogReader {
    /// Starts at the last `tail` lines, or at the beginning.
    pub(crate) fn open(path: &Path, tail: Option<usize>) -> Result<Self, Error> {
        let mut files = vec![path.to_owned()];
        for number in 1.. {
            let rotated = PathBuf::from(format!("{}.{number}", path.display()));
            if !rotated.exists() {
                break;
            }
            files.push(rotated);
        }
        let mut older = Vec::new();
        let mut wanted = tail;
        // From the newest to the oldest, so that `older` ends up with the newest first.
        for file in files {
            let (start, found) = match wanted {
                Some(lines) => last_lines(&file, lines)?,
                None => (0, 0),
            };
            older.push((file, start));
            if let Some(lines) = wanted.as_mut() {
                *lines -= found.min(*lines);
                if *lines == 0 {
                    break;
                }
            }
        }
        Ok(Self {
            path: path.to_owned(),
            older,
            current: None,
            current_inode: 0,
            partial: Vec::new(),
        })
    }

    /// The next entry, or nothing at the present end. Damaged lines are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            let Some(reader) = self.current.as_mut() else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            let count = reader
                .read_until(b'\n', &mut self.partial)
                .map_err(|e| Error::file("reading", &self.path, e))?;
            if count == 0 || !self.partial.ends_with(b"\n") {
                // The end for now. A line that is still being written stays in `partial`.
                if self.has_more_files() {
                    self.partial.clear();
                    self.current = None;
                    continue;
                }
                return Ok(None);
            }
            let entry = serde_json::from_slice(&self.partial).ok();
            self.partial.clear();
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }

    fn has_more_files(&self) -> bool {
        if !self.older.is_empty() {
            return true;
        }
        // The warden has rotated when the path names another file.
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.ino() != self.current_inode)
    }

    fn open_next(&mut self) -> Result<bool, Error> {
        let (path, start) = self.older.pop().unwrap_or_else(|| (self.path.clone(), 0));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(!self.older.is_empty());
            }
            Err(e) => return Err(Error::file("opening", &path, e)),
        };
        let failed = |e| Error::file("reading", &path, e);
        let inode = file.metadata().map_err(failed)?.ino();
        if inode == self.current_inode && self.older.is_empty() {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        self.current_inode = inode;
        self.current = Some(BufReader::with_capacity(64 * 1024, file));
        Ok(true)
    }
}

/// Where the last `lines` lines of a file begin, and how many there are.
fn last_lines(path: &Path, lines: usize) -> Result<(u64, usize), Error> {
    const BLOCK: u64 = 64 * 1024;
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((0, 0)),
        Err(e) => return Err(Error::file("opening", path, e)),
    };
    let failed = |e| Error::file("reading", path, e);
    let size = file.metadata().map_err(failed)?.len();
    if lines == 0 {
        return Ok((size, 0));
    }
    let mut end = size;
    let mut found = 0;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        block.resize(usize::try_from(end - start).unwrap_or(0), 0);
        file.read_exact(&mut block).map_err(failed)?;
        for (at, _) in block.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            let position = start + at as u64;
            // The file's last line feed ends a line rather than beginning one.
            if position + 1 == size {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok((position + 1, lines));
            }
        }
        end = start;
    }
    Ok((0, if size > 0 { found + 1 } else { 0 }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Write;

    fn line(text: &str) -> String {
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}}\n"
        )
    }

    fn texts(reader: &mut LogReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next().unwrap())
            .map(|e| e.log.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn tails_across_rotation_and_follows_it() {
        let dir = std::env::temp_dir().join(format!("slipway-log-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("x-json.log");
        let old = PathBuf::from(format!("{}.1", path.display()));
        std::fs::write(&old, line("a") + &line("b")).unwrap();
        std::fs::write(&path, line("c")).unwrap();
        assert_eq!(
            texts(&mut LogReader::open(&path, None).unwrap()),
            ["a", "b", "c"]
        );
        assert_eq!(
            texts(&mut LogReader::open(&path, Some(2)).unwrap()),
            ["b", "c"]
        );
        assert_eq!(texts(&mut LogReader::open(&path, Some(1)).unwrap()), ["c"]);
        assert_eq!(
            texts(&mut LogReader::open(&path, Some(9)).unwrap()).len(),
            3
        );

        let mut reader = LogReader::open(&path, Some(0)).unwrap();
        assert!(texts(&mut reader).is_empty());
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(line("d").as_bytes())
            .unwrap();
        assert_eq!(texts(&mut reader), ["d"]);
        std::fs::rename(&path, &old).unwrap();
        std::fs::write(&path, line("e")).unwrap();
        assert_eq!(texts(&mut reader), ["e"]);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

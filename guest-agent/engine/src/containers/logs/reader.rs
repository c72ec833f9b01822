//! Reading a log from its last entries or from its beginning, across rotated files, and on as it
//! grows.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use runtime::spec::LogFormat;

use super::entry::Entry;
use super::files::{self, Content, LogFile};
use crate::Error;

/// A position in the log.
pub(super) struct LogReader {
    path: PathBuf,
    format: LogFormat,
    /// Files still to read, the next one first.
    ahead: VecDeque<LogFile>,
    /// The file being read. It stays open, so nobody else gets its inode.
    current: Option<(LogFile, Content)>,
    entry: Vec<u8>,
    /// `entry` is complete.
    whole: bool,
    /// The end of a rotated file was read twice.
    looked_again: bool,
}

impl LogReader {
    /// Starts at the last `tail` entries, or at the beginning.
    pub(super) fn open(path: &Path, format: LogFormat, tail: Option<usize>) -> Result<Self, Error> {
        let mut ahead = VecDeque::new();
        let mut wanted = tail;
        for mut file in files::all(path)? {
            if let Some(left) = &mut wanted {
                *left -= file.keep_last(*left, format)?.min(*left);
            }
            ahead.push_front(file);
            if wanted == Some(0) {
                break;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            format,
            ahead,
            current: None,
            entry: Vec::new(),
            whole: false,
            looked_again: false,
        })
    }

    /// Moves to the next entry; false at the present end.
    pub(super) fn advance(&mut self) -> Result<bool, Error> {
        if std::mem::take(&mut self.whole) {
            self.entry.clear();
        }
        loop {
            let Some((_, content)) = &mut self.current else {
                if !self.open_next()? {
                    return Ok(false);
                }
                continue;
            };
            match files::read_entry(content, self.format, &mut self.entry) {
                Ok(true) => {
                    self.whole = true;
                    return Ok(true);
                }
                // The end for now. What is still being written stays.
                Ok(false) if !self.has_more()? => return Ok(false),
                // Something may have been written between that end and the rotation.
                Ok(false) if !std::mem::replace(&mut self.looked_again, true) => {}
                Ok(false) => self.leave(),
                Err(error) => {
                    tracing::warn!(%error, path = %self.path.display(), "a log can't be read on");
                    self.leave();
                    if self.ahead.is_empty() {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// The entry that it stands at; nothing when that is damaged.
    pub(super) fn entry(&self) -> Option<Entry<'_>> {
        match self.format {
            LogFormat::JsonFile => Entry::json(&self.entry),
            LogFormat::Local => Entry::local(&self.entry),
        }
    }

    fn leave(&mut self) {
        self.current = None;
        self.entry.clear();
        self.looked_again = false;
    }

    /// Whether there is a file behind the one that was read to its end.
    fn has_more(&mut self) -> Result<bool, Error> {
        if !self.ahead.is_empty() {
            return Ok(true);
        }
        let Some((current, _)) = &self.current else {
            return Ok(false);
        };
        // The warden has rotated when the path names another file.
        let newest = std::fs::metadata(&self.path);
        if newest.is_ok_and(|meta| meta.ino() == current.inode) {
            return Ok(false);
        }
        // Perhaps more than once: what came after the present file is read in order.
        let inode = current.inode;
        for file in files::all(&self.path)? {
            if file.inode == inode {
                break;
            }
            self.ahead.push_front(file);
        }
        Ok(!self.ahead.is_empty())
    }

    fn open_next(&mut self) -> Result<bool, Error> {
        if self.ahead.is_empty() {
            // Nothing was written when the log was opened.
            self.ahead = files::all(&self.path)?.into_iter().rev().collect();
        }
        let Some(file) = self.ahead.pop_front() else {
            return Ok(false);
        };
        let content = file.content(self.format)?;
        self.current = Some((file, content));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Write;
    use warden::log::local;

    fn line(text: &str) -> Vec<u8> {
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}}\n"
        )
        .into_bytes()
    }

    fn record(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let record = local::Record {
            stderr: false,
            partial: false,
            time: 0,
            line: text.as_bytes(),
        };
        record.encode(&mut out);
        out
    }

    fn texts(reader: &mut LogReader) -> Vec<String> {
        let mut texts = Vec::new();
        while reader.advance().unwrap() {
            let mut text = Vec::new();
            reader.entry().unwrap().put_line(&mut text);
            texts.push(String::from_utf8(text).unwrap().trim_end().to_owned());
        }
        texts
    }

    fn append(path: &Path, bytes: &[u8]) {
        let mut file = std::fs::OpenOptions::new();
        file.append(true).create(true);
        file.open(path).unwrap().write_all(bytes).unwrap();
    }

    fn check(format: LogFormat, write: fn(&str) -> Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let numbered = |n: u32| dir.path().join(format!("log.{n}"));
        std::fs::write(numbered(1), [write("a"), write("b")].concat()).unwrap();
        std::fs::write(&path, write("c")).unwrap();
        let open = |tail| LogReader::open(&path, format, tail).unwrap();
        assert_eq!(texts(&mut open(None)), ["a", "b", "c"]);
        assert_eq!(texts(&mut open(Some(2))), ["b", "c"]);
        assert_eq!(texts(&mut open(Some(1))), ["c"]);
        assert_eq!(texts(&mut open(Some(9))), ["a", "b", "c"]);

        // A reader that follows sees every line of two rotations that it slept through.
        let mut reader = open(Some(0));
        assert!(texts(&mut reader).is_empty());
        let d = write("d");
        append(&path, &d[..5]);
        assert!(texts(&mut reader).is_empty());
        append(&path, &d[5..]);
        std::fs::remove_file(numbered(1)).unwrap();
        std::fs::rename(&path, numbered(2)).unwrap();
        std::fs::write(numbered(1), write("e")).unwrap();
        std::fs::write(&path, write("f")).unwrap();
        assert_eq!(texts(&mut reader), ["d", "e", "f"]);
        append(&path, &write("g"));
        assert_eq!(texts(&mut reader), ["g"]);

        // Compressed files are read as well, from their end too.
        let old = std::fs::File::open(numbered(2)).unwrap();
        let inode = old.metadata().unwrap().ino();
        let gz = std::fs::File::create(dir.path().join("log.2.gz")).unwrap();
        super::super::compress::compress(&old, gz, inode).unwrap();
        let old = std::fs::File::open(numbered(2)).unwrap();
        std::fs::remove_file(numbered(2)).unwrap();
        assert_eq!(texts(&mut open(None)), ["c", "d", "e", "f", "g"]);
        // The newest file may have got the inode that a compressed one had.
        let reused = std::fs::metadata(&path).unwrap().ino();
        let gz = std::fs::File::create(dir.path().join("log.2.gz")).unwrap();
        super::super::compress::compress(&old, gz, reused).unwrap();
        assert_eq!(texts(&mut open(None)), ["c", "d", "e", "f", "g"]);
        assert_eq!(texts(&mut open(Some(4))), ["d", "e", "f", "g"]);
    }

    #[test]
    fn json_files_are_tailed_and_followed_across_rotation() {
        check(LogFormat::JsonFile, line);
    }

    #[test]
    fn local_logs_are_tailed_and_followed_across_rotation() {
        check(LogFormat::Local, record);
    }
}

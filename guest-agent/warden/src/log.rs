//! A container's log: lines cut from its output, written in the format that its driver asks for,
//! rotated by size.

mod json_file;
pub mod local;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use runtime::spec::{LogFormat, LogSpec};

/// The longest piece of a line in one entry; the rest follows in entries of its own.
const LONGEST_PIECE: usize = 16 * 1024;

/// A buffer beyond this is given back when the container falls quiet.
const SMALL_BUFFER: usize = 64 * 1024;

/// What is put behind the name of a compressed file.
pub const COMPRESSED: &str = ".gz";

/// Which standard stream bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name in the log.
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// The number in the header of an attached client's frames.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }
}

/// A point in time and, once it was needed, its text.
#[derive(Clone)]
struct Moment {
    time: Timestamp,
    text: Option<String>,
}

impl Moment {
    fn now() -> Self {
        Self {
            time: Timestamp::now(),
            text: None,
        }
    }

    /// RFC 3339 with as many digits of the second as are not zero.
    fn text(&mut self) -> &str {
        self.text.get_or_insert_with(|| self.time.to_string())
    }

    fn nanoseconds(&self) -> i64 {
        i64::try_from(self.time.as_nanosecond()).unwrap_or(0)
    }
}

/// A line that is not finished.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Time of the line's first piece, when pieces of it were already written.
    started: Option<Moment>,
}

/// Writes one container's log.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    format: LogFormat,
    attrs: String,
    /// Bytes in the file.
    size: u64,
    max_size: Option<u64>,
    max_files: u32,
    pending: [Pending; 2],
    /// Whole entries, to be written at once.
    buffer: Vec<u8>,
    /// There were rotations that the engine wants to know of and was not told.
    rotated: bool,
    compress: bool,
}

impl Log {
    /// Opens the file for appending; `None` when the container keeps no log.
    pub(crate) fn open(spec: &LogSpec) -> std::io::Result<Option<Self>> {
        let Some(path) = &spec.path else {
            return Ok(None);
        };
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(Some(Self {
            path: path.clone(),
            file,
            format: spec.format,
            attrs: spec.attrs.clone(),
            size,
            max_size: spec.max_size.filter(|size| *size > 0),
            max_files: spec.max_files.max(1),
            pending: <[Pending; 2]>::default(),
            buffer: Vec::new(),
            rotated: false,
            compress: spec.compress,
        }))
    }

    /// Takes bytes of a stream and writes the lines that are complete.
    pub(crate) fn write(&mut self, stream: Stream, mut bytes: &[u8]) -> std::io::Result<()> {
        let mut now = Moment::now();
        let little = bytes.len() < LONGEST_PIECE;
        let mut pending = std::mem::take(&mut self.pending[stream as usize]);
        let mut outcome = Ok(());
        while !bytes.is_empty() && outcome.is_ok() {
            let room = LONGEST_PIECE - pending.bytes.len();
            let window = &bytes[..bytes.len().min(room)];
            let newline = memchr::memchr(b'\n', window);
            let (taken, rest) = bytes.split_at(newline.map_or(window.len(), |at| at + 1));
            bytes = rest;
            // Most lines are whole and need no copy.
            let copied = if pending.bytes.is_empty() {
                None
            } else {
                pending.bytes.extend_from_slice(taken);
                Some(std::mem::take(&mut pending.bytes))
            };
            let line = copied.as_deref().unwrap_or(taken);
            if newline.is_some() {
                let mut first = pending.started.take();
                outcome = self.entry(stream, line, first.as_mut().unwrap_or(&mut now));
            } else if line.len() == LONGEST_PIECE {
                let first = pending.started.get_or_insert_with(|| now.clone());
                outcome = self.entry(stream, line, first);
            } else {
                pending.bytes = copied.unwrap_or_else(|| taken.to_vec());
            }
        }
        self.pending[stream as usize] = pending;
        outcome.and_then(|()| self.flush())?;
        if little && self.buffer.capacity() > SMALL_BUFFER {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Writes what is left of a stream that has ended inside a line.
    pub(crate) fn end(&mut self, stream: Stream) -> std::io::Result<()> {
        let pending = std::mem::take(&mut self.pending[stream as usize]);
        if !pending.bytes.is_empty() {
            let mut time = pending.started.unwrap_or_else(Moment::now);
            self.entry(stream, &pending.bytes, &mut time)?;
        }
        self.flush()
    }

    /// Whether there were rotations since the last question, and the engine wants to know.
    pub(crate) fn take_rotated(&mut self) -> bool {
        std::mem::take(&mut self.rotated) && self.compress
    }

    fn entry(&mut self, stream: Stream, line: &[u8], time: &mut Moment) -> std::io::Result<()> {
        if let Some(limit) = self.max_size
            && self.size + self.buffer.len() as u64 >= limit
        {
            self.flush()?;
            self.rotate()?;
        }
        match self.format {
            LogFormat::JsonFile => {
                json_file::entry(&mut self.buffer, stream, line, &self.attrs, time.text());
            }
            LogFormat::Local => {
                let whole = line.strip_suffix(b"\n");
                let record = local::Record {
                    stderr: stream == Stream::Stderr,
                    partial: whole.is_none(),
                    time: time.nanoseconds(),
                    line: whole.unwrap_or(line),
                };
                record.encode(&mut self.buffer);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // What can't be written is given up: the container must not wait for a disk.
        let written = self.file.write_all(&self.buffer);
        self.size += self.buffer.len() as u64;
        self.buffer.clear();
        written
    }

    fn numbered(&self, number: u32, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.push(suffix);
        PathBuf::from(name)
    }

    /// `path` becomes `path.1`, `path.1` becomes `path.2`, and the oldest goes. Rotated files may be
    /// compressed.
    fn rotate(&mut self) -> std::io::Result<()> {
        let oldest = self.max_files - 1;
        for suffix in ["", COMPRESSED] {
            missing_is_fine(std::fs::remove_file(self.numbered(oldest, suffix)))?;
            for number in (1..self.max_files).rev() {
                let (from, to) = (number - 1, number);
                if from > 0 || suffix.is_empty() {
                    missing_is_fine(std::fs::rename(
                        self.numbered(from, suffix),
                        self.numbered(to, suffix),
                    ))?;
                }
            }
        }
        self.file = append(&self.path)?;
        self.size = 0;
        self.rotated = true;
        Ok(())
    }

    /// Puts `compressed`, made of the rotated file with this inode, into that file's place. By now
    /// that file may have moved on, or be gone.
    pub(crate) fn replace(&self, inode: u64, compressed: &Path) -> std::io::Result<()> {
        for number in 1..self.max_files {
            let plain = self.numbered(number, "");
            if std::fs::metadata(&plain).is_ok_and(|found| found.ino() == inode) {
                std::fs::rename(compressed, self.numbered(number, COMPRESSED))?;
                return std::fs::remove_file(plain);
            }
        }
        std::fs::remove_file(compressed)
    }
}

fn missing_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    File::options()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn spec(directory: &Path, max_size: Option<u64>, max_files: u32) -> LogSpec {
        LogSpec {
            path: Some(directory.join("log")),
            format: LogFormat::JsonFile,
            attrs: String::new(),
            compress: false,
            max_size,
            max_files,
        }
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        std::fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_split_and_joined_as_docker_does() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(&spec(directory.path(), None, 1))
            .unwrap()
            .unwrap();
        log.write(Stream::Stdout, b"one\ntwo").unwrap();
        log.write(Stream::Stderr, b"err\n").unwrap();
        log.write(Stream::Stdout, b" more\nlast").unwrap();
        log.end(Stream::Stdout).unwrap();
        let found: Vec<_> = lines(&directory.path().join("log"))
            .iter()
            .map(|entry| format!("{}:{}", entry["stream"], entry["log"]))
            .collect();
        assert_eq!(
            found,
            [
                r#""stdout":"one\n""#,
                r#""stderr":"err\n""#,
                r#""stdout":"two more\n""#,
                r#""stdout":"last""#
            ]
        );
    }

    #[test]
    fn a_long_line_comes_in_pieces_with_one_time() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(&spec(directory.path(), None, 1))
            .unwrap()
            .unwrap();
        let long = vec![b'x'; LONGEST_PIECE * 2 + 5];
        log.write(Stream::Stdout, &long).unwrap();
        log.write(Stream::Stdout, b"\nexact").unwrap();
        let exact = vec![b'y'; LONGEST_PIECE - 5];
        log.write(Stream::Stdout, &exact).unwrap();
        log.write(Stream::Stdout, b"\n").unwrap();
        let entries = lines(&directory.path().join("log"));
        let lengths: Vec<_> = entries
            .iter()
            .map(|entry| entry["log"].as_str().unwrap().len())
            .collect();
        assert_eq!(lengths, [LONGEST_PIECE, LONGEST_PIECE, 6, LONGEST_PIECE, 1]);
        assert_eq!(entries[0]["time"], entries[2]["time"]);
    }

    #[test]
    fn attributes_stand_in_every_entry() {
        let directory = tempfile::tempdir().unwrap();
        let mut spec = spec(directory.path(), None, 1);
        spec.attrs = r#"{"tag":"t"}"#.into();
        let mut log = Log::open(&spec).unwrap().unwrap();
        log.write(Stream::Stdout, b"one\n").unwrap();
        assert_eq!(lines(&directory.path().join("log"))[0]["attrs"]["tag"], "t");
    }

    #[test]
    fn a_compressed_file_takes_the_place_of_its_source_wherever_that_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut log = Log::open(&spec(directory.path(), Some(1), 4))
            .unwrap()
            .unwrap();
        log.write(Stream::Stdout, b"one\ntwo\n").unwrap();
        let inode = std::fs::metadata(path("log.1")).unwrap().ino();
        log.write(Stream::Stdout, b"three\n").unwrap();
        std::fs::write(path("made"), "compressed").unwrap();
        log.replace(inode, &path("made")).unwrap();
        assert!(path("log.2.gz").exists() && !path("log.2").exists());
        log.write(Stream::Stdout, b"four\n").unwrap();
        assert_eq!(std::fs::read(path("log.3.gz")).unwrap(), b"compressed");
        assert!(path("log.2").exists() && path("log.1").exists());
        // The next one is too many.
        log.write(Stream::Stdout, b"five\n").unwrap();
        assert!(!path("log.3.gz").exists() && path("log.3").exists());
        std::fs::write(path("made"), "too late").unwrap();
        log.replace(inode, &path("made")).unwrap();
        assert!(!path("made").exists());
    }

    #[test]
    fn rotation_keeps_the_newest_files_and_whole_lines() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::open(&spec(directory.path(), Some(200), 3))
            .unwrap()
            .unwrap();
        for number in 0..20 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes())
                .unwrap();
        }
        log.write(Stream::Stdout, &b"burst\n".repeat(4)).unwrap();
        let path = directory.path().join("log");
        assert!(!lines(&path).is_empty());
        let older = directory.path().join("log.1");
        assert!(lines(&older).len() >= 2);
        assert!(directory.path().join("log.2").exists());
        assert!(!directory.path().join("log.3").exists());
    }
}

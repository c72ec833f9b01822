//! A container's log in Docker's `json-file` format: one JSON object a line, written and split
//! byte for byte as dockerd does, so that every reader of such files understands it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use runtime::spec::LogSpec;

use crate::clock;

/// The longest piece of a line in one entry; the rest follows in entries of its own.
const LONGEST_PIECE: usize = 16 * 1024;

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

/// A line that is not finished.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Time of the line's first piece, when pieces of it were already written.
    started: Option<String>,
}

/// Writes one container's log.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: Option<u64>,
    max_files: u32,
    pending: [Pending; 2],
    buffer: Vec<u8>,
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
            size,
            max_size: spec.max_size.filter(|size| *size > 0),
            max_files: spec.max_files.max(1),
            pending: <[Pending; 2]>::default(),
            buffer: Vec::new(),
        }))
    }

    /// Takes bytes of a stream and writes the lines that are complete.
    pub(crate) fn write(&mut self, stream: Stream, mut bytes: &[u8]) -> std::io::Result<()> {
        let now = clock::now();
        let mut pending = std::mem::take(&mut self.pending[stream as usize]);
        while !bytes.is_empty() {
            let room = LONGEST_PIECE - pending.bytes.len();
            let newline = bytes.iter().take(room + 1).position(|byte| *byte == b'\n');
            let take = newline.map_or_else(|| bytes.len().min(room), |at| at + 1);
            pending.bytes.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if newline.is_some() {
                let time = pending.started.take().unwrap_or_else(|| now.clone());
                self.entry(stream, &pending.bytes, &time);
                pending.bytes.clear();
            } else if pending.bytes.len() == LONGEST_PIECE {
                let time = pending.started.get_or_insert_with(|| now.clone());
                self.entry(stream, &pending.bytes, time);
                pending.bytes.clear();
            }
        }
        self.pending[stream as usize] = pending;
        self.flush()
    }

    /// Writes what is left of a stream that has ended inside a line.
    pub(crate) fn end(&mut self, stream: Stream) -> std::io::Result<()> {
        let pending = std::mem::take(&mut self.pending[stream as usize]);
        if !pending.bytes.is_empty() {
            let time = pending.started.unwrap_or_else(clock::now);
            self.entry(stream, &pending.bytes, &time);
        }
        self.flush()
    }

    fn entry(&mut self, stream: Stream, line: &[u8], time: &str) {
        self.buffer.extend_from_slice(b"{\"log\":\"");
        escape(line, &mut self.buffer);
        self.buffer.extend_from_slice(b"\",\"stream\":\"");
        self.buffer.extend_from_slice(stream.name().as_bytes());
        self.buffer.extend_from_slice(b"\",\"time\":\"");
        self.buffer.extend_from_slice(time.as_bytes());
        self.buffer.extend_from_slice(b"\"}\n");
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let now = match self.max_size {
                None => rest.len(),
                Some(limit) => {
                    if self.size >= limit {
                        self.rotate()?;
                    }
                    entries_within(rest, limit - self.size)
                }
            };
            self.file.write_all(&rest[..now])?;
            self.size += now as u64;
            rest = &rest[now..];
        }
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    /// `path` becomes `path.1`, `path.1` becomes `path.2`, and the oldest goes.
    fn rotate(&mut self) -> std::io::Result<()> {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            if number > 0 {
                name.push(format!(".{number}"));
            }
            PathBuf::from(name)
        };
        if self.max_files < 2 {
            std::fs::remove_file(&self.path)?;
        }
        for number in (1..self.max_files).rev() {
            match std::fs::rename(numbered(number - 1), numbered(number)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
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

/// How many of the bytes to write before the next rotation: whole entries, up to and including the
/// one that passes the limit.
fn entries_within(bytes: &[u8], room: u64) -> usize {
    let from = usize::try_from(room)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    if from >= bytes.len() {
        return bytes.len();
    }
    bytes[from..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |at| from + at + 1)
}

/// JSON string escapes as dockerd writes them: HTML's special characters too, and the replacement
/// character for each byte that is not UTF-8.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        escape_text(chunk.valid().as_bytes(), out);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Copies runs of plain bytes at once: a log is mostly that.
fn escape_text(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut plain_from = 0;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let separator =
            byte == 0xe2 && matches!(text.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9]));
        let length = if separator { 3 } else { 1 };
        if separator || byte < 0x20 || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&') {
            out.extend_from_slice(&text[plain_from..at]);
            plain_from = at + length;
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                0xe2 => {
                    out.extend_from_slice(b"\\u202");
                    out.push(text[at + 2] - 0xa8 + b'8');
                }
                _ => {
                    out.extend_from_slice(b"\\u00");
                    out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
            }
        }
        at += length;
    }
    out.extend_from_slice(&text[plain_from..]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn spec(directory: &Path, max_size: Option<u64>, max_files: u32) -> LogSpec {
        LogSpec {
            path: Some(directory.join("log")),
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
    fn escapes_are_dockers() {
        let mut out = Vec::new();
        escape(b"a\"\\\t\r\n<&>\xff\x7f\xe2\x82\xac\xe2\x80\xa9", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\\"\\\\\\u0009\\r\\n\\u003c\\u0026\\u003e\\ufffd\x7f€\\u2029"
        );
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

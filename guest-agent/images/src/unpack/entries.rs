//! The entries of a tar stream, read with a fixed window over the stream.
//!
//! `tar-core` parses headers (ustar, GNU, PAX, sparse); this file feeds it and hands out contents.
//! PAX times and numbers are read here as well, because the parser cuts fractions and knows no
//! times before 1970.

use std::io::Read;

use tar_core::parse::{Limits, ParseError, ParseEvent, ParsedEntry, Parser};
use tar_core::{EntryType, PaxExtensions, SparseEntry};

use crate::{Error, Result};

/// Linux's PATH_MAX: no longer name can be made anyway.
const MAX_PATH: u32 = 4096;
const WINDOW: usize = 256 * 1024;

/// One entry, with everything but its content.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name as written.
    pub(crate) path: Vec<u8>,
    /// What it is.
    pub(crate) node: Node,
    /// Owner, mode, times, extended attributes.
    pub(crate) attributes: Attributes,
}

/// What an entry makes.
#[derive(Debug)]
pub(crate) enum Node {
    /// A directory.
    Directory,
    /// A regular file; its content follows.
    File(Content),
    /// A symbolic link to this text.
    Symlink(Vec<u8>),
    /// Another name of an earlier entry.
    HardLink(Vec<u8>),
    /// A device or a fifo.
    Device {
        /// Which.
        kind: rustix::fs::FileType,
        /// Major number, zero for a fifo.
        major: u32,
        /// Minor number, zero for a fifo.
        minor: u32,
    },
}

/// How a file's content lies in the stream.
#[derive(Debug)]
pub(crate) enum Content {
    /// As it is, this many bytes.
    Plain(u64),
    /// Only some regions; the rest are holes.
    Sparse {
        /// The regions, in stream order.
        regions: Vec<SparseEntry>,
        /// The file's size.
        size: u64,
    },
}

/// Owner, mode, modification time and extended attributes.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Modification time: seconds since 1970 (negative before) and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Names and values.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keep overlayfs's own marks among them.
    pub(crate) marks: bool,
}

/// Reads entries and their contents in turn.
pub(crate) struct Entries<R> {
    source: R,
    parser: Parser,
    window: Vec<u8>,
    start: usize,
    end: usize,
    /// Content bytes of the current entry that are still in the stream, without padding.
    content: u64,
    padding: u64,
    ended: bool,
}

impl<R: Read> Entries<R> {
    pub(crate) fn new(source: R) -> Self {
        let mut parser = Parser::new(Limits {
            max_path_len: Some(MAX_PATH),
            ..Limits::default()
        });
        // Values the parser cannot read, such as times before 1970, are read in `pax_values`.
        parser.set_ignore_pax_errors(true);
        Self {
            source,
            parser,
            window: vec![0; WINDOW],
            start: 0,
            end: 0,
            content: 0,
            padding: 0,
            ended: false,
        }
    }

    /// Whether the archive's end was marked. Some writers leave the mark out, and then nobody can
    /// tell whether the archive is whole.
    pub(crate) fn is_whole(&self) -> bool {
        self.ended
    }

    /// The next entry, or `None` at the archive's end. The content of the entry before must have
    /// been finished with [`Self::finish_entry`].
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            let event = self
                .parser
                .parse(&self.window[self.start..self.end])
                .map_err(bad_archive)?;
            let (consumed, entry, sparse) = match event {
                ParseEvent::NeedData { min_bytes } => {
                    if self.fill(min_bytes)? {
                        continue;
                    }
                    // Some writers leave out the two zero blocks; a part of a header is a cut.
                    let rest = &self.window[self.start..self.end];
                    return if rest.iter().all(|&byte| byte == 0) && rest.len().is_multiple_of(512) {
                        self.ended = !rest.is_empty();
                        Ok(None)
                    } else {
                        Err(truncated())
                    };
                }
                ParseEvent::End { consumed } => {
                    self.start += consumed;
                    self.ended = true;
                    return Ok(None);
                }
                ParseEvent::GlobalExtensions { consumed, .. } => {
                    self.start += consumed;
                    continue;
                }
                ParseEvent::Entry { consumed, entry } => (consumed, entry, None),
                ParseEvent::SparseEntry {
                    consumed,
                    entry,
                    sparse_map,
                    real_size,
                } => (consumed, entry, Some((sparse_map, real_size))),
            };
            // Like Go's reader: only files have content, whatever a link's size field says.
            let has_content = !matches!(
                entry.entry_type,
                EntryType::Link
                    | EntryType::Symlink
                    | EntryType::Char
                    | EntryType::Block
                    | EntryType::Directory
                    | EntryType::Fifo
            );
            let size = if has_content { entry.size } else { 0 };
            let built = build(&entry, sparse)?;
            self.content = size;
            self.padding = size
                .checked_next_multiple_of(512)
                .ok_or_else(|| Error::invalid("a file of impossible size"))?
                - size;
            self.start += consumed;
            if let Some(entry) = built {
                return Ok(Some(entry));
            }
            self.finish_entry()?;
        }
    }

    /// Hands `size` content bytes of the current entry to `sink`, in pieces.
    pub(crate) fn copy(
        &mut self,
        size: u64,
        mut sink: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if size > self.content {
            return Err(Error::invalid("its content is shorter than it says"));
        }
        let mut left = size;
        while left > 0 {
            if self.start == self.end && !self.fill(1)? {
                return Err(truncated());
            }
            let available = self.end - self.start;
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(available);
            sink(&self.window[self.start..self.start + take])?;
            self.start += take;
            left -= take as u64;
        }
        self.content -= size;
        Ok(())
    }

    /// The content of the current entry, to read.
    pub(crate) fn content(&mut self) -> EntryContent<'_, R> {
        EntryContent(self)
    }

    /// Skips what is left of the current entry.
    pub(crate) fn finish_entry(&mut self) -> Result<()> {
        self.content += std::mem::take(&mut self.padding);
        self.copy(self.content, |_| Ok(()))
    }

    /// Reads the stream to its end, as whoever hashes it needs.
    pub(crate) fn drain(&mut self) -> Result<()> {
        loop {
            self.start = self.end;
            if !self.fill(1)? {
                return Ok(());
            }
        }
    }

    /// Makes at least `wanted` bytes available; false when the stream ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool> {
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if wanted > self.window.len() {
            self.window.resize(wanted.next_multiple_of(WINDOW), 0);
        }
        while self.end < wanted {
            match self.source.read(&mut self.window[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(bad_stream(error)),
            }
        }
        Ok(true)
    }
}

/// The content of one entry.
pub(crate) struct EntryContent<'a, R>(&'a mut Entries<R>);

impl<R: Read> Read for EntryContent<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let entries = &mut *self.0;
        if entries.content == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let failed = std::io::Error::other::<Error>;
        if entries.start == entries.end && !entries.fill(1).map_err(failed)? {
            return Err(failed(truncated()));
        }
        let left = usize::try_from(entries.content).unwrap_or(usize::MAX);
        let count = buffer.len().min(entries.end - entries.start).min(left);
        buffer[..count].copy_from_slice(&entries.window[entries.start..entries.start + count]);
        entries.start += count;
        entries.content -= count as u64;
        Ok(count)
    }
}

pub(crate) fn truncated() -> Error {
    Error::invalid("the archive is cut off: unexpected end of data")
}

/// In the words of Go's reader, which dockerd passes on.
fn bad_archive(error: ParseError) -> Error {
    tracing::debug!(%error, "this is no tar archive");
    Error::invalid("archive/tar: invalid tar header")
}

/// An error of the stream: our own error that travelled through it, or a damaged compression.
fn bad_stream(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => truncated(),
        Err(error) => Error::invalid(format!("the archive cannot be read: {error}")),
    }
}

fn build(
    entry: &ParsedEntry<'_>,
    sparse: Option<(Vec<SparseEntry>, u64)>,
) -> Result<Option<Entry>> {
    use rustix::fs::FileType;
    let target = || {
        entry
            .link_target
            .as_deref()
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Error::invalid("a link without a target"))
    };
    let device = |kind| Node::Device {
        kind,
        major: entry.dev_major.unwrap_or(0),
        minor: entry.dev_minor.unwrap_or(0),
    };
    let node = match entry.entry_type {
        // Before POSIX, a directory was a file whose name ends with a slash.
        EntryType::Regular if entry.size == 0 && entry.path.ends_with(b"/") => Node::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GnuSparse => {
            Node::File(match sparse {
                Some((regions, size)) => Content::Sparse { regions, size },
                None => Content::Plain(entry.size),
            })
        }
        EntryType::Directory => Node::Directory,
        EntryType::Symlink => Node::Symlink(target()?),
        EntryType::Link => Node::HardLink(target()?),
        EntryType::Char => device(FileType::CharacterDevice),
        EntryType::Block => device(FileType::BlockDevice),
        EntryType::Fifo => Node::Device {
            kind: FileType::Fifo,
            major: 0,
            minor: 0,
        },
        _ => return Ok(None),
    };
    let mtime = pax_mtime(entry.pax)?.unwrap_or((entry.mtime.cast_signed(), 0));
    let id = |id: u64, what: &str| {
        // All ones means "leave it" to chown.
        u32::try_from(id)
            .ok()
            .filter(|&id| id != u32::MAX)
            .ok_or_else(|| Error::invalid(format!("impossible {what} {id}")))
    };
    Ok(Some(Entry {
        path: entry.path.to_vec(),
        node,
        attributes: Attributes {
            mode: entry.mode & 0o7777,
            uid: id(entry.uid, "owner")?,
            gid: id(entry.gid, "group")?,
            mtime,
            xattrs: entry
                .xattrs
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
            marks: false,
        },
    }))
}

/// Reads the PAX time with its fraction, and refuses numbers whose loss would shift the stream or
/// give a file to the wrong owner.
fn pax_mtime(pax: Option<&[u8]>) -> Result<Option<(i64, u32)>> {
    let mut mtime = None;
    for record in PaxExtensions::new(pax.unwrap_or_default()) {
        let bad = || Error::invalid("a malformed PAX header");
        let record = record.map_err(|_| bad())?;
        let value = || std::str::from_utf8(record.value_bytes()).map_err(|_| bad());
        match record.key().map_err(|_| bad())? {
            "size" | "uid" | "gid" if value()?.parse::<u64>().is_err() => return Err(bad()),
            "mtime" => mtime = Some(parse_time(value()?).ok_or_else(bad)?),
            _ => {}
        }
    }
    Ok(mtime)
}

/// `-12.5` is half a second after -13: nanoseconds always count forward.
fn parse_time(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if whole.starts_with('-') && nanoseconds > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_keep_fractions_and_signs() {
        for (text, time) in [
            ("0", Some((0, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("1700000000.123456789", Some((1_700_000_000, 123_456_789))),
            ("1.1234567899", Some((1, 123_456_789))),
            ("-12.5", Some((-13, 500_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("-3", Some((-3, 0))),
            ("", None),
            ("1.x", None),
        ] {
            assert_eq!(parse_time(text), time, "{text}");
        }
    }
}

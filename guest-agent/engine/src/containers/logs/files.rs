//! The files of one log: the newest, and the rotated ones behind it, some of them compressed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use runtime::spec::LogFormat;
use warden::log::{COMPRESSED, local};

use crate::Error;

/// Files are read in pieces of this size.
pub(super) const PIECE: usize = 256 * 1024;

/// One file, held open: it may be renamed or removed while it waits to be read.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// The inode under which it was written.
    pub(super) inode: u64,
    compressed: bool,
    /// So many entries are left out.
    skip: usize,
}

/// What is read: plain, or through a decompressor.
pub(super) type Content = Box<dyn BufRead + Send>;

impl LogFile {
    fn open(path: PathBuf, compressed: bool) -> Result<Option<Self>, Error> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("opening", &path, e)),
        };
        let inode = if compressed {
            // Whoever compressed it noted the inode of what it was made of.
            let decoder = MultiGzDecoder::new(BufReader::new(&file));
            decoder
                .header()
                .and_then(|header| str::from_utf8(header.comment()?).ok()?.parse().ok())
                .unwrap_or(0)
        } else {
            let meta = file
                .metadata()
                .map_err(|e| Error::file("reading", &path, e))?;
            meta.ino()
        };
        Ok(Some(Self {
            path,
            file,
            inode,
            compressed,
            skip: 0,
        }))
    }

    /// The file itself, unless it is compressed.
    pub(super) fn plain(self) -> Option<File> {
        (!self.compressed).then_some(self.file)
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::file("reading", &self.path, error)
    }

    fn content_from(&self, start: u64) -> Result<Content, Error> {
        let mut file = self.file.try_clone().map_err(|e| self.failed(e))?;
        file.seek(SeekFrom::Start(start))
            .map_err(|e| self.failed(e))?;
        let plain = BufReader::with_capacity(PIECE, file);
        Ok(if self.compressed {
            Box::new(BufReader::with_capacity(PIECE, MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        })
    }

    /// Where reading begins: what was to be left out is.
    pub(super) fn content(&self, format: LogFormat) -> Result<Content, Error> {
        if self.compressed {
            let mut content = self.content_from(0)?;
            let mut entry = Vec::new();
            for _ in 0..self.skip {
                if !read_entry(&mut content, format, &mut entry).map_err(|e| self.failed(e))? {
                    break;
                }
                entry.clear();
            }
            return Ok(content);
        }
        self.content_from(u64::try_from(self.skip).unwrap_or(0))
    }

    /// Leaves out all but the last `wanted` entries; returns how many are left, at most `wanted`.
    pub(super) fn keep_last(&mut self, wanted: usize, format: LogFormat) -> Result<usize, Error> {
        if self.compressed {
            let mut content = self.content_from(0)?;
            let mut entry = Vec::new();
            let mut count = 0;
            while read_entry(&mut content, format, &mut entry).map_err(|e| self.failed(e))? {
                count += 1;
                entry.clear();
            }
            self.skip = count - wanted.min(count);
            return Ok(count - self.skip);
        }
        let (start, found) = match format {
            LogFormat::JsonFile => last_lines(&mut self.file, wanted),
            LogFormat::Local => last_records(&mut self.file, wanted),
        }
        .map_err(|e| self.failed(e))?;
        // A plain file's beginning is left out by bytes.
        self.skip = usize::try_from(start).unwrap_or(usize::MAX);
        Ok(found)
    }
}

/// All files of a log, the newest first.
pub(super) fn all(path: &Path) -> Result<Vec<LogFile>, Error> {
    /// In a flood there is a rotation in between again and again.
    const TRIES: usize = 20;
    let mut files = list(path)?;
    for _ in 1..TRIES {
        let first = files.first().map(|file| file.inode);
        let now = std::fs::metadata(path).ok().map(|meta| meta.ino());
        if first == now || now.is_none() {
            break;
        }
        files = list(path)?;
    }
    // The same file under its old and its new name, if so. Inodes of files that are no neighbours
    // say nothing: those of compressed files were given away again.
    files.dedup_by_key(|file| file.inode);
    Ok(files)
}

fn list(path: &Path) -> Result<Vec<LogFile>, Error> {
    let mut files: Vec<_> = LogFile::open(path.to_owned(), false)?.into_iter().collect();
    let mut gaps = 0;
    for number in 1.. {
        let name = format!("{}.{number}", path.display());
        let found = match LogFile::open(PathBuf::from(&name), false)? {
            Some(plain) => Some(plain),
            None => LogFile::open(PathBuf::from(name + COMPRESSED), true)?,
        };
        match found {
            Some(file) => files.push(file),
            // A rotation under way leaves one number free for an instant.
            None if gaps > 0 => break,
            None => gaps += 1,
        }
    }
    Ok(files)
}

/// Takes one entry in: a line with its end, or the inside of a record. False at the end, and when
/// the rest of the entry is still to come; then what there is stays in `entry`.
pub(super) fn read_entry(
    content: &mut Content,
    format: LogFormat,
    entry: &mut Vec<u8>,
) -> std::io::Result<bool> {
    match format {
        LogFormat::JsonFile => {
            content.read_until(b'\n', entry)?;
            Ok(entry.ends_with(b"\n"))
        }
        LogFormat::Local => {
            if !fill(content, entry, local::LENGTH)? {
                return Ok(false);
            }
            let front = entry.first_chunk().copied().unwrap_or_default();
            let length = local::length(front).ok_or_else(|| {
                std::io::Error::new(std::io::ErrorKind::InvalidData, "the log is damaged")
            })?;
            if !fill(content, entry, length + 2 * local::LENGTH)? {
                return Ok(false);
            }
            entry.truncate(local::LENGTH + length);
            entry.drain(..local::LENGTH);
            Ok(true)
        }
    }
}

/// Reads until `entry` has `wanted` bytes; false when there are fewer.
fn fill(content: &mut Content, entry: &mut Vec<u8>, wanted: usize) -> std::io::Result<bool> {
    let missing = wanted.saturating_sub(entry.len());
    content.by_ref().take(missing as u64).read_to_end(entry)?;
    Ok(entry.len() >= wanted)
}

/// Where the last `lines` lines begin, and how many there are.
fn last_lines(file: &mut File, lines: usize) -> std::io::Result<(u64, usize)> {
    const BLOCK: u64 = 64 * 1024;
    let size = file.metadata()?.len();
    if lines == 0 {
        return Ok((size, 0));
    }
    let mut end = size;
    let mut found = 0;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.resize(usize::try_from(end - start).unwrap_or(0), 0);
        file.read_exact(&mut block)?;
        for at in memchr::memrchr_iter(b'\n', &block) {
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

/// The same for records. What is half written at the end is no record yet.
fn last_records(file: &mut File, records: usize) -> std::io::Result<(u64, usize)> {
    let mut at = file.metadata()?.len();
    let mut found = 0;
    let mut back = [0; local::LENGTH];
    while found < records && at > 0 {
        let Some(position) = at.checked_sub(local::LENGTH as u64) else {
            break;
        };
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(&mut back)?;
        let start = local::length(back)
            .and_then(|length| position.checked_sub((length + local::LENGTH) as u64));
        match start {
            Some(start) => at = start,
            None => break,
        }
        found += 1;
    }
    Ok((at, found))
}

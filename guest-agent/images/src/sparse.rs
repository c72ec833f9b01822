//! Where a file has data, and where only holes that take no room.

use std::os::fd::BorrowedFd;

use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;

/// A stretch of data: where it begins, and its bytes.
pub(crate) type Region = (u64, u64);

/// The stretches of data of a file of `size` bytes. One that reaches from end to end is a file
/// without holes, and so is any file that the kernel tells nothing of.
pub(crate) fn regions(file: BorrowedFd<'_>, stat: &Stat) -> Vec<Region> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let held = u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512);
    let whole = vec![(0, size)];
    if held >= size {
        return whole;
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) if start < size => start,
            // Only a hole is left.
            Ok(_) | Err(Errno::NXIO) => break,
            Err(_) => return whole,
        };
        let Ok(end) = seek(file, SeekFrom::Hole(start)) else {
            return whole;
        };
        let end = end.min(size);
        if end <= start {
            // It changes under our hands.
            return whole;
        }
        found.push((start, end - start));
        at = end;
    }
    found
}

/// Where the next data begins, from a place on; nothing when only a hole is left.
pub(crate) fn next_data(file: BorrowedFd<'_>, at: u64) -> Option<u64> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Some(data),
        Err(Errno::NXIO) => None,
        // A file system that does not tell.
        Err(_) => Some(at),
    }
}

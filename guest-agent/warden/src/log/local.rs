//! The records of Docker's `local` driver, in a form of our own: shorter than JSON and written
//! without looking at the bytes. A record's length stands in front of it and behind it, so that
//! the last lines are found from the end.
//!
//! `length` (`u32`, of what follows up to the second length), `flags` (`u8`), `time` (`i64`,
//! nanoseconds since 1970), the bytes, `length`; little-endian.

/// The bytes of a length.
pub const LENGTH: usize = 4;
/// The bytes of flags and time.
const HEAD: usize = 9;
/// The longest record that is believed: longer ones mean that the file is damaged.
pub const LONGEST: usize = HEAD + 64 * 1024;

const STDERR: u8 = 1;
const PARTIAL: u8 = 2;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Standard error, not standard output.
    pub stderr: bool,
    /// The line goes on in the next record: no line feed follows.
    pub partial: bool,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// The line, without its line feed.
    pub line: &'a [u8],
}

impl<'a> Record<'a> {
    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Lines are cut to pieces far below this limit.
        let length = u32::try_from(HEAD + self.line.len()).unwrap_or(u32::MAX);
        let flags = if self.stderr { STDERR } else { 0 } | if self.partial { PARTIAL } else { 0 };
        out.extend_from_slice(&length.to_le_bytes());
        out.push(flags);
        out.extend_from_slice(&self.time.to_le_bytes());
        out.extend_from_slice(self.line);
        out.extend_from_slice(&length.to_le_bytes());
    }

    /// Reads what stands between the lengths; nothing when it is no record.
    #[must_use]
    pub fn decode(body: &'a [u8]) -> Option<Self> {
        let (flags, rest) = body.split_first()?;
        let (time, line) = rest.split_first_chunk()?;
        Some(Self {
            stderr: flags & STDERR != 0,
            partial: flags & PARTIAL != 0,
            time: i64::from_le_bytes(*time),
            line,
        })
    }
}

/// The length that four bytes mean; nothing when no record is that long.
#[must_use]
pub fn length(bytes: [u8; LENGTH]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes) as usize;
    (HEAD..=LONGEST).contains(&length).then_some(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn records_come_back() {
        let record = Record {
            stderr: true,
            partial: false,
            time: -5,
            line: b"\0\xff line",
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let (front, rest) = bytes.split_first_chunk().unwrap();
        let (body, back) = rest.split_last_chunk().unwrap();
        assert_eq!(front, back);
        assert_eq!(length(*front), Some(body.len()));
        assert_eq!(Record::decode(body), Some(record));
        assert_eq!(Record::decode(b"short"), None);
        assert_eq!(length([0xff; 4]), None);
    }
}

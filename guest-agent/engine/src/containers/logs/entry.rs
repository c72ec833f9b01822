//! One entry of a log, in either format, without more work than showing it needs: the line is
//! unescaped straight into the answer, and its time is read only when somebody asks.

use memchr::{memchr, memchr2};
use serde::Deserialize;
use warden::log::local;

use crate::time::Time;

/// An entry as it stands in the file.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Standard error, not standard output.
    pub(super) stderr: bool,
    line: Line<'a>,
    time: When<'a>,
}

#[derive(Debug)]
enum Line<'a> {
    /// As it is, then a line feed if so.
    Plain(&'a [u8], bool),
    /// A JSON string's inside.
    Escaped(&'a [u8]),
    /// Read by a real parser.
    Owned(String),
}

#[derive(Debug)]
enum When<'a> {
    Text(&'a str),
    Time(Time),
}

impl<'a> Entry<'a> {
    /// Reads a line of a `json-file`; nothing when it is damaged.
    pub(super) fn json(line: &'a [u8]) -> Option<Self> {
        Self::quick(line).or_else(|| Self::thorough(line))
    }

    /// What the warden wrote always looks like this.
    fn quick(text: &'a [u8]) -> Option<Self> {
        let text = text.strip_prefix(b"{\"log\":\"")?;
        let mut end = 0;
        let mut escaped = false;
        loop {
            match text.get(end)? {
                b'"' => break,
                // Escapes come in runs, in what is no text.
                b'\\' => {
                    escaped = true;
                    end += 2;
                }
                _ => end += memchr2(b'"', b'\\', text.get(end..)?)?,
            }
        }
        let (line, rest) = text.split_at(end);
        let rest = rest.strip_prefix(b"\",\"stream\":\"std")?;
        let (stderr, rest) = match rest.strip_prefix(b"out\"") {
            Some(rest) => (false, rest),
            None => (true, rest.strip_prefix(b"err\"")?),
        };
        let rest = rest.strip_suffix(b"\"}\n")?;
        let time = match rest.strip_prefix(b",\"time\":\"") {
            Some(time) => time,
            // Attributes stand in between.
            None => rest.get(rest.iter().rposition(|byte| *byte == b'"')? + 1..)?,
        };
        Some(Self {
            stderr,
            line: if escaped {
                Line::Escaped(line)
            } else {
                Line::Plain(line, false)
            },
            time: When::Text(str::from_utf8(time).ok()?),
        })
    }

    fn thorough(line: &[u8]) -> Option<Self> {
        /// Docker's `JSONLog`.
        #[derive(Deserialize)]
        struct Written {
            #[serde(default)]
            log: String,
            #[serde(default)]
            stream: String,
            time: Time,
        }
        let written: Written = serde_json::from_slice(line).ok()?;
        Some(Self {
            stderr: written.stream == "stderr",
            line: Line::Owned(written.log),
            time: When::Time(written.time),
        })
    }

    /// Reads a record of a `local` log.
    pub(super) fn local(body: &'a [u8]) -> Option<Self> {
        const SECOND: i64 = 1_000_000_000;
        let record = local::Record::decode(body)?;
        let (seconds, rest) = (
            record.time.div_euclid(SECOND),
            record.time.rem_euclid(SECOND),
        );
        Some(Self {
            stderr: record.stderr,
            line: Line::Plain(record.line, !record.partial),
            time: When::Time(Time::from_unix(seconds, i32::try_from(rest).unwrap_or(0))),
        })
    }

    /// When it was written; the zero time when that can't be read.
    pub(super) fn time(&self) -> Time {
        match self.time {
            When::Time(time) => time,
            When::Text(text) => text.parse().unwrap_or_else(|_| Time::zero()),
        }
    }

    /// Appends the time with nine digits of the second.
    pub(super) fn put_time(&self, out: &mut Vec<u8>) {
        /// `2026-11-23T06:47:02`.
        const WHOLE: usize = 19;
        if let When::Text(text) = self.time
            && let Some((whole, rest)) = text.split_at_checked(WHOLE)
            && let Some(rest) = rest.strip_suffix('Z')
        {
            let digits = rest.strip_prefix('.').unwrap_or("");
            if digits.len() <= 9 {
                out.extend_from_slice(whole.as_bytes());
                out.push(b'.');
                out.extend_from_slice(digits.as_bytes());
                out.resize(out.len() + 9 - digits.len(), b'0');
                out.push(b'Z');
                return;
            }
        }
        out.extend_from_slice(self.time().with_nanoseconds().as_bytes());
    }

    /// Appends the line.
    pub(super) fn put_line(&self, out: &mut Vec<u8>) {
        match &self.line {
            Line::Plain(bytes, feed) => {
                out.extend_from_slice(bytes);
                if *feed {
                    out.push(b'\n');
                }
            }
            Line::Owned(text) => out.extend_from_slice(text.as_bytes()),
            Line::Escaped(text) => unescape(text, out),
        }
    }
}

/// Undoes JSON's escapes. What is no escape stays as it is: a damaged log is shown as far as it goes.
fn unescape(mut text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len());
    loop {
        match text {
            // Control characters, which are what dockerd's logs escape most.
            [b'\\', b'u', b'0', b'0', high @ b'0'..=b'7', low, rest @ ..]
                if low.is_ascii_hexdigit() =>
            {
                let digit = |byte: u8| match byte {
                    b'0'..=b'9' => byte - b'0',
                    _ => (byte | 0x20) - b'a' + 10,
                };
                out.push(digit(*high) << 4 | digit(*low));
                text = rest;
            }
            [b'\\', b'u', rest @ ..] => text = unicode(rest, out),
            [b'\\', kind, rest @ ..] => {
                out.push(match kind {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'f' => 12,
                    other => *other,
                });
                text = rest;
            }
            [] | [b'\\'] => return,
            _ => {
                let plain = memchr(b'\\', text).unwrap_or(text.len());
                out.extend_from_slice(&text[..plain]);
                text = &text[plain..];
            }
        }
    }
}

/// Takes the digits after `\u`, and a second such escape when the first is half of a pair.
fn unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let number = |text: &'a [u8]| {
        let (digits, rest) = text.split_at_checked(4)?;
        let digits = str::from_utf8(digits).ok()?;
        Some((u32::from_str_radix(digits, 16).ok()?, rest))
    };
    let Some((mut code, mut rest)) = number(text) else {
        return text;
    };
    if let 0xd800..0xdc00 = code
        && let Some((low @ 0xdc00..0xe000, after)) = rest.strip_prefix(b"\\u").and_then(number)
    {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        rest = after;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shown(line: &[u8]) -> (bool, String, String) {
        let entry = Entry::json(line).unwrap();
        let (mut time, mut text) = (Vec::new(), Vec::new());
        entry.put_time(&mut time);
        entry.put_line(&mut text);
        let text_of = |bytes| String::from_utf8(bytes).unwrap();
        (entry.stderr, text_of(time), text_of(text))
    }

    #[test]
    fn the_quick_and_the_thorough_way_agree() {
        let stamp = "2026-11-23T06:47:02.859000000Z";
        for (quick, thorough) in [
            (
                r#"{"log":"a \"b\" \u003c\u0000\\\n","stream":"stderr","time":"2026-11-23T06:47:02.859Z"}"#,
                r#"{"stream":"stderr","log":"a \"b\" \u003c\u0000\\\n","time":"2026-11-23T06:47:02.859Z"}"#,
            ),
            (
                r#"{"log":"😀 \ud83d\ude00\u2028","stream":"stdout","attrs":{"a":"\"b"},"time":"2026-11-23T06:47:02.859Z"}"#,
                r#"{ "log":"😀 \ud83d\ude00\u2028","stream":"stdout","attrs":{"a":"\"b"},"time":"2026-11-23T06:47:02.859Z"}"#,
            ),
        ] {
            let quick = format!("{quick}\n");
            assert!(Entry::quick(quick.as_bytes()).is_some(), "{quick}");
            let thorough = format!("{thorough}\n");
            assert!(Entry::quick(thorough.as_bytes()).is_none(), "{thorough}");
            assert_eq!(shown(quick.as_bytes()), shown(thorough.as_bytes()));
            assert_eq!(shown(quick.as_bytes()).1, stamp);
        }
        assert!(Entry::json(b"{\"log\":\"half a li\n").is_none());
        assert!(Entry::json(b"\n").is_none());
    }

    #[test]
    fn times_have_nine_digits() {
        let line = br#"{"log":"","stream":"stdout","time":"2026-11-23T06:47:02Z"}"#;
        assert_eq!(
            shown(&[line, &b"\n"[..]].concat()).1,
            "2026-11-23T06:47:02.000000000Z"
        );
        let entry = Entry::json(
            b"{\"log\":\"\",\"stream\":\"stdout\",\"time\":\"2026-11-23T08:47:02+02:00\"}\n",
        );
        let mut out = Vec::new();
        entry.unwrap().put_time(&mut out);
        assert_eq!(out, b"2026-11-23T06:47:02.000000000Z");
    }
}

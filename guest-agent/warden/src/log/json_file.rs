//! Docker's `json-file` format: one JSON object a line, escaped byte for byte as dockerd does, so
//! that every reader of such files understands it.

use super::Stream;

/// Appends one entry.
pub(super) fn entry(out: &mut Vec<u8>, stream: Stream, line: &[u8], attrs: &str, time: &str) {
    out.extend_from_slice(b"{\"log\":\"");
    escape(line, out);
    out.extend_from_slice(b"\",\"stream\":\"");
    out.extend_from_slice(stream.name().as_bytes());
    if attrs.is_empty() {
        out.extend_from_slice(b"\",\"time\":\"");
    } else {
        out.extend_from_slice(b"\",\"attrs\":");
        out.extend_from_slice(attrs.as_bytes());
        out.extend_from_slice(b",\"time\":\"");
    }
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// JSON string escapes: HTML's special characters too, and the replacement character for each byte
/// that is not UTF-8.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len());
    if let Ok(text) = str::from_utf8(bytes) {
        return escape_text(text.as_bytes(), out);
    }
    for chunk in bytes.utf8_chunks() {
        escape_text(chunk.valid().as_bytes(), out);
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Whether a byte may need an escape. No short circuits: a block of these becomes vector code.
fn is_special(byte: u8) -> bool {
    (byte < 0x20)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'&')
        | (byte == 0xe2)
}

/// How many bytes can be copied as they are.
fn plain_length(text: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let blocks = text
        .chunks_exact(BLOCK)
        .take_while(|block| {
            !block
                .iter()
                .fold(false, |found, byte| found | is_special(*byte))
        })
        .count();
    let rest = &text[blocks * BLOCK..];
    let more = rest.iter().position(|byte| is_special(*byte));
    blocks * BLOCK + more.unwrap_or(rest.len())
}

fn escape_text(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let (plain, rest) = text.split_at(plain_length(text));
        out.extend_from_slice(plain);
        text = rest;
        // Special bytes come in runs, in what is no text.
        loop {
            text = match text {
                [] => return,
                [byte @ (b'"' | b'\\'), rest @ ..] => {
                    out.extend_from_slice(&[b'\\', *byte]);
                    rest
                }
                [b'\n', rest @ ..] => {
                    out.extend_from_slice(b"\\n");
                    rest
                }
                [b'\r', rest @ ..] => {
                    out.extend_from_slice(b"\\r");
                    rest
                }
                // Line and paragraph separators.
                [0xe2, 0x80, last @ (0xa8 | 0xa9), rest @ ..] => {
                    out.extend_from_slice(b"\\u202");
                    out.push(*last - 0xa8 + b'8');
                    rest
                }
                // What else begins so is plain.
                [0xe2, rest @ ..] => {
                    out.push(0xe2);
                    rest
                }
                [byte, rest @ ..] if is_special(*byte) => {
                    out.extend_from_slice(&UNICODE[usize::from(*byte)]);
                    rest
                }
                _ => break,
            };
        }
    }
}

/// `\u00` and two digits, for each byte that has no escape of its own.
static UNICODE: [[u8; 6]; 128] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut table = [*b"\\u0000"; 128];
    let mut byte = 0;
    while byte < table.len() {
        table[byte][4] = HEX[byte >> 4];
        table[byte][5] = HEX[byte & 15];
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_are_dockers() {
        assert_eq!(
            escaped(b"a\"\\\t\r\n<&>\xff\x7f\xe2\x82\xac\xe2\x80\xa9"),
            "a\\\"\\\\\\u0009\\r\\n\\u003c\\u0026\\u003e\\ufffd\x7f€\\u2029"
        );
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let long = format!(
            "{}\"{}\n",
            "plain text ".repeat(20),
            "ü€\u{2028}\u{1f600}".repeat(40)
        );
        for text in [long.as_str(), "", "\0\0\0", "a\u{2029}<b>\\"] {
            let read: String =
                serde_json::from_str(&format!("\"{}\"", escaped(text.as_bytes()))).unwrap();
            assert_eq!(read, text);
        }
    }
}

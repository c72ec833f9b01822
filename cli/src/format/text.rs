//! Shortened ids and commands.

use super::table::char_width;

/// The twelve characters by which people know an id; the algorithm's name is left out.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, hex)| hex);
    id.get(..12).unwrap_or(id)
}

/// Cuts `text` to `columns` on the terminal, the last of them `…`.
pub(crate) fn ellipsis(text: &str, columns: usize) -> String {
    let total: usize = text.chars().map(char_width).sum();
    if total <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut short: String = text
        .chars()
        .take_while(|&char| {
            used += char_width(char);
            used < columns
        })
        .collect();
    short.push('…');
    short
}

/// In double quotes with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0b' => quoted.push_str("\\v"),
            '\x0c' => quoted.push_str("\\f"),
            char if char.is_ascii_control() => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(char)));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("abc"), "abc");
    }

    #[test]
    fn long_commands_are_cut() {
        assert_eq!(ellipsis("sleep 100", 20), "sleep 100");
        assert_eq!(ellipsis("12345678901234567890", 20), "12345678901234567890");
        assert_eq!(
            ellipsis("123456789012345678901", 20),
            "1234567890123456789…"
        );
        assert_eq!(ellipsis("한글한글한글", 8), "한글한…");
    }

    #[test]
    fn quoted_as_go_does() {
        assert_eq!(quote("sh -c \"a\n\""), r#""sh -c \"a\n\"""#);
        assert_eq!(quote("a…\x1b"), "\"a…\\x1b\"");
    }
}

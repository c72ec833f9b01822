//! Kind and permissions of a file, as ls prints them.

/// `drwxr-xr-t`: the kind in the engine's word, and the permission bits.
pub(crate) fn mode(kind: &str, bits: u64) -> String {
    let mut text = String::with_capacity(10);
    text.push(match kind {
        "directory" => 'd',
        "symlink" => 'l',
        "fifo" => 'p',
        "socket" => 's',
        "character device" => 'c',
        "block device" => 'b',
        _ => '-',
    });
    // Owner, group, others; each with the special bit that shares the last place.
    for (place, (special, letter)) in [(0o4000, 's'), (0o2000, 's'), (0o1000, 't')]
        .into_iter()
        .enumerate()
    {
        let three = bits >> (6 - 3 * place);
        text.push(if three & 4 != 0 { 'r' } else { '-' });
        text.push(if three & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & special != 0, three & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, false) => letter.to_ascii_uppercase(),
            (true, true) => letter,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::mode;

    #[test]
    fn as_ls() {
        for (kind, bits, text) in [
            ("file", 0o644, "-rw-r--r--"),
            ("directory", 0o1777, "drwxrwxrwt"),
            ("directory", 0o2700, "drwx--S---"),
            ("file", 0o4755, "-rwsr-xr-x"),
            ("symlink", 0o777, "lrwxrwxrwx"),
        ] {
            assert_eq!(mode(kind, bits), text);
        }
    }
}

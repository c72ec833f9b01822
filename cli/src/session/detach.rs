//! The keys that leave a container running: `ctrl-p,ctrl-q` unless said otherwise.

use std::str::FromStr;

/// A sequence of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys(Vec<u8>);

impl Default for Keys {
    fn default() -> Self {
        Self(vec![16, 17])
    }
}

/// Docker's notation: keys separated by commas, each a character or `ctrl-` and one of `a`-`z`,
/// `@`, `[`, `\`, `]`, `^`, `_`.
impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for word in text.split(',') {
            let unknown = || format!("Unknown character: '{word}'");
            let byte = match word.as_bytes() {
                [byte] => *byte,
                _ => {
                    let control = word.strip_prefix("ctrl-").ok_or_else(unknown)?;
                    match control.as_bytes() {
                        [letter @ b'a'..=b'z'] => letter - b'a' + 1,
                        [b'@'] => 0,
                        [sign @ b'['..=b'_'] => sign - b'@',
                        _ => return Err(unknown()),
                    }
                }
            };
            keys.push(byte);
        }
        Ok(Self(keys))
    }
}

/// Finds the keys in what is typed. The first ones are held back until it is clear whether the
/// rest follows.
#[derive(Debug)]
pub(super) struct Detacher {
    keys: Keys,
    matched: usize,
}

impl Detacher {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, matched: 0 }
    }

    /// What goes to the container, and whether the keys are complete (the rest is dropped then).
    pub(super) fn feed(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let keys = &self.keys.0;
        let mut through = Vec::with_capacity(typed.len());
        for &byte in typed {
            if keys.get(self.matched) != Some(&byte) {
                through.extend_from_slice(&keys[..self.matched]);
                self.matched = 0;
            }
            if keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == keys.len() {
                    return (through, true);
                }
            } else {
                through.push(byte);
            }
        }
        (through, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_notation() {
        assert_eq!("ctrl-p,ctrl-q".parse(), Ok(Keys::default()));
        assert_eq!(
            "a,ctrl-@,ctrl-[,ctrl-_".parse(),
            Ok(Keys(vec![b'a', 0, 27, 31]))
        );
        assert!("ctrl-A".parse::<Keys>().is_err());
        assert!("shift-a".parse::<Keys>().is_err());
        assert!("".parse::<Keys>().is_err());
    }

    #[test]
    fn keys_are_found_across_reads() {
        let mut detacher = Detacher::new(Keys::default());
        assert_eq!(detacher.feed(b"ls\r\x10"), (b"ls\r".to_vec(), false));
        assert_eq!(detacher.feed(b"\x11rest"), (Vec::new(), true));
    }

    #[test]
    fn half_of_the_keys_goes_through() {
        let mut detacher = Detacher::new(Keys::default());
        assert_eq!(detacher.feed(b"\x10"), (Vec::new(), false));
        assert_eq!(detacher.feed(b"x"), (b"\x10x".to_vec(), false));
        assert_eq!(detacher.feed(b"\x10\x10\x11"), (b"\x10".to_vec(), true));
    }
}

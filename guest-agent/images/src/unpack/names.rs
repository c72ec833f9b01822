//! What an entry's name means: a member, the root itself, a whiteout, or nothing for us.

use std::ffi::CString;

use crate::{Error, Result};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

/// A classified entry name. Parents are cleaned: relative, without empty, `.` or `..` components.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntryName {
    /// `.` or `/`: the layer's root directory.
    Root,
    /// A file, directory, link or device.
    Member {
        /// Directory it is in; empty for the root.
        parent: Vec<u8>,
        /// Last component.
        name: CString,
    },
    /// `.wh.NAME`: NAME of the layers below is gone.
    Whiteout {
        /// Directory it is in.
        parent: Vec<u8>,
        /// The name that is gone.
        name: CString,
    },
    /// `.wh..wh..opq`: everything of the layers below in this directory is gone.
    Opaque {
        /// The directory.
        parent: Vec<u8>,
    },
    /// Bookkeeping of aufs (`.wh..wh.plnk` and the like), which no other file system wants.
    Ignored,
}

/// A path without empty, `.` and `..` components; relative to the root, where `..` stops.
pub(super) fn components(path: &[u8]) -> Vec<&[u8]> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    components
}

/// Classifies an entry's name. Absolute names count from the layer's root, and `..` stops there:
/// the name is resolved as if the root were `/`.
pub(super) fn classify(path: &[u8]) -> Result<EntryName> {
    if path.contains(&0) {
        return Err(Error::invalid("its name holds a NUL byte"));
    }
    let mut components = components(path);
    let Some(name) = components.pop() else {
        return Ok(EntryName::Root);
    };
    if components
        .iter()
        .any(|component| component.starts_with(AUFS))
    {
        return Ok(EntryName::Ignored);
    }
    let parent = components.join(&b'/');
    if name == OPAQUE {
        return Ok(EntryName::Opaque { parent });
    }
    if name.starts_with(AUFS) {
        return Ok(EntryName::Ignored);
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT) else {
        return Ok(EntryName::Member {
            parent,
            name: c_string(name)?,
        });
    };
    // `.wh...` would hide the parent directory itself, in effect naming a file outside.
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(Error::invalid("a whiteout of something that is not a name"));
    }
    Ok(EntryName::Whiteout {
        parent,
        name: c_string(hidden)?,
    })
}

fn c_string(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| Error::invalid("its name holds a NUL byte"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn member(parent: &str, name: &str) -> EntryName {
        EntryName::Member {
            parent: parent.into(),
            name: CString::new(name).unwrap(),
        }
    }

    #[test]
    fn names_are_cleaned() {
        for (path, expected) in [
            ("etc/passwd", member("etc", "passwd")),
            ("./etc//passwd", member("etc", "passwd")),
            ("/etc/passwd", member("etc", "passwd")),
            ("../../etc/passwd", member("etc", "passwd")),
            ("a/../../b", member("", "b")),
            ("a/b/", member("a", "b")),
            ("./", EntryName::Root),
            ("/", EntryName::Root),
            ("..", EntryName::Root),
        ] {
            assert_eq!(classify(path.as_bytes()).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn whiteouts_are_told_apart() {
        assert_eq!(
            classify(b"a/.wh.b").unwrap(),
            EntryName::Whiteout {
                parent: b"a".to_vec(),
                name: c"b".to_owned()
            }
        );
        assert_eq!(
            classify(b"a/.wh..wh..opq").unwrap(),
            EntryName::Opaque {
                parent: b"a".to_vec()
            }
        );
        assert_eq!(classify(b".wh..wh.plnk").unwrap(), EntryName::Ignored);
        assert_eq!(classify(b".wh..wh.plnk/0.1").unwrap(), EntryName::Ignored);
        for hostile in [".wh.", "a/.wh..", "a/.wh..."] {
            assert!(classify(hostile.as_bytes()).is_err(), "{hostile}");
        }
        assert!(classify(b"a\0b").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_name_has_a_way_up(path in proptest::collection::vec(
            proptest::sample::select(vec!["..", ".", "", "a", ".wh.", ".wh.b", ".wh..", ".wh...", "/", ".wh..wh..opq"]), 0..12)
        ) {
            if let Ok(name) = classify(path.join("/").as_bytes()) {
                let (parent, last) = match name {
                    EntryName::Member { parent, name } | EntryName::Whiteout { parent, name } => (parent, name.into_bytes()),
                    EntryName::Opaque { parent } => (parent, b"x".to_vec()),
                    EntryName::Root | EntryName::Ignored => return Ok(()),
                };
                for part in parent.split(|&b| b == b'/').chain([last.as_slice()]) {
                    proptest::prop_assert!(part != b".." && part != b".");
                }
                proptest::prop_assert!(!last.is_empty() && !last.contains(&b'/') && !parent.starts_with(b"/"));
            }
        }
    }
}

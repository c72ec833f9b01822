//! The options of the local driver: `type`, `device`, `o`, as mount(8) takes them.

use std::collections::BTreeMap;

use rustix::mount::MountFlags;

use crate::Error;

type Options = BTreeMap<String, String>;

/// Checks options with dockerd's words.
pub(super) fn check(options: Option<&Options>) -> Result<(), Error> {
    let Some(options) = options.filter(|options| !options.is_empty()) else {
        return Ok(());
    };
    let known = ["type", "device", "o", "size"];
    if let Some(other) = options.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(Error::Invalid(format!("invalid option: \"{other}\"")));
    }
    if options.contains_key("size") {
        return Err(Error::Invalid(
            "quota size requested but no quota support".into(),
        ));
    }
    let needs = [
        ("device", &["type"][..]),
        ("type", &["device"]),
        ("o", &["device", "type"]),
    ];
    for (option, others) in needs {
        let missing = others.iter().find(|other| !options.contains_key(**other));
        if let Some(missing) = missing.filter(|_| options.contains_key(option)) {
            return Err(Error::Invalid(format!(
                "missing required option: \"{missing}\""
            )));
        }
    }
    Ok(())
}

/// What is mounted at a volume.
#[derive(Debug, PartialEq)]
pub(super) struct Backing {
    /// `tmpfs`, `nfs`, `none` …
    pub(super) kind: String,
    pub(super) device: String,
    pub(super) flags: MountFlags,
    /// With what is mounted below.
    pub(super) recursive: bool,
    /// Left to the file system.
    pub(super) data: String,
}

impl Backing {
    /// From options that were checked.
    pub(super) fn new(options: &Options) -> Self {
        let get = |key: &str| options.get(key).cloned().unwrap_or_default();
        let mut backing = Self {
            kind: get("type"),
            device: get("device"),
            flags: MountFlags::empty(),
            recursive: false,
            data: String::new(),
        };
        let mut data: Vec<&str> = Vec::new();
        let text = get("o");
        for word in text.split(',').filter(|word| !word.is_empty()) {
            match flag(word) {
                Some((flag, true)) => backing.flags |= flag,
                Some((flag, false)) => backing.flags &= !flag,
                None => data.push(word),
            }
            backing.recursive |= word == "rbind";
        }
        backing.data = data.join(",");
        backing
    }

    pub(super) fn is_bind(&self) -> bool {
        self.flags.contains(MountFlags::BIND)
    }
}

/// The flag that a word of mount(8) sets or clears.
fn flag(word: &str) -> Option<(MountFlags, bool)> {
    Some(match word {
        "defaults" => (MountFlags::empty(), true),
        "bind" | "rbind" => (MountFlags::BIND, true),
        "ro" => (MountFlags::RDONLY, true),
        "rw" => (MountFlags::RDONLY, false),
        "nosuid" => (MountFlags::NOSUID, true),
        "suid" => (MountFlags::NOSUID, false),
        "nodev" => (MountFlags::NODEV, true),
        "dev" => (MountFlags::NODEV, false),
        "noexec" => (MountFlags::NOEXEC, true),
        "exec" => (MountFlags::NOEXEC, false),
        "sync" => (MountFlags::SYNCHRONOUS, true),
        "async" => (MountFlags::SYNCHRONOUS, false),
        "dirsync" => (MountFlags::DIRSYNC, true),
        "noatime" => (MountFlags::NOATIME, true),
        "atime" => (MountFlags::NOATIME, false),
        "nodiratime" => (MountFlags::NODIRATIME, true),
        "diratime" => (MountFlags::NODIRATIME, false),
        "relatime" => (MountFlags::RELATIME, true),
        "norelatime" => (MountFlags::RELATIME, false),
        "strictatime" => (MountFlags::STRICTATIME, true),
        "nostrictatime" => (MountFlags::STRICTATIME, false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn says_what_dockerd_says() {
        for (pairs, message) in [
            (&[("foo", "1")][..], "invalid option: \"foo\""),
            (&[("type", "tmpfs")], "missing required option: \"device\""),
            (&[("o", "ro")], "missing required option: \"device\""),
            (&[("device", "/x")], "missing required option: \"type\""),
            (
                &[("size", "10m")],
                "quota size requested but no quota support",
            ),
        ] {
            let error = check(Some(&options(pairs))).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        check(None).unwrap();
    }

    #[test]
    fn words_become_flags_and_the_rest_is_data() {
        let pairs = [
            ("type", "tmpfs"),
            ("device", "tmpfs"),
            ("o", "size=1m,uid=5,ro,nosuid,suid"),
        ];
        let backing = Backing::new(&options(&pairs));
        assert_eq!(backing.data, "size=1m,uid=5");
        assert_eq!(backing.flags, MountFlags::RDONLY);
        let bind = Backing::new(&options(&[
            ("type", "none"),
            ("device", "/x"),
            ("o", "bind"),
        ]));
        assert!(bind.is_bind() && !bind.recursive);
    }
}

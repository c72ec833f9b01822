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
    check_device(options)?;
    if let Some(size) = options.get("size")
        && bytes(size)? > 0
    {
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

/// The port of a Windows share is an option of the mount.
fn check_device(options: &Options) -> Result<(), Error> {
    let device = options.get("device").map_or("", String::as_str);
    let of = device.split_once("//").map_or("", |(_, rest)| rest);
    let host = of.split('/').next().unwrap_or_default();
    if options.get("type").is_some_and(|kind| kind == "cifs") && host.contains(':') {
        return Err(Error::Invalid(
            "port not allowed in CIFS device URL, include 'port' in 'o='".into(),
        ));
    }
    Ok(())
}

/// A size as people write it, `10m` or `1.5 GiB`.
fn bytes(text: &str) -> Result<u64, Error> {
    let wrong = || Error::Invalid(format!("invalid size: '{text}'"));
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is large enough"
    )]
    Ok((number * 1024_f64.powi(power)) as u64)
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
            (&[("size", "x")], "invalid size: 'x'"),
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

//! Settings on the kernel's command line: `slipway.NAME=VALUE`.

use std::path::PathBuf;

use crate::error::{Error, PathContext};

/// What slipwayd asks of the machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// `slipway.data`: the data disk.
    pub(super) data: PathBuf,
    /// `slipway.link`: where the engine finds the host, `serial:NAME` or `vsock:PORT:KEY`.
    pub(super) link: String,
    /// `slipway.ports`: where the host asks for published ports, in the same form.
    pub(super) ports: Option<String>,
    /// `slipway.snapshot`: the port where a snapshot waits for its start.
    pub(super) snapshot: Option<String>,
    /// `slipway.start`: the port where the other settings come from.
    pub(super) start: Option<String>,
    /// `slipway.emulated`: the processors are emulated.
    pub(super) emulated: bool,
}

impl Settings {
    pub(super) fn read() -> Result<Self, Error> {
        let path = "/proc/cmdline";
        Ok(Self::parse(
            &std::fs::read_to_string(path).at("read", path)?,
        ))
    }

    /// The settings in a line of words.
    pub(super) fn parse(line: &str) -> Self {
        let setting = |name: &str| {
            line.split_whitespace().rev().find_map(|word| {
                word.strip_prefix("slipway.")?
                    .strip_prefix(name)?
                    .strip_prefix('=')
            })
        };
        Self {
            data: setting("data").unwrap_or("/dev/vda").into(),
            link: setting("link").unwrap_or("serial:slipway.link").to_owned(),
            ports: setting("ports").map(str::to_owned),
            snapshot: setting("snapshot").map(str::to_owned),
            start: setting("start").map(str::to_owned),
            emulated: setting("emulated").is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_their_defaults() {
        let found =
            Settings::parse("quiet slipway.data=/dev/vdc slipway.link=vsock:1024:ab -- x\n");
        assert_eq!(found.data, PathBuf::from("/dev/vdc"));
        assert_eq!(found.link, "vsock:1024:ab");
        assert_eq!(found.ports, None);
        assert_eq!((found.snapshot, found.start), (None, None));
        assert!(!found.emulated);
        let found = Settings::parse("quiet slipway.snapshot=slipway.start slipway.emulated=yes");
        assert!(found.emulated);
        assert_eq!(found.link, "serial:slipway.link");
        assert_eq!(found.snapshot.as_deref(), Some("slipway.start"));
    }
}

//! The command line, which only the warden and tests write.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};
use engine::Machine;

use crate::vsock::Key;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    /// `--warden-fd`: the socket to the warden.
    warden_fd: i32,
    /// `--root`: state that stays.
    pub(crate) root: PathBuf,
    /// `--run`: state that ends with the machine.
    pub(crate) run: PathBuf,
    /// `--link`: where the host is reached.
    pub(crate) link: Option<Link>,
    /// `--machine`: what this runs on.
    pub(crate) machine: Machine,
    /// `--bundled-images`: archives to load once.
    pub(crate) bundled_images: Option<PathBuf>,
    /// `--api unix:PATH`: the API on a socket of its own.
    pub(crate) api: Option<PathBuf>,
}

/// Where the host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// A virtio port by name.
    Serial(String),
    /// A vsock port to listen on, and what opens it.
    Vsock(u32, Key),
    /// A socket to listen on.
    Unix(PathBuf),
}

impl FromStr for Link {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split_once(':') {
            Some(("serial", name)) => Ok(Self::Serial(name.into())),
            Some(("vsock", rest)) => {
                let (port, key) = rest.split_once(':').context("a vsock port has a key")?;
                let port = port.parse();
                let port = port.with_context(|| format!("\"{rest}\" is not a vsock port"))?;
                Ok(Self::Vsock(port, Key::new(key)))
            }
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            _ => bail!("\"{text}\" is no link: use serial:NAME, vsock:PORT:KEY or unix:PATH"),
        }
    }
}

impl Arguments {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut parsed = Self {
            warden_fd: 3,
            root: "/var/lib/slipway".into(),
            run: "/run/slipway".into(),
            link: None,
            machine: Machine::Vm,
            bundled_images: None,
            api: None,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{name} needs a value"))
            };
            match name.as_str() {
                "--warden-fd" => {
                    parsed.warden_fd = value()?.parse().context("--warden-fd is no number")?;
                }
                "--root" => parsed.root = value()?.into(),
                "--run" => parsed.run = value()?.into(),
                "--link" => parsed.link = Some(value()?.parse()?),
                "--machine" => {
                    parsed.machine = match value()?.as_str() {
                        "vm" => Machine::Vm,
                        "native" => Machine::Native,
                        other => bail!("\"{other}\" is no machine: use vm or native"),
                    };
                }
                "--bundled-images" => parsed.bundled_images = Some(value()?.into()),
                "--api" => match value()?.strip_prefix("unix:") {
                    Some(path) => parsed.api = Some(path.into()),
                    None => bail!("--api needs unix:PATH"),
                },
                other => bail!("unknown argument {other}"),
            }
        }
        Ok(parsed)
    }

    /// The warden's socket, as a descriptor of our own that programs we start don't inherit.
    pub(crate) fn warden_socket(&self) -> anyhow::Result<OwnedFd> {
        inherited(self.warden_fd)?
            .try_clone_to_owned()
            .with_context(|| format!("descriptor {} is not the warden's socket", self.warden_fd))
    }
}

/// Borrows a descriptor that the parent has opened for us.
fn inherited(number: i32) -> anyhow::Result<BorrowedFd<'static>> {
    // Opening it through /proc would not work for sockets, so check that it is open and borrow it.
    let path = format!("/proc/self/fd/{number}");
    if number <= std::io::stderr().as_raw_fd() || std::fs::symlink_metadata(path).is_err() {
        bail!("descriptor {number} is not open: slipway-agent is started by slipway-warden");
    }
    Ok(borrow::descriptor(number))
}

mod borrow {
    #![expect(
        unsafe_code,
        reason = "an inherited descriptor is known by its number only"
    )]

    use std::os::fd::BorrowedFd;

    /// The caller has checked that the descriptor is open; nobody closes it.
    pub(super) fn descriptor(number: i32) -> BorrowedFd<'static> {
        // SAFETY: the descriptor was open a moment ago, before any other thread was started, and
        // nothing in this program closes it.
        unsafe { BorrowedFd::borrow_raw(number) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Arguments> {
        Arguments::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_the_wardens_arguments() {
        let parsed =
            parse("--warden-fd 5 --root /r --run /x --link unix:/l --machine native").unwrap();
        assert_eq!((parsed.warden_fd, parsed.machine), (5, Machine::Native));
        assert_eq!(parsed.link, Some(Link::Unix("/l".into())));
        let link: Link = "vsock:7:ab".parse().unwrap();
        assert_eq!(link, Link::Vsock(7, Key::new("ab")));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bad in [
            "--nope",
            "--link tcp:1",
            "--link vsock:7",
            "--root",
            "--machine moon",
            "--api tcp:1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

//! The machine as a snapshot: slipwayd keeps the state of a machine that waits here, and starts
//! later machines from it. So all that holds for every start is done before, and what belongs to
//! one start comes after: the clock, the randomness, the disk's content, the engine.
#![expect(unsafe_code, reason = "these ioctls have no safe form")]

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_settime};

use super::cmdline::Settings;
use super::{AGENT, SELF, modules, tuning};
use crate::console;
use crate::error::{Context, Error, PathContext};
use crate::port;

/// Nobody is going to take the snapshot, or to start the machine, any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the port is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// `include/uapi/linux/random.h`.
const RNDADDENTROPY: libc::Ioctl = 0x4008_5203;
const RNDRESEEDCRNG: libc::Ioctl = 0x5207;

/// `include/uapi/linux/fs.h`: forgets what was read of a disk.
const BLKFLSBUF: libc::Ioctl = 0x1261;

/// Bytes of randomness that a start brings.
const SEED: usize = 32;

/// Prepares all that is the same for every start, and waits until one begins; its settings.
pub(super) fn wait(port: &str) -> Result<Settings, Error> {
    modules::load_list(Path::new("/lib/modules.disk"), |_| {});
    tuning::set_kernel();
    modules::load_in_background()?;
    for program in [SELF, AGENT] {
        // Read now, it need not be read in every start.
        std::fs::read(program).at("read", program)?;
    }
    let device = port::device(port).at("find the port", port)?;
    let mut channel = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&device)
        .at("open", &device)?;
    console::note("ready for a snapshot");
    let line = read_line(&mut channel).at("read", &device)?;
    let order = Order::parse(&line)
        .ok_or_else(|| Error::Machine("the order to start is not understood".to_owned()))?;
    order.carry_out()
}

fn read_line(channel: &mut impl Read) -> std::io::Result<String> {
    let began = Instant::now();
    let mut line = Vec::new();
    loop {
        let mut piece = [0; 1024];
        // Nothing is read while nobody is at the other end.
        let read = channel.read(&mut piece)?;
        line.extend_from_slice(&piece[..read]);
        if line.ends_with(b"\n") {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        if began.elapsed() > PATIENCE {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        if read == 0 {
            std::thread::sleep(LOOK);
        }
    }
}

/// What slipwayd says to begin: `NANOSECONDS-SINCE-1970 SEED-IN-HEXADECIMAL slipway.NAME=VALUE…`.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    now: Duration,
    seed: [u8; SEED],
    settings: Settings,
}

impl Order {
    fn parse(line: &str) -> Option<Self> {
        let (now, rest) = line.split_once(' ')?;
        let (seed_text, settings) = rest.split_once(' ')?;
        let mut seed = [0; SEED];
        if seed_text.len() != 2 * SEED {
            return None;
        }
        for (at, byte) in seed.iter_mut().enumerate() {
            *byte = u8::from_str_radix(seed_text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self {
            now: Duration::from_nanos(now.parse().ok()?),
            seed,
            settings: Settings::parse(settings),
        })
    }

    fn carry_out(self) -> Result<Settings, Error> {
        let time = Timespec {
            tv_sec: self.now.as_secs().cast_signed(),
            tv_nsec: self.now.subsec_nanos().into(),
        };
        clock_settime(ClockId::Realtime, time).step("set the clock")?;
        // Every machine of a snapshot would count on with the same random numbers.
        add_randomness(&self.seed).at("add randomness to", "/dev/urandom")?;
        forget_content(&self.settings.data).at("look anew at", &self.settings.data)?;
        Ok(self.settings)
    }
}

fn add_randomness(seed: &[u8; SEED]) -> std::io::Result<()> {
    #[repr(C)]
    struct Pool {
        entropy_bits: libc::c_int,
        size: libc::c_int,
        bytes: [u8; SEED],
    }
    let mut device = std::fs::File::options().write(true).open("/dev/urandom")?;
    device.write_all(seed)?;
    let pool = Pool {
        entropy_bits: 8 * SEED as libc::c_int,
        size: SEED as libc::c_int,
        bytes: *seed,
    };
    // SAFETY: RNDADDENTROPY reads two numbers and as many bytes as the second says.
    check(unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const pool) })?;
    // SAFETY: RNDRESEEDCRNG takes nothing.
    check(unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) })
}

fn forget_content(disk: &Path) -> std::io::Result<()> {
    let disk = std::fs::File::open(disk)?;
    // SAFETY: BLKFLSBUF takes nothing.
    check(unsafe { libc::ioctl(disk.as_raw_fd(), BLKFLSBUF) })
}

fn check(result: libc::c_int) -> std::io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_order_is_whole_or_nothing() {
        let seed = "0f".repeat(SEED);
        let order = Order::parse(&format!("1500000002 {seed} slipway.link=vsock:7\n")).unwrap();
        assert_eq!(order.now, Duration::new(1, 500_000_002));
        assert_eq!(order.seed, [15; SEED]);
        assert_eq!(order.settings.link, "vsock:7");
        for bad in ["", "1", "1 0f slipway.link=x", "x 00 y"] {
            assert_eq!(Order::parse(bad), None, "{bad}");
        }
        assert_eq!(Order::parse(&format!("1 {} x", "é".repeat(SEED))), None);
    }

    #[test]
    fn the_order_may_come_in_pieces() {
        struct Pieces(Vec<&'static [u8]>);
        impl Read for Pieces {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let piece = self.0.pop().unwrap();
                buffer[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
        }
        let mut channel = Pieces(vec![b"c\n", b"b ", b"", b"a "]);
        assert_eq!(read_line(&mut channel).unwrap(), "a b c\n");
    }
}

//! The order to start: a machine from a snapshot waits for it, and so does one that gets a key. It
//! brings the time, randomness, and the settings of this start.
#![expect(unsafe_code, reason = "these ioctls have no safe form")]

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_settime};

use super::cmdline::Settings;
use super::kernel_took;
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

/// Bytes of randomness that a start brings.
const SEED: usize = 32;

/// Waits for the order and carries it out; its settings. `ready` is said once the port is open.
pub(super) fn receive(port: &str, ready: Option<&str>) -> Result<Settings, Error> {
    let device = port::device(port).at("find the port", port)?;
    let mut channel = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&device)
        .at("open", &device)?;
    if let Some(words) = ready {
        console::note(words);
    }
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
    kernel_took(unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const pool) })?;
    // SAFETY: RNDRESEEDCRNG takes nothing.
    kernel_took(unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) })
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

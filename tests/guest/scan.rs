//! Looks from inside a container for everything that answers, compiled by `tests::guest` without a
//! package of its own. `scan net [FIRST-LAST] ADDRESS...` tries those TCP ports of each address, or every one, and
//! UDP ports that services are known for, and names those that answer; `scan vsock` tries for a
//! socket to the machine and its host; `scan devices` makes a node for each device that the kernel has and opens it.
//! Each finding is a line; the last line is `done`.

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::os::raw::{c_char, c_int, c_short, c_uint, c_ulong, c_void};
use std::time::{Duration, Instant};

/// Connections under way at a time, with a limit on files that allows it.
const AT_ONCE: usize = 16_000;

/// How long after the last answer there may be another one.
const SILENCE: Duration = Duration::from_millis(1500);

/// Name servers, DHCP, TFTP, time, SNMP, mDNS and what is ours, with a question that each answers.
const DATAGRAMS: [u16; 12] = [53, 67, 68, 69, 111, 123, 137, 161, 1900, 2375, 5353, 5355];

const AF_VSOCK: c_int = 40;
const SOCK_STREAM: c_int = 1;
const SOCK_NONBLOCK: c_int = 0o4000;
const EINPROGRESS: i32 = 115;
const POLLOUT: c_short = 4;
const SOL_SOCKET: c_int = 1;
const SO_ERROR: c_int = 4;
const O_RDONLY_NONBLOCK: c_int = 0o4000;
const S_IFCHR: c_uint = 0o020000;
const S_IFBLK: c_uint = 0o060000;

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

unsafe extern "C" {
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn connect(fd: c_int, address: *const c_void, length: c_uint) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
    fn getsockopt(
        fd: c_int,
        level: c_int,
        name: c_int,
        value: *mut c_void,
        length: *mut c_uint,
    ) -> c_int;
    fn mknod(path: *const c_char, mode: c_uint, device: c_ulong) -> c_int;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn unlink(path: *const c_char) -> c_int;
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("net") => {
            let mut ports = 1..=u16::MAX;
            for argument in &arguments[1..] {
                if let Some((first, last)) = argument.split_once('-') {
                    ports = first.parse().unwrap()..=last.parse().unwrap();
                    continue;
                }
                let (address, scope) = argument.split_once('%').unwrap_or((argument, "0"));
                let (address, scope) = (address.parse().unwrap(), scope.parse().unwrap());
                tcp(address, scope, ports.clone());
                udp(address, scope);
            }
        }
        Some("vsock") => vsock(),
        Some("devices") => devices(),
        _ => panic!("net, vsock or devices?"),
    }
    println!("done");
}

/// The address as the kernel has it.
fn raw(address: IpAddr, port: u16, scope: u32) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => {
            let mut bytes = 2_u16.to_ne_bytes().to_vec();
            bytes.extend(port.to_be_bytes());
            bytes.extend(ip.octets());
            bytes.extend([0; 8]);
            bytes
        }
        IpAddr::V6(ip) => {
            let mut bytes = 10_u16.to_ne_bytes().to_vec();
            bytes.extend(port.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(ip.octets());
            bytes.extend(scope.to_ne_bytes());
            bytes
        }
    }
}

fn tcp(address: IpAddr, scope: u32, ports: RangeInclusive<u16>) {
    let ports: Vec<u16> = ports.collect();
    let family = if address.is_ipv4() { 2 } else { 10 };
    for some in ports.chunks(AT_ONCE) {
        let mut waiting: Vec<(PollFd, u16)> = Vec::new();
        for port in some {
            // SAFETY: plain numbers.
            let fd = unsafe { socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0) };
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            let to = raw(address, *port, scope);
            // SAFETY: the address is as long as is said.
            let connected = unsafe { connect(fd, to.as_ptr().cast(), to.len() as c_uint) };
            if connected != 0 && io::Error::last_os_error().raw_os_error() != Some(EINPROGRESS) {
                // SAFETY: it is ours.
                unsafe { close(fd) };
                continue;
            }
            let (events, revents) = (POLLOUT, 0);
            waiting.push((
                PollFd {
                    fd,
                    events,
                    revents,
                },
                *port,
            ));
        }
        let mut last = Instant::now();
        while !waiting.is_empty() && last.elapsed() < SILENCE {
            let (mut fds, ports): (Vec<PollFd>, Vec<u16>) = waiting.into_iter().unzip();
            // SAFETY: so many are there.
            let ready = unsafe { poll(fds.as_mut_ptr(), fds.len() as c_ulong, 100) };
            if ready > 0 {
                last = Instant::now();
            }
            waiting = Vec::new();
            for (one, port) in fds.into_iter().zip(ports) {
                if one.revents == 0 {
                    waiting.push((one, port));
                    continue;
                }
                if fault(one.fd) == 0 {
                    println!("tcp {address} {port}");
                }
                // SAFETY: it is ours.
                unsafe { close(one.fd) };
            }
        }
        for (one, _) in waiting {
            // SAFETY: it is ours.
            unsafe { close(one.fd) };
        }
    }
}

fn fault(fd: c_int) -> c_int {
    let (mut fault, mut length): (c_int, c_uint) = (0, 4);
    // SAFETY: room for one number, as is said.
    unsafe {
        getsockopt(
            fd,
            SOL_SOCKET,
            SO_ERROR,
            (&raw mut fault).cast(),
            &mut length,
        )
    };
    fault
}

fn udp(address: IpAddr, scope: u32) {
    // A question for the address of `localhost`: name servers answer, others may.
    let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9];
    question.extend(b"localhost\0\0\x01\0\x01");
    let own = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let asked = DATAGRAMS.map(|port| {
        let socket = UdpSocket::bind(own).unwrap();
        let to = match address {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => std::net::SocketAddrV6::new(ip, port, 0, scope).into(),
        };
        let asked = socket.connect(to).and_then(|()| socket.send(&question));
        asked.map(|_| (socket, port))
    });
    let end = Instant::now() + SILENCE;
    for (socket, port) in asked.into_iter().flatten() {
        // Answers wait at their sockets.
        let left = end.saturating_duration_since(Instant::now());
        let patience = left.max(Duration::from_millis(1));
        socket.set_read_timeout(Some(patience)).unwrap();
        if socket.recv(&mut [0; 1500]).is_ok() {
            println!("udp {address} {port}");
        }
    }
}

fn vsock() {
    // SAFETY: plain numbers.
    let probe = unsafe { socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0) };
    if probe < 0 {
        return println!("vsock closed: {}", io::Error::last_os_error());
    }
    println!("vsock open");
}

fn devices() {
    for (kind, mode) in [("char", S_IFCHR), ("block", S_IFBLK)] {
        let Ok(list) = std::fs::read_dir(format!("/sys/dev/{kind}")) else {
            println!("error: /sys/dev/{kind} can't be read");
            continue;
        };
        for entry in list {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let (major, minor) = name.split_once(':').unwrap();
            let (major, minor): (c_ulong, c_ulong) =
                (major.parse().unwrap(), minor.parse().unwrap());
            let device = (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12);
            let path = CString::new("/node").unwrap();
            // SAFETY: the path ends with a zero.
            let opened = unsafe {
                unlink(path.as_ptr());
                if mknod(path.as_ptr(), mode | 0o600, device) != 0 {
                    println!("unmade {kind} {name}: {}", io::Error::last_os_error());
                    continue;
                }
                open(path.as_ptr(), O_RDONLY_NONBLOCK)
            };
            let error = io::Error::last_os_error();
            if opened >= 0 {
                println!("{kind} {name}");
            } else if error.raw_os_error() != Some(1) {
                // Whatever is not the kernel's "not permitted" was let through to the driver.
                println!("{kind} {name}: {error}");
            }
            // SAFETY: it is ours, or none.
            unsafe { close(opened) };
        }
    }
}

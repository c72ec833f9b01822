//! The machine's own network: loopback and one card with fixed addresses (QEMU's user network).
#![expect(unsafe_code, reason = "the interface ioctls of netdevice(7)")]

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::{Context, Error, PathContext};

const CARD: &str = "eth0";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Where the engine answers questions for names: an address of nobody else's on loopback.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 53);
const SECOND_LOOPBACK: &str = "lo:1";

/// `/etc/resolv.conf` of the root is a link to it.
const RESOLV_CONF: &str = "/run/resolv.conf";

/// Whether the card's driver is there.
pub(super) fn has_card() -> bool {
    Path::new("/sys/class/net").join(CARD).exists()
}

/// Brings loopback and, where there is one, the card up.
pub(super) fn bring_up() -> Result<(), Error> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)
        .step("open a socket for the network's settings")?;
    set_up(&socket, "lo").step("bring loopback up")?;
    let second = |call, address| set_address(&socket, SECOND_LOOPBACK, call, address);
    second(libc::SIOCSIFADDR, RESOLVER)
        .and_then(|()| second(libc::SIOCSIFNETMASK, Ipv4Addr::BROADCAST))
        .step("set the address for names")?;
    if !has_card() {
        return Ok(());
    }
    set_address(&socket, CARD, libc::SIOCSIFADDR, ADDRESS).step("set the machine's address")?;
    set_address(&socket, CARD, libc::SIOCSIFNETMASK, NETMASK).step("set the machine's netmask")?;
    set_up(&socket, CARD).step("bring the network card up")?;
    set_gateway(&socket).step("set the gateway")?;
    std::fs::write(RESOLV_CONF, format!("nameserver {RESOLVER}\n")).at("write", RESOLV_CONF)
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: ifreq is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request
}

fn set_up(socket: &OwnedFd, name: &str) -> Result<(), Errno> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq.
    check(unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    })
}

fn set_address(
    socket: &OwnedFd,
    name: &str,
    call: libc::Ioctl,
    address: Ipv4Addr,
) -> Result<(), Errno> {
    let mut request = request(name);
    request.ifr_ifru.ifru_addr = socket_address(address);
    // SAFETY: both calls read an ifreq.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), call as _, &raw const request) })
}

fn set_gateway(socket: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: rtentry is plain data, for which zeros are valid.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
    route.rt_gateway = socket_address(GATEWAY);
    route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    // SAFETY: SIOCADDRT reads an rtentry.
    let added =
        check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT as _, &raw const route) });
    match added {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    for (to, from) in data[2..].iter_mut().zip(address.octets()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data: data,
    }
}

fn check(result: libc::c_int) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

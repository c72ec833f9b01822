//! The image of a server that tests of published ports speak to (`guest/server.rs`).

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::{Machine, guest};

/// The image's name.
pub const NAME: &str = "slipway-test/server:latest";

/// Makes the image.
///
/// # Errors
/// A reason to skip the test.
///
/// # Panics
/// When it can't be made.
pub fn load(machine: &Machine) -> Result<(), String> {
    guest::load(machine, "server", NAME)
}

/// A server with that name in the background; its id.
pub fn run(machine: &Machine, name: &str, options: &[&str]) -> String {
    let own = ["run", "-d", "--name", name];
    machine
        .docker(&[&own[..], options, &[NAME, name]].concat())
        .text()
}

/// Where a container's port is open on this computer's own address.
///
/// # Panics
/// When it is not.
#[must_use]
pub fn open_at(machine: &Machine, container: &str, port: &str) -> SocketAddr {
    let told = machine.docker(&["port", container, port]).ok();
    let first = told.lines().next().unwrap_or_default();
    let port = first.rsplit(':').next().and_then(|port| port.parse().ok());
    SocketAddr::from(([127, 0, 0, 1], port.expect("a port")))
}

/// Connects, with limits on every wait.
///
/// # Errors
/// When nobody takes the connection.
pub fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The name of the server that answers a request.
///
/// # Errors
/// When none does.
pub fn who(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    let name = answer.rsplit("\r\n\r\n").next().unwrap_or_default();
    if name.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(name.to_owned())
}

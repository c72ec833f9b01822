//! A server for tests of published ports, compiled by `tests::server` without a package of its own:
//! - 7: says back what it hears, and `end` after its client has ended; datagrams too
//! - 9: takes bytes, and says at their end how many came, as eight bytes
//! - 19: eight bytes say how many bytes it is to send
//! - 80: answers each request on a connection with its name

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let name: &'static str = name.leak();
    serve(7, echo);
    serve(9, sink);
    serve(19, source);
    serve(80, move |stream| http(stream, name));
    // A container without IPv6 has only the other kind of address.
    let socket = UdpSocket::bind("[::]:7")
        .or_else(|_| UdpSocket::bind("0.0.0.0:7"))
        .unwrap();
    let mut datagram = vec![0; 65_535];
    loop {
        let (length, from) = socket.recv_from(&mut datagram).unwrap();
        let _ = socket.send_to(&datagram[..length], from);
    }
}

fn serve<F>(port: u16, answer: F)
where
    F: Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static,
{
    let any = TcpListener::bind(("::", port));
    let listener = any
        .or_else(|_| TcpListener::bind(("0.0.0.0", port)))
        .unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            let thread = thread::Builder::new().stack_size(128 * 1024);
            thread.spawn(move || stream.and_then(answer)).unwrap();
        }
        std::io::Result::Ok(())
    });
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return stream.write_all(b"end");
        }
        stream.write_all(&bytes[..count])?;
    }
}

fn sink(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = vec![0; 256 * 1024];
    let mut total = 0_u64;
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return stream.write_all(&total.to_be_bytes());
        }
        total += count as u64;
    }
}

fn source(mut stream: TcpStream) -> std::io::Result<()> {
    let mut wanted = [0; 8];
    stream.read_exact(&mut wanted)?;
    let mut left = u64::from_be_bytes(wanted);
    let bytes = vec![7; 256 * 1024];
    while left > 0 {
        let count = left.min(bytes.len() as u64);
        stream.write_all(&bytes[..count as usize])?;
        left -= count;
    }
    Ok(())
}

fn http(mut stream: TcpStream, name: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&bytes[..count]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            let length = name.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
            stream.write_all(answer.as_bytes())?;
        }
    }
}

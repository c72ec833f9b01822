//! One TCP stream from a namespace to another.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::space::Space;
use tests::figure::time;

const PORT: u16 = 5001;
const BYTES: usize = 2 << 30;
const PIECE: usize = 128 << 10;

/// How long it takes to carry two GiB, in milliseconds.
pub(crate) fn carry(from: &Space, to: &Space, address: &str) -> f64 {
    let listener = to.run(|| TcpListener::bind((address, PORT)).expect("a port"));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a stream");
            let mut buffer = vec![0; PIECE];
            let mut count = 0;
            while count < BYTES {
                let read = stream.read(&mut buffer).expect("bytes");
                assert_ne!(read, 0, "the stream ended early");
                count += read;
            }
        });
        let mut stream = from.run(|| TcpStream::connect((address, PORT)).expect("a stream"));
        let piece = vec![0x5a; PIECE];
        time(|| {
            for _ in 0..BYTES / PIECE {
                stream.write_all(&piece).expect("bytes");
            }
            reading.join().expect("the reader");
        })
    })
}

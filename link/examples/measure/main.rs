//! Measures the link against the bare byte stream and against HTTP/2 as a multiplexer, over a
//! socket pair or over a machine's real port:
//!
//! - `measure pair`
//! - `measure host SOCKET`, with `measure` as the guest's first program, on a virtio port.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measuring tool, not a product"
)]

mod port;

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

const ROUND_TRIPS: u32 = 2000;
const CHUNK: usize = 64 * 1024;
const WINDOW: u32 = 4 << 20;

trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

#[derive(Debug, Clone, Copy)]
enum Way {
    Raw,
    Link,
    Http2,
}

const WAYS: [(Way, u8); 3] = [(Way::Raw, b'r'), (Way::Link, b'l'), (Way::Http2, b'h')];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words[..] {
        ["pair"] => {
            for (way, _) in WAYS {
                let (here, there) = UnixStream::pair().unwrap();
                tokio::spawn(serve(way, there));
                measure(way, here, 256 << 20).await;
            }
        }
        ["host", socket] => {
            for (way, letter) in WAYS {
                let port = choose(socket, letter).await;
                measure(way, port, 64 << 20).await;
            }
        }
        // The kernel passes its own words to its first program.
        _ => guest().await,
    }
}

/// Tells the guest what is measured next. A letter is lost when the guest has not yet seen that
/// the host was gone.
async fn choose(socket: &str, letter: u8) -> UnixStream {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut port = UnixStream::connect(socket).await.unwrap();
        port.write_all(&[letter]).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(2), port.read_u8()).await;
        if let Ok(Ok(echo)) = answer
            && echo == letter
        {
            return port;
        }
    }
}

/// The machine's side: the host says which way it wants, then comes another one.
async fn guest() {
    port::mount_devices();
    loop {
        let mut port = port::Port::open();
        let Ok(letter) = port.read_u8().await else {
            // No host is there.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if let Some((way, _)) = WAYS.into_iter().find(|(_, known)| *known == letter) {
            port.write_all(&[letter]).await.unwrap();
            serve(way, port).await;
        }
    }
}

async fn measure(way: Way, io: impl Io, amount: usize) {
    match way {
        Way::Raw => figures(way, io, amount).await,
        Way::Link => {
            let (opener, _incoming) = link::host(io).await.unwrap();
            figures(way, opener.open(link::Service::Api).await.unwrap(), amount).await;
        }
        Way::Http2 => http2_figures(io, amount).await,
    }
}

async fn serve(way: Way, io: impl Io) {
    match way {
        Way::Raw => answer(io).await,
        Way::Link => {
            let Ok((_opener, mut incoming)) = link::guest(io).await else {
                return;
            };
            while let Some((_, stream)) = incoming.accept().await {
                answer(stream).await;
            }
        }
        Way::Http2 => http2_answer(io).await,
    }
}

/// Requests are 9 bytes: a letter and a number.
async fn answer(mut io: impl Io) {
    loop {
        let Ok(letter) = io.read_u8().await else {
            return;
        };
        let amount = usize::try_from(io.read_u64().await.unwrap()).unwrap();
        match letter {
            b'e' => io.write_all(&[letter]).await.unwrap(),
            b'u' => {
                drain(&mut io, amount).await;
                io.write_all(&[letter]).await.unwrap();
            }
            _ => fill(&mut io, amount).await,
        }
        io.flush().await.unwrap();
    }
}

async fn drain(io: &mut (impl AsyncRead + Unpin), amount: usize) {
    let mut buffer = vec![0; CHUNK];
    let mut left = amount;
    while left > 0 {
        let want = left.min(CHUNK);
        let count = io.read(&mut buffer[..want]).await.unwrap();
        assert!(count > 0);
        left -= count;
    }
}

async fn fill(io: &mut (impl AsyncWrite + Unpin), amount: usize) {
    let buffer = vec![1; CHUNK];
    let mut left = amount;
    while left > 0 {
        let count = left.min(CHUNK);
        io.write_all(&buffer[..count]).await.unwrap();
        left -= count;
    }
}

async fn ask(io: &mut impl Io, letter: u8, amount: usize) {
    let mut request = vec![letter];
    request.extend((amount as u64).to_be_bytes());
    io.write_all(&request).await.unwrap();
}

async fn figures(way: Way, mut io: impl Io, amount: usize) {
    let began = Instant::now();
    for _ in 0..ROUND_TRIPS {
        ask(&mut io, b'e', 0).await;
        io.flush().await.unwrap();
        io.read_u8().await.unwrap();
    }
    let trip = began.elapsed();
    let began = Instant::now();
    ask(&mut io, b'u', amount).await;
    fill(&mut io, amount).await;
    io.flush().await.unwrap();
    io.read_u8().await.unwrap();
    let up = began.elapsed();
    let began = Instant::now();
    ask(&mut io, b'd', amount).await;
    io.flush().await.unwrap();
    drain(&mut io, amount).await;
    tell(way, trip, amount, up, began.elapsed());
}

fn tell(way: Way, trip: Duration, amount: usize, up: Duration, down: Duration) {
    let rate = |time: Duration| (amount >> 20) as f64 / time.as_secs_f64();
    println!(
        "{:8} round trip {:7.1} us   to the guest {:7.1} MiB/s   from the guest {:7.1} MiB/s",
        format!("{way:?}"),
        trip.as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS),
        rate(up),
        rate(down),
    );
}

/// One request is one stream: its method and path say what is wanted.
async fn http2_figures(io: impl Io, amount: usize) {
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(1 << 30)
        .max_frame_size(CHUNK as u32)
        .max_send_buffer_size(4 * CHUNK)
        .handshake::<_, Bytes>(io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let mut request = async |path: String, upload: usize| {
        let request = http::Request::builder()
            .uri(format!("http://x/{path}"))
            .body(())
            .unwrap();
        let (response, mut body) = sender.send_request(request, upload == 0).unwrap();
        if upload > 0 {
            send(&mut body, upload).await;
        }
        let mut body = response.await.unwrap().into_body();
        let mut heard = 0;
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            heard += data.len();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        heard
    };
    let began = Instant::now();
    for _ in 0..ROUND_TRIPS {
        request("1".to_owned(), 0).await;
    }
    let trip = began.elapsed();
    let began = Instant::now();
    request("1".to_owned(), amount).await;
    let up = began.elapsed();
    let began = Instant::now();
    assert_eq!(request(amount.to_string(), 0).await, amount);
    tell(Way::Http2, trip, amount, up, began.elapsed());
}

async fn http2_answer(io: impl Io) {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(1 << 30)
        .max_frame_size(CHUNK as u32)
        .max_send_buffer_size(4 * CHUNK)
        .handshake::<_, Bytes>(io)
        .await
        .unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let amount: usize = request.uri().path()[1..].parse().unwrap();
            let mut body = request.into_body();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            let mut answer = respond
                .send_response(http::Response::new(()), false)
                .unwrap();
            send(&mut answer, amount).await;
        });
    }
}

async fn send(stream: &mut h2::SendStream<Bytes>, amount: usize) {
    let chunk = Bytes::from(vec![1; CHUNK]);
    let mut left = amount;
    while left > 0 {
        stream.reserve_capacity(left.min(CHUNK));
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx))
            .await
            .unwrap()
            .unwrap();
        let count = room.min(left).min(CHUNK);
        stream.send_data(chunk.slice(..count), false).unwrap();
        left -= count;
    }
    stream.send_data(Bytes::new(), true).unwrap();
}

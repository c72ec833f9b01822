//! Questions for names as any container may ask them, and answers as any name server may give them.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::Machine;
use fuzz::host::Host;
use fuzz::seeds;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const SERVER: (&str, u16) = ("10.0.2.53", 53);
const PATIENCE: Duration = Duration::from_secs(8);
/// The id of a question that has an answer for certain.
const MARK: [u8; 2] = [0xfe, 0xed];

/// What stays from one input to the next.
struct Work {
    host: Host,
    socket: UdpSocket,
    /// What the person's computer answers.
    answer: Arc<Mutex<Vec<u8>>>,
}

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    let Some(([kind, length], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let (question, answer) = rest.split_at(usize::from(*length).min(rest.len()));
    WORK.with_borrow(|work| {
        if let Some(work) = work {
            work.run(kind % 4 == 0, question, answer);
        }
    });
});

fn begin() {
    seeds::write(examples());
    let host = Host::start(Machine::Vm);
    let answer: Arc<Mutex<Vec<u8>>> = Arc::default();
    let mut questions = host.engine.name_questions();
    let said = Arc::clone(&answer);
    host.runtime.spawn(async move {
        while let Some(question) = questions.next().await {
            let mut bytes = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let id = bytes.len().min(2);
            bytes[..id].copy_from_slice(&question.message[..id]);
            let _ = question.answer.send(bytes);
        }
    });
    let socket = host.runtime.block_on(async {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        socket.connect(SERVER).await.unwrap();
        socket
    });
    WORK.set(Some(Work {
        host,
        socket,
        answer,
    }));
}

impl Work {
    fn run(&self, stream: bool, question: &[u8], answer: &[u8]) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer.to_vec();
        let asked = async {
            if stream {
                self.stream(question).await;
            } else if !question.is_empty() {
                let _ = self.socket.send(question).await;
            }
            self.mark().await;
        };
        self.host
            .runtime
            .block_on(async { timeout(PATIENCE, asked).await })
            .unwrap_or_else(|_| panic!("names are not answered any more"));
    }

    /// Asks twice on one connection.
    async fn stream(&self, question: &[u8]) {
        let mut stream = TcpStream::connect(SERVER).await.unwrap();
        let length = u16::try_from(question.len()).unwrap().to_be_bytes();
        let frame = [&length, question].concat();
        let _ = stream.write_all(&[frame.clone(), frame].concat()).await;
        let _ = stream.shutdown().await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
    }

    /// Asks what is known for certain until that is answered: the server lives.
    async fn mark(&self) {
        let question = query(MARK, "host.docker.internal", 1);
        let mut said = vec![0; 65_536];
        let mut again = 0;
        loop {
            if again == 0 {
                // The very first may come before the server listens.
                let _ = self.socket.send(&question).await;
            }
            again = (again + 1) % 20;
            let heard = timeout(Duration::from_millis(50), self.socket.recv(&mut said)).await;
            if let Ok(Ok(count)) = heard
                && said[..count].starts_with(&MARK)
                && said[..count].ends_with(&[10, 0, 2, 2])
            {
                return;
            }
        }
    }
}

fn query(id: [u8; 2], name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, kind, 0, 1]);
    bytes
}

fn examples() -> Vec<Vec<u8>> {
    const ADDRESS: [u8; 14] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1];
    let mut seeds = Vec::new();
    for (name, kind) in [
        ("host.docker.internal", 1),
        ("host.docker.internal", 28),
        ("example.org", 1),
        ("example.org", 15),
        ("4.3.2.1.in-addr.arpa", 12),
    ] {
        let question = query([1, 2], name, kind);
        let mut extended = question.clone();
        extended[11] = 1;
        extended.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        let mut answer = question.clone();
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 40);
        for _ in 0..40 {
            answer.extend_from_slice(&ADDRESS);
            answer.extend_from_slice(&[2, 3]);
        }
        for (stream, question) in [(0, &question), (1, &question), (1, &extended)] {
            let length = u8::try_from(question.len()).unwrap();
            seeds.push([&[stream, length], question.as_slice(), &answer].concat());
        }
    }
    seeds
}

//! The server: one UDP and one TCP socket for each container, and for the machine.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use network::NameSockets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::upstream;
use crate::Engine;

/// Docker's, in seconds.
const TIME_TO_LIVE: u32 = 600;
/// The longest answer over UDP to who says nothing else.
const SHORT: u16 = 512;
/// The longest question over UDP.
const LONGEST: usize = 4096;

/// Answers until the end.
pub(super) fn start(
    engine: &Arc<Engine>,
    container: Option<&str>,
    sockets: NameSockets,
    end: CancellationToken,
) {
    let desk = Arc::new(Desk {
        engine: Arc::clone(engine),
        container: container.map(str::to_owned),
    });
    let (udp, tcp) = match (
        UdpSocket::from_std(sockets.udp),
        TcpListener::from_std(sockets.tcp),
    ) {
        (Ok(udp), Ok(tcp)) => (udp, tcp),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(container, %error, "it finds no names");
            return;
        }
    };
    let (of_udp, of_tcp) = (Arc::clone(&desk), desk);
    let ended = end.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = of_udp.datagrams(Arc::new(udp)) => {}
            () = ended.cancelled() => {}
        }
    });
    tokio::spawn(async move {
        tokio::select! {
            () = of_tcp.connections(tcp) => {}
            () = end.cancelled() => {}
        }
    });
}

/// Where one container's questions are answered, or the machine's.
struct Desk {
    engine: Arc<Engine>,
    container: Option<String>,
}

/// What there is to say at once.
enum Reply {
    /// This.
    Ready(Vec<u8>),
    /// Nothing: others must be asked.
    Elsewhere(Elsewhere),
    /// Nothing at all: it was no question.
    Silence,
}

/// Where an answer may come from.
struct Elsewhere {
    /// The person's own computer first.
    host: bool,
    servers: Vec<IpAddr>,
    /// The answer when there is none.
    refusal: Vec<u8>,
    /// The longest answer.
    limit: u16,
}

impl Desk {
    async fn datagrams(self: &Arc<Self>, socket: Arc<UdpSocket>) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                // An error of an earlier answer: whoever asked is gone.
                continue;
            };
            let question = buffer.get(..length).unwrap_or_default();
            match self.reply(question, false) {
                Reply::Ready(answer) => {
                    // The asker may be gone.
                    let _ = socket.send_to(&answer, from).await;
                }
                Reply::Elsewhere(elsewhere) => {
                    let (question, socket) = (question.to_vec(), Arc::clone(&socket));
                    let desk = Arc::clone(self);
                    tokio::spawn(async move {
                        let answer = desk.fetch(elsewhere, &question, false).await;
                        let _ = socket.send_to(&answer, from).await;
                    });
                }
                Reply::Silence => {}
            }
        }
    }

    async fn connections(self: &Arc<Self>, listener: TcpListener) {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(self);
                // A connection that breaks is its client's affair.
                tokio::spawn(async move {
                    let _ = desk.conversation(stream).await;
                });
            }
        }
    }

    async fn conversation(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let length = stream.read_u16().await?;
            let mut question = vec![0; length.into()];
            stream.read_exact(&mut question).await?;
            let answer = match self.reply(&question, true) {
                Reply::Ready(answer) => answer,
                Reply::Elsewhere(elsewhere) => self.fetch(elsewhere, &question, true).await,
                Reply::Silence => return Ok(()),
            };
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            stream.write_u16(length).await?;
            stream.write_all(&answer).await?;
        }
    }

    /// Asks elsewhere.
    async fn fetch(&self, elsewhere: Elsewhere, question: &[u8], stream: bool) -> Vec<u8> {
        if elsewhere.host
            && let Some(answer) = self.engine.names.host.ask(question).await
        {
            return cut(answer, elsewhere.limit);
        }
        let answer = match stream {
            true => upstream::tcp(&elsewhere.servers, question).await,
            false => upstream::udp(&elsewhere.servers, question).await,
        };
        answer.unwrap_or(elsewhere.refusal)
    }

    fn reply(&self, bytes: &[u8], stream: bool) -> Reply {
        let Ok(request) = Message::from_vec(bytes) else {
            return Reply::Silence;
        };
        let Some(query) = request.queries.first() else {
            return Reply::Silence;
        };
        let limit = match (stream, &request.edns) {
            (true, _) => u16::MAX,
            (false, Some(edns)) => edns.max_payload().max(SHORT),
            (false, None) => SHORT,
        };
        if let Some(records) = self.known(query) {
            return Reply::Ready(answer(
                &request,
                query,
                records,
                ResponseCode::NoError,
                limit,
            ));
        }
        // Its own servers, if it has chosen any; nobody where no network leads out.
        let own = match &self.container {
            None => Some(Vec::new()),
            Some(container) => {
                let index = self.engine.name_index();
                let asker = index.asker(container).filter(|asker| asker.leads_out);
                asker.map(|asker| asker.servers.clone())
            }
        };
        let (host, servers) = match own {
            Some(own) if own.is_empty() => (true, upstream::servers(&self.engine)),
            Some(own) => (false, own),
            None => (false, Vec::new()),
        };
        Reply::Elsewhere(Elsewhere {
            host,
            servers,
            refusal: answer(&request, query, Vec::new(), ResponseCode::ServFail, limit),
            limit,
        })
    }

    /// The records of a name that we know; nothing where others must be asked.
    fn known(&self, query: &Query) -> Option<Vec<Record>> {
        let index = self.engine.name_index();
        let container = self.container.as_deref();
        let asker = container.and_then(|container| index.asker(container));
        let record = |data| Record::from_rdata(query.name.clone(), TIME_TO_LIVE, data);
        if query.query_type == RecordType::PTR {
            let ip = query.name.parse_arpa_name().ok()?.addr();
            let name = index.name_of(asker?, ip)?;
            // Names of networks have underscores, which only the plain form may have.
            let name = Name::from_ascii(format!("{name}.")).ok()?;
            return Some(vec![record(RData::PTR(PTR(name)))]);
        }
        let name = query.name.to_utf8().to_lowercase();
        let name = name.trim_end_matches('.');
        let mut found = match name {
            "host.docker.internal" | "gateway.docker.internal" => {
                vec![self.engine.host_alias(container)?]
            }
            name => index.find(asker?, name)?,
        };
        let wanted = |ip: &IpAddr| match query.query_type {
            RecordType::A => ip.is_ipv4(),
            RecordType::AAAA => ip.is_ipv6(),
            _ => false,
        };
        found.retain(wanted);
        if found.len() > 1 {
            let turn = self.engine.names.turn.fetch_add(1, Ordering::Relaxed);
            let turn = turn % found.len();
            found.rotate_left(turn);
        }
        let data = |ip| match ip {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        };
        Some(found.into_iter().map(|ip| record(data(ip))).collect())
    }
}

fn answer(
    request: &Message,
    query: &Query,
    records: Vec<Record>,
    code: ResponseCode,
    limit: u16,
) -> Vec<u8> {
    let mut message = Message::response(request.metadata.id, OpCode::Query);
    message.metadata.recursion_desired = request.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_query(query.clone());
    message.add_answers(records);
    let bytes = message.to_vec().unwrap_or_default();
    cut(bytes, limit)
}

/// Leaves out what is too long: whoever wants all of it asks again over TCP.
fn cut(answer: Vec<u8>, limit: u16) -> Vec<u8> {
    if answer.len() <= limit.into() {
        return answer;
    }
    let short = Message::from_vec(&answer).ok();
    let short = short.and_then(|message| message.truncate().to_vec().ok());
    short.unwrap_or(answer)
}

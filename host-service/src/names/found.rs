//! What was found of a name, and how it becomes an answer.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// How long what the system said counts, in seconds: it does not tell, and a change of `/etc/hosts` is
/// to be seen soon.
const SYSTEM: u32 = 10;
/// The same of what is nobody's, and of a failure.
const NOBODY: u32 = 5;
const FAILURE: u32 = 1;
/// The longest that anything is kept: a VPN comes and goes.
const LONGEST: u32 = 60;

/// Where the machine reaches this computer itself.
const ALIAS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What was found, and until when it counts.
#[derive(Debug)]
pub(super) struct Found {
    what: What,
    since: Instant,
    until: Instant,
}

#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// A name's addresses; there may be none.
    Addresses(Vec<IpAddr>),
    /// An address's name.
    Name(String),
    /// A server said this.
    Said(Box<Message>),
    /// There is no such name.
    Nobody,
    /// Nobody could be asked.
    Failure,
}

impl Found {
    fn new(what: What, seconds: u32) -> Self {
        let since = Instant::now();
        Self {
            what,
            since,
            until: since + Duration::from_secs(seconds.into()),
        }
    }

    pub(super) fn addresses(addresses: Vec<IpAddr>) -> Self {
        Self::new(What::Addresses(addresses), SYSTEM)
    }

    pub(super) fn name(name: String) -> Self {
        Self::new(What::Name(name), SYSTEM)
    }

    pub(super) fn nothing() -> Self {
        Self::new(What::Addresses(Vec::new()), NOBODY)
    }

    pub(super) fn nobody() -> Self {
        Self::new(What::Nobody, NOBODY)
    }

    pub(super) fn failed() -> Self {
        Self::new(What::Failure, FAILURE)
    }

    /// A server's answer, which counts as long as its shortest record says; RFC 2308 tells how long
    /// there is nothing.
    pub(super) fn said(answer: Option<&[u8]>) -> Self {
        let Some(message) = answer.and_then(|bytes| Message::from_vec(bytes).ok()) else {
            return Self::failed();
        };
        let seconds = match (message.metadata.response_code, message.answers.is_empty()) {
            (ResponseCode::NoError, false) => message.answers.iter().map(|record| record.ttl).min(),
            (ResponseCode::NoError | ResponseCode::NXDomain, _) => {
                let negative = message
                    .authorities
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
                        _ => None,
                    });
                Some(negative.min().unwrap_or(NOBODY))
            }
            _ => return Self::failed(),
        };
        if message.metadata.response_code == ResponseCode::NXDomain {
            return Self::new(What::Nobody, seconds.unwrap_or(NOBODY).min(LONGEST));
        }
        Self::new(
            What::Said(Box::new(message)),
            seconds.unwrap_or(0).min(LONGEST),
        )
    }

    pub(super) fn is(&self, what: &What) -> bool {
        self.what == *what
    }

    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }

    /// The answer to a question.
    pub(super) fn render(&self, request: &Message, query: &Query) -> Option<Vec<u8>> {
        let mut message = Message::response(request.metadata.id, OpCode::Query);
        message.metadata.recursion_desired = request.metadata.recursion_desired;
        message.metadata.recursion_available = true;
        message.add_query(query.clone());
        let left = self.until.saturating_duration_since(Instant::now());
        let left = u32::try_from(left.as_secs()).unwrap_or(LONGEST);
        let record = |data| Record::from_rdata(query.name.clone(), left, data);
        match &self.what {
            What::Addresses(addresses) => {
                let data = addresses.iter().filter_map(|ip| data(query, *ip));
                message.add_answers(data.map(record));
            }
            What::Name(name) => {
                let name = Name::from_utf8(format!("{}.", name.trim_end_matches('.'))).ok()?;
                message.add_answer(record(RData::PTR(PTR(name))));
            }
            What::Said(said) => {
                let age = u32::try_from(self.since.elapsed().as_secs()).unwrap_or(u32::MAX);
                let older = |record: &Record| {
                    let mut record = record.clone();
                    record.ttl = record.ttl.saturating_sub(age);
                    record
                };
                message.add_answers(said.answers.iter().map(older));
                message.add_authorities(said.authorities.iter().map(older));
                message.add_additionals(said.additionals.iter().map(older));
            }
            What::Nobody => message.metadata.response_code = ResponseCode::NXDomain,
            What::Failure => message.metadata.response_code = ResponseCode::ServFail,
        }
        message.to_vec().ok()
    }
}

/// The record's data of the kind that was asked for. What is this computer's own for the computer is
/// its alias for the machine, but not what is everybody's own.
fn data(query: &Query, ip: IpAddr) -> Option<RData> {
    match (query.query_type, ip) {
        (RecordType::A, IpAddr::V4(ip)) => {
            let elsewhere = ip.is_loopback() && !is_localhost(&query.name);
            Some(RData::A(A(if elsewhere { ALIAS } else { ip })))
        }
        (RecordType::AAAA, IpAddr::V6(ip)) if !ip.is_loopback() || is_localhost(&query.name) => {
            Some(RData::AAAA(AAAA(ip)))
        }
        _ => None,
    }
}

fn is_localhost(name: &Name) -> bool {
    let last = name.iter().next_back();
    last.is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"))
}

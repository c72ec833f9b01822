//! Questions over a real link to this computer's real resolver.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use link::datagrams::{receive, send};
use link::{Service, Stream};

use super::Names;

/// The machine's end of a stream that is served, with what keeps it alive.
async fn machine() -> (Stream, impl Sized) {
    let (here, there) = tokio::io::duplex(100_000);
    let (host, guest) = tokio::join!(link::host(here), link::guest(there));
    let ((opener, hosts), (guests, mut incoming)) = (host.unwrap(), guest.unwrap());
    let stream = opener.open(Service::Resolve).await.unwrap();
    tokio::spawn(Names::new().serve(stream));
    let (service, stream) = incoming.accept().await.unwrap();
    assert_eq!(service, Service::Resolve);
    (stream, (opener, hosts, guests, incoming))
}

fn question(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

async fn answer(stream: &mut Stream) -> Message {
    let mut bytes = Vec::new();
    receive(stream, &mut bytes).await.unwrap().unwrap();
    Message::from_vec(&bytes).unwrap()
}

#[tokio::test]
async fn the_system_answers_each_question_by_its_id() {
    let (mut stream, _alive) = machine().await;
    let questions = [
        // In the file of hosts of every system; letters come back as they were asked.
        ("LocalHost.", RecordType::A),
        ("1.0.0.127.in-addr.arpa.", RecordType::PTR),
        // What the system would take for an address is no name.
        ("127.1.", RecordType::A),
        ("localhost.", RecordType::AAAA),
    ];
    send(&mut stream, b"no question").await.unwrap();
    for (id, (name, kind)) in (7..).zip(questions) {
        send(&mut stream, &question(id, name, kind)).await.unwrap();
    }
    let mut answers = Vec::new();
    for _ in questions {
        answers.push(answer(&mut stream).await);
    }
    answers.sort_by_key(|answer| answer.metadata.id);
    let codes: Vec<ResponseCode> = answers
        .iter()
        .map(|answer| answer.metadata.response_code)
        .collect();
    let fine = ResponseCode::NoError;
    assert_eq!(codes, [fine, fine, ResponseCode::NXDomain, fine]);
    assert_eq!(
        answers[0].answers[0].data,
        RData::A(Ipv4Addr::LOCALHOST.into())
    );
    assert_eq!(answers[0].queries[0].name.to_ascii(), "LocalHost.");
    assert!(answers[0].answers[0].ttl <= 10);
    assert!(matches!(answers[1].answers[0].data, RData::PTR(_)));
}

#[tokio::test]
async fn a_name_of_this_computer_itself_leads_to_its_alias() {
    use super::found::Found;
    let request = Message::from_vec(&question(1, "shop.test.", RecordType::A)).unwrap();
    let found = Found::addresses(vec!["127.0.1.1".parse().unwrap(), "::1".parse().unwrap()]);
    let rendered = found.render(&request, &request.queries[0]).unwrap();
    let answers = Message::from_vec(&rendered).unwrap().answers;
    assert_eq!(answers[0].data, RData::A(Ipv4Addr::new(10, 0, 2, 2).into()));
    let request = Message::from_vec(&question(1, "shop.test.", RecordType::AAAA)).unwrap();
    let rendered = found.render(&request, &request.queries[0]).unwrap();
    let answer = Message::from_vec(&rendered).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty());
}

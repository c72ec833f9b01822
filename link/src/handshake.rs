//! The messages that begin a session, and the scanner that finds them among anything else.
//!
//! A virtio port outlives slipwayd: after a crash the bytes of the old session may still lie in
//! it, cut off anywhere. So the host repeats `Call` with a random name for the session until the
//! guest answers `Echo`; then the host says `Start` once and the guest `Ready` once. What comes
//! before `Start` (at the guest) or `Ready` (at the host) is skipped, what comes after it is the
//! session. An old session's bytes cannot be taken for it: they don't hold its name.

/// Length of every message.
pub(crate) const LENGTH: usize = 32;

/// The version of everything on the link, from this message on.
pub(crate) const VERSION: u8 = 1;

/// A session's first byte is never a frame of the multiplexer, whose frames begin with 0: a peer
/// that is still in an old session fails on it at once.
const MAGIC: [u8; 8] = *b"\xf5SLIPWAY";

/// The random name of a session.
pub(crate) type Nonce = [u8; 16];

/// The four steps of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Host: is anybody there? Repeated.
    Call,
    /// Guest: I heard this call. Once for each call heard.
    Echo,
    /// Host: after this the session. Once.
    Start,
    /// Guest: after this the session. Once.
    Ready,
}

/// One message of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) version: u8,
    pub(crate) nonce: Nonce,
}

impl Message {
    pub(crate) fn new(kind: Kind, nonce: Nonce) -> Self {
        Self {
            kind,
            version: VERSION,
            nonce,
        }
    }

    pub(crate) fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = match self.kind {
            Kind::Call => 1,
            Kind::Echo => 2,
            Kind::Start => 3,
            Kind::Ready => 4,
        };
        bytes[9] = self.version;
        bytes[12..28].copy_from_slice(&self.nonce);
        let sum = checksum(&bytes[..28]);
        bytes[28..].copy_from_slice(&sum);
        bytes
    }

    /// Reads a message of exactly [`LENGTH`] bytes.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(28)?;
        if !body.starts_with(&MAGIC) || checksum(body) != sum {
            return None;
        }
        let kind = match body[8] {
            1 => Kind::Call,
            2 => Kind::Echo,
            3 => Kind::Start,
            4 => Kind::Ready,
            _ => return None,
        };
        Some(Self {
            kind,
            version: body[9],
            nonce: body[12..28].try_into().ok()?,
        })
    }
}

/// FNV-1a: enough against a message put together from two cut ones.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut sum: u32 = 0x811c_9dc5;
    for byte in bytes {
        sum = (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    sum.to_be_bytes()
}

/// Finds messages in a stream of anything.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    buffer: Vec<u8>,
}

impl Scanner {
    /// Adds bytes as they came.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message; `None` when more bytes are needed. What is before it is dropped.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let mut at = 0;
        while let Some(skip) = self.buffer[at..].iter().position(|&byte| byte == MAGIC[0]) {
            at += skip;
            let rest = &self.buffer[at..];
            if rest.len() < LENGTH {
                let known = rest.len().min(MAGIC.len());
                if rest[..known] == MAGIC[..known] {
                    self.buffer.drain(..at);
                    return None;
                }
            } else if let Some(message) = Message::parse(&rest[..LENGTH]) {
                self.buffer.drain(..at + LENGTH);
                return Some(message);
            }
            at += 1;
        }
        self.buffer.clear();
        None
    }

    /// The bytes after the last message: the session's first.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Call),
            Just(Kind::Echo),
            Just(Kind::Start),
            Just(Kind::Ready)
        ]
    }

    /// Garbage that likes to look like the start of a message.
    fn garbage() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            (0..LENGTH, any::<Nonce>(), kind()).prop_map(|(cut, nonce, kind)| Message::new(
                kind, nonce
            )
            .encode()[..cut]
                .to_vec()),
            Just(vec![MAGIC[0]; 5]),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn scan(bytes: &[u8], cuts: &[usize]) -> (Vec<Message>, Scanner) {
        let mut scanner = Scanner::default();
        let mut found = Vec::new();
        let mut rest = bytes;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).clamp(1, rest.len()));
            scanner.feed(now);
            while let Some(message) = scanner.next() {
                found.push(message);
            }
            rest = later;
        }
        (found, scanner)
    }

    /// Whether garbage and the beginning of what follows it make a message by chance: one that lacks
    /// its last byte, say, and meets that byte. Nobody can tell it from a true one; whoever called
    /// calls again.
    fn overlap(before: &[u8], whole: &[u8]) -> bool {
        let first = before.len().saturating_sub(LENGTH - 1);
        (first..before.len()).any(|at| {
            let bytes = whole.get(at..at + LENGTH);
            bytes.is_some_and(|bytes| Message::parse(bytes).is_some())
        })
    }

    proptest! {
        #[test]
        fn finds_the_message_behind_any_garbage(
            before in garbage(),
            nonce in any::<Nonce>(),
            kind in kind(),
            after in proptest::collection::vec(any::<u8>(), 0..50),
            cuts in proptest::collection::vec(1..40usize, 1..8),
        ) {
            let message = Message::new(kind, nonce);
            let bytes = [&before[..], &message.encode(), &after].concat();
            prop_assume!(!overlap(&before, &bytes));
            let (found, _) = scan(&bytes, &cuts);
            prop_assert!(found.contains(&message));
        }

        #[test]
        fn what_follows_the_message_is_kept_whole(
            before in garbage(),
            nonce in any::<Nonce>(),
            after in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let message = Message::new(Kind::Start, nonce).encode();
            prop_assume!(!overlap(&before, &[&before[..], &message].concat()));
            let mut scanner = Scanner::default();
            scanner.feed(&before);
            scanner.feed(&message);
            scanner.feed(&after);
            while let Some(message) = scanner.next() {
                if message.nonce == nonce {
                    break;
                }
            }
            prop_assert_eq!(scanner.into_rest(), after);
        }

        #[test]
        fn splits_don_t_matter(
            bytes in garbage(),
            cuts in proptest::collection::vec(1..40usize, 1..8),
        ) {
            let (whole, _) = scan(&bytes, &[usize::MAX]);
            let (split, _) = scan(&bytes, &cuts);
            prop_assert_eq!(whole, split);
        }

        #[test]
        fn garbage_is_not_hoarded(
            bytes in proptest::collection::vec(any::<u8>(), 0..4000),
        ) {
            let (_, scanner) = scan(&bytes, &[64]);
            prop_assert!(scanner.buffer.len() < LENGTH);
        }

        #[test]
        fn a_flipped_bit_is_noticed(nonce in any::<Nonce>(), bit in 0..LENGTH * 8) {
            let mut bytes = Message::new(Kind::Call, nonce).encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Two bytes are reserved and covered by the sum as well.
            prop_assert_eq!(Message::parse(&bytes), None);
        }
    }
}

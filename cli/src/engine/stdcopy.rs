//! Docker's multiplexed stream: frames of a stream number, three zeros, a big-endian length, and
//! the bytes. Used by `attach`, `exec` and `logs` of containers without a terminal.

/// Whose bytes these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// What the engine itself has to say.
    System,
}

/// Takes a multiplexed stream apart, however it is cut into chunks. Bytes are handed on as they
/// come; a frame need not be complete.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    header: [u8; 8],
    have: usize,
    source: Option<Source>,
    left: usize,
}

/// The stream is not what it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unrecognized stream number {0} in the output")]
pub(crate) struct Unrecognized(u8);

impl Demux {
    /// Hands each piece of `chunk` to `sink` with its source.
    pub(crate) fn feed(
        &mut self,
        mut chunk: &[u8],
        mut sink: impl FnMut(Source, &[u8]),
    ) -> Result<(), Unrecognized> {
        while !chunk.is_empty() {
            if let Some(source) = self.source {
                let (piece, rest) = chunk.split_at(self.left.min(chunk.len()));
                sink(source, piece);
                self.left -= piece.len();
                chunk = rest;
                if self.left == 0 {
                    self.source = None;
                }
                continue;
            }
            let (piece, rest) = chunk.split_at((8 - self.have).min(chunk.len()));
            self.header[self.have..self.have + piece.len()].copy_from_slice(piece);
            self.have += piece.len();
            chunk = rest;
            if self.have == 8 {
                self.begin()?;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Unrecognized> {
        let [number, _, _, _, a, b, c, d] = self.header;
        self.have = 0;
        let source = match number {
            // Standard input is written to standard output, as Docker does.
            0 | 1 => Source::Stdout,
            2 => Source::Stderr,
            3 => Source::System,
            other => return Err(Unrecognized(other)),
        };
        self.left = u32::from_be_bytes([a, b, c, d]) as usize;
        self.source = (self.left > 0).then_some(source);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn frame(number: u8, text: &[u8]) -> Vec<u8> {
        let mut frame = vec![number, 0, 0, 0];
        frame.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend(text);
        frame
    }

    proptest::proptest! {
        #[test]
        fn any_cut_gives_the_same_text(
            pieces in proptest::collection::vec(
                (1_u8..=2, proptest::collection::vec(proptest::num::u8::ANY, 0..300)),
                0..8,
            ),
            cuts in proptest::collection::vec(1_usize..40, 1..8),
        ) {
            let stream: Vec<u8> = pieces.iter().flat_map(|(n, text)| frame(*n, text)).collect();
            let mut sizes = cuts.iter().cycle();
            let mut rest = &stream[..];
            let mut demux = Demux::default();
            let mut got = [Vec::new(), Vec::new()];
            while !rest.is_empty() {
                let (chunk, more) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                rest = more;
                demux
                    .feed(chunk, |source, piece| {
                        got[usize::from(source == Source::Stderr)].extend_from_slice(piece);
                    })
                    .unwrap();
            }
            for (number, got) in [1, 2].into_iter().zip(got) {
                let of_stream = pieces.iter().filter(|(n, _)| *n == number);
                let sent: Vec<u8> = of_stream.flat_map(|(_, text)| text.clone()).collect();
                proptest::prop_assert_eq!(got, sent);
            }
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Demux::default().feed(&bytes, |_, _| {});
        }
    }

    #[test]
    fn a_raw_stream_is_recognized_as_wrong() {
        let wrong = Demux::default().feed(b"plain text, no frames", |_, _| {});
        assert_eq!(wrong, Err(Unrecognized(b'p')));
    }
}

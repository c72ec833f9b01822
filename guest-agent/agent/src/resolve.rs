//! Carries the engine's questions for names to the host, and its answers back.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use engine::{Engine, NameQuestion};
use link::Stream;
use link::datagrams::{receive, send};
use tokio::sync::oneshot;

/// Serves one stream until it ends; then questions are asked elsewhere.
pub(crate) async fn serve(stream: Stream, engine: &Engine) {
    let mut questions = engine.name_questions();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let waiting = Mutex::new(Waiting::default());
    let asking = async {
        while let Some(question) = questions.next().await {
            let message = lock(&waiting).add(question);
            if let Some(message) = message {
                send(&mut writer, &message).await?;
            }
        }
        Ok(())
    };
    let hearing = async {
        let mut answer = Vec::new();
        while receive(&mut reader, &mut answer).await?.is_some() {
            lock(&waiting).answer(&answer);
        }
        Ok(())
    };
    let ended: io::Result<()> = tokio::select! {
        ended = asking => ended,
        ended = hearing => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "the host answers no questions for names any more");
    }
}

fn lock(waiting: &Mutex<Waiting>) -> std::sync::MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Questions under way, by the number that they have on the stream: many may have the same of their
/// own.
#[derive(Default)]
struct Waiting {
    questions: HashMap<u16, ([u8; 2], oneshot::Sender<Vec<u8>>)>,
    next: u16,
}

impl Waiting {
    /// The question with its number; `None` when it is none, or there is no number left.
    fn add(&mut self, question: NameQuestion) -> Option<Vec<u8>> {
        let NameQuestion {
            mut message,
            answer,
        } = question;
        let id: &mut [u8; 2] = message.first_chunk_mut()?;
        // One that nobody waits for any more makes room.
        let mut numbers = 0..=u16::MAX;
        numbers.find(|_| {
            self.next = self.next.wrapping_add(1);
            let other = self.questions.get(&self.next);
            other.is_none_or(|(_, answer)| answer.is_closed())
        })?;
        let own = std::mem::replace(id, self.next.to_be_bytes());
        self.questions.insert(self.next, (own, answer));
        Some(message)
    }

    fn answer(&mut self, message: &[u8]) {
        let Some((id, rest)) = message.split_first_chunk() else {
            return;
        };
        if let Some((own, answer)) = self.questions.remove(&u16::from_be_bytes(*id)) {
            // Who asked may have given up.
            let _ = answer.send([&own[..], rest].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn answers_find_their_questions_in_any_order() {
        let mut waiting = Waiting::default();
        let mut ask = |message: &[u8]| {
            let (answer, answered) = oneshot::channel();
            let message = message.to_vec();
            let sent = waiting.add(NameQuestion { message, answer });
            (sent, answered)
        };
        let (first, mut one) = ask(b"\0\x07first");
        let (second, mut two) = ask(b"\0\x07second");
        assert_eq!(ask(b"?").0, None);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_ne!(first[..2], second[..2]);
        assert_eq!(&second[2..], b"second");
        waiting.answer(&second);
        waiting.answer(&first);
        waiting.answer(&first);
        waiting.answer(b"x");
        assert_eq!(one.try_recv().unwrap(), b"\0\x07first");
        assert_eq!(two.try_recv().unwrap(), b"\0\x07second");
    }
}

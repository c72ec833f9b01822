//! Questions for the resolver of the person's own computer, which knows what its VPNs, its
//! `/etc/hosts` and its neighbours are called. Somebody else carries them there.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::Engine;

/// How long the computer may take; it gives up before.
const PATIENCE: Duration = Duration::from_secs(5);

/// Questions that wait to be carried; more are asked elsewhere.
const WAITING: usize = 1024;

/// One question.
#[derive(Debug)]
pub struct NameQuestion {
    /// A DNS message.
    pub message: Vec<u8>,
    /// Takes the answer, another with the same id. Dropped when there is none.
    pub answer: oneshot::Sender<Vec<u8>>,
}

/// Questions in order, for who carries them.
#[derive(Debug)]
pub struct NameQuestions(mpsc::Receiver<NameQuestion>);

impl NameQuestions {
    /// The next question; `None` when somebody else has taken over.
    pub async fn next(&mut self) -> Option<NameQuestion> {
        self.0.recv().await
    }
}

/// Who carries questions, if anybody does.
#[derive(Debug, Default)]
pub(super) struct HostNames(Mutex<Option<mpsc::Sender<NameQuestion>>>);

impl HostNames {
    fn take_over(&self) -> NameQuestions {
        let (sender, receiver) = mpsc::channel(WAITING);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        NameQuestions(receiver)
    }

    /// The computer's answer; `None`, mostly at once, when it gives none.
    pub(super) async fn ask(&self, question: &[u8]) -> Option<Vec<u8>> {
        let carrier = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        let (answer, answered) = oneshot::channel();
        let message = question.to_vec();
        carrier.try_send(NameQuestion { message, answer }).ok()?;
        timeout(PATIENCE, answered).await.ok()?.ok()
    }
}

impl Engine {
    /// Takes over the questions for the person's own computer.
    pub fn name_questions(&self) -> NameQuestions {
        self.names.host.take_over()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn without_an_answer_there_is_none() {
        let names = HostNames::default();
        assert_eq!(names.ask(b"?").await, None);
        let mut questions = names.take_over();
        let carry = async {
            let first = questions.next().await.unwrap();
            let answer = [&first.message[..], b"!"].concat();
            first.answer.send(answer).unwrap();
            drop(questions.next().await.unwrap());
        };
        let ask = async { [names.ask(b"?").await, names.ask(b"2").await] };
        let ((), said) = tokio::join!(carry, ask);
        assert_eq!(said, [Some(b"?!".to_vec()), None]);
        drop(questions);
        assert_eq!(names.ask(b"?").await, None, "nobody carries it");
    }
}

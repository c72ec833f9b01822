//! Names as this computer knows them: the machine asks over the link, and the computer's own resolver
//! answers, with its VPNs' servers, its `/etc/hosts`, and whatever else it asks.

mod forward;
mod found;
mod servers;
mod system;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{DNSClass, RecordType};
use link::Stream;
use link::datagrams::{receive, send};
use tokio::sync::{Semaphore, mpsc};

use found::{Found, What};

/// How long a question may take. The system's resolver may go on, and its answer is kept for the next
/// time: who asks does so again after five seconds, as a rule.
const PATIENCE: Duration = Duration::from_secs(4);

/// Questions of the machine at a time; more wait on the link.
const AT_ONCE: usize = 256;

/// Threads that wait for the system's resolver; more questions wait for one of them.
const THREADS: usize = 32;

/// Answers that are kept.
const KEPT: usize = 4096;

/// Answers from this computer's resolver. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    kept: Arc<Mutex<HashMap<Subject, Pending>>>,
    threads: Arc<Semaphore>,
}

/// An answer, or who looks for it: those who ask the same meanwhile wait for it too.
type Pending = Shared<BoxFuture<'static, Arc<Found>>>;

/// What is asked for. The addresses of both kinds are one: the system finds them together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Addresses(String),
    NameOf(std::net::IpAddr),
    Other(String, RecordType, DNSClass),
}

impl Names {
    pub(crate) fn new() -> Self {
        Self {
            kept: Arc::default(),
            threads: Arc::new(Semaphore::new(THREADS)),
        }
    }

    /// Answers the questions on a stream until it ends.
    pub(crate) async fn serve(self, stream: Stream) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (say, mut said) = mpsc::channel::<Vec<u8>>(AT_ONCE);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let answering = async {
            while let Some(answer) = said.recv().await {
                send(&mut writer, &answer).await?;
            }
            Ok(())
        };
        let listening = async {
            let mut question = Vec::new();
            while receive(&mut reader, &mut question).await?.is_some() {
                // It is never closed.
                let place = Arc::clone(&places).acquire_owned().await;
                let (names, question, say) = (self.clone(), question.clone(), say.clone());
                tokio::spawn(async move {
                    if let Some(answer) = names.answer(&question).await {
                        // The machine may be gone.
                        let _ = say.send(answer).await;
                    }
                    drop(place);
                });
            }
            Ok(())
        };
        let ended: std::io::Result<()> = tokio::select! {
            ended = answering => ended,
            ended = listening => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the machine's questions for names ended");
        }
    }

    /// The answer to one question; none to what is no question.
    async fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let request = Message::from_vec(question).ok()?;
        let query = request.queries.first()?;
        let signed = request.edns.as_ref().is_some_and(|e| e.flags().dnssec_ok);
        if signed && !is_for_addresses(query) {
            // Signatures are of what the server said: nothing is kept or put together anew.
            let asked = tokio::time::timeout(PATIENCE, forward::ask(question)).await;
            if let Ok(Some(mut answer)) = asked {
                answer.splice(..2, question.iter().take(2).copied());
                return Some(answer);
            }
            return Found::failed().render(&request, query);
        }
        let found = match tokio::time::timeout(PATIENCE, self.find(query)).await {
            Ok(found) => found,
            Err(_) => Arc::new(Found::failed()),
        };
        found.render(&request, query)
    }

    /// Looks among what is kept, or begins to look elsewhere.
    fn find(&self, query: &Query) -> Pending {
        let subject = Subject::of(query);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |pending: &Pending| pending.peek().is_none_or(|found| found.is_fresh());
        if let Some(pending) = kept.get(&subject).filter(|pending| fresh(pending)) {
            return pending.clone();
        }
        if kept.len() >= KEPT {
            kept.retain(|_, pending| fresh(pending));
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let pending = self.clone().look(subject.clone(), query.clone());
        let pending = pending.map(Arc::new).boxed().shared();
        kept.insert(subject, pending.clone());
        // It is looked for to the end, even when who asked does not wait.
        tokio::spawn(pending.clone());
        pending
    }

    async fn look(self, subject: Subject, query: Query) -> Found {
        match subject {
            Subject::Addresses(name) => self.system(move || system::addresses(&name)).await,
            Subject::NameOf(ip) => self.system(move || system::name_of(ip)).await,
            Subject::Other(name, ..) => {
                let mut message = Message::query();
                message.metadata.recursion_desired = true;
                message.metadata.id = forward::id();
                message.add_query(query);
                let asked = match message.to_vec() {
                    Ok(bytes) => forward::ask(&bytes).await,
                    Err(_) => None,
                };
                let found = Found::said(asked.as_deref());
                if !found.is(&What::Nobody) {
                    return found;
                }
                // Only the system's own resolver knows whether the name is nobody's.
                let addresses = self.system(move || system::addresses(&name)).await;
                if addresses.is(&What::Nobody) {
                    found
                } else {
                    Found::nothing()
                }
            }
        }
    }

    /// Asks the system on a thread that may wait.
    async fn system(&self, ask: impl FnOnce() -> Found + Send + 'static) -> Found {
        let Ok(thread) = Arc::clone(&self.threads).acquire_owned().await else {
            return Found::failed();
        };
        let asked = tokio::task::spawn_blocking(move || {
            let found = ask();
            drop(thread);
            found
        });
        asked.await.unwrap_or_else(|_| Found::failed())
    }
}

fn is_for_addresses(query: &Query) -> bool {
    query.query_class == DNSClass::IN
        && matches!(query.query_type, RecordType::A | RecordType::AAAA)
}

impl Subject {
    fn of(query: &Query) -> Self {
        let name = query.name.to_ascii().to_lowercase();
        let name = name.trim_end_matches('.').to_owned();
        if is_for_addresses(query) {
            return Self::Addresses(name);
        }
        if query.query_type == RecordType::PTR
            && let Ok(net) = query.name.parse_arpa_name()
            && net.prefix_len() == net.max_prefix_len()
        {
            return Self::NameOf(net.addr());
        }
        Self::Other(name, query.query_type, query.query_class)
    }
}

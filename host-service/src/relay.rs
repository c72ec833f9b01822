//! What happens to a client's connection: the head of its first request decides whether slipwayd
//! answers it or the engine gets it, byte for byte, for the life of the connection.

mod head;
mod rewind;

use link::Service;
use link::head_first::{HeadFirst, Peer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

pub(crate) use rewind::Rewind;

use crate::control;
use crate::machine::Owner;
use crate::problem::chain;
use client::wire::Problem;

/// Serves one connection to its end.
pub(crate) async fn serve<C>(connection: C, service: control::Service)
where
    C: AsyncRead + AsyncWrite + Peer + Send + Unpin + 'static,
{
    let mut connection = HeadFirst::new(connection);
    let head = match head::read(&mut connection).await {
        Ok(head) => head,
        Err(head::Refusal::Gone) => return,
        Err(head::Refusal::Bad { status, message }) => {
            refuse(&mut connection, status, message).await;
            return;
        }
    };
    if control::owns(head.path()) {
        control::serve(Rewind::new(head.into_bytes(), connection), service).await;
        return;
    }
    match engine(&service.owner).await {
        Ok(mut stream) => {
            let relayed = async {
                stream.write_all(&head.into_bytes()).await?;
                link::copy::both_ways(&mut connection, &mut stream).await
            };
            if let Err(error) = relayed.await {
                tracing::debug!(%error, "a relayed connection broke");
            }
        }
        Err(problem) => {
            refuse(
                &mut connection,
                "503 Service Unavailable",
                &sentence(&problem),
            )
            .await
        }
    }
}

async fn engine(owner: &Owner) -> Result<link::Stream, Problem> {
    // A link can end between being handed out and being used; the next one is waited for.
    let mut attempts = 0;
    loop {
        let link = owner.engine().await?;
        match link.open(Service::Api).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                attempts += 1;
                if attempts >= 3 {
                    return Err(crate::problem::problem(format!(
                        "the machine does not answer: {}",
                        chain(&error)
                    )));
                }
            }
        }
    }
}

/// A problem in one line, for clients that show nothing else.
fn sentence(problem: &Problem) -> String {
    let mut text = problem.message.clone();
    if let Some(cause) = &problem.cause {
        text = format!("{text}: {cause}");
    }
    if let Some(hint) = &problem.hint {
        text = format!("{text} ({hint})");
    }
    text
}

/// Answers as Docker's daemon does.
async fn refuse<C: AsyncWrite + Unpin>(connection: &mut C, status: &str, message: &str) {
    let body = serde_json::json!({ "message": message }).to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    // The client may be gone already.
    if connection.write_all(answer.as_bytes()).await.is_ok() {
        let _ = connection.shutdown().await;
    }
}

//! What can go wrong in a conversation with the engine.

/// A step of the conversation that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens at the endpoint.
    #[error(transparent)]
    Connect(client::Error),
    /// Nobody listens where the person said that an engine is.
    #[error("cannot connect to an Engine API at {endpoint}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the conversation with the engine broke off")]
    Conversation(#[source] hyper::Error),
    /// The connection broke after it had become a stream of bytes.
    #[error("the stream to the engine broke off")]
    Stream(#[source] std::io::Error),
    /// The request could not be formed.
    #[error("the request is not valid HTTP")]
    Request(#[source] http::Error),
    /// The request's body could not be written as JSON.
    #[error("the request cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// The answer is not the JSON that the API promises.
    #[error("the engine's answer is not understood")]
    Decode(#[source] serde_json::Error),
    /// The engine said no; the message is its own.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
}

impl Error {
    /// The refusal in an answer: Docker's `{"message": …}`, or whatever text is there.
    pub(super) fn refused(status: u16, body: &[u8]) -> Self {
        let message = serde_json::from_slice::<serde_json::Value>(body)
            .ok()
            .and_then(|body| Some(body.get("message")?.as_str()?.trim_end().to_owned()))
            .unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
        let message = if message.is_empty() {
            format!("the engine answered with status {status}")
        } else {
            message
        };
        Self::Refused { status, message }
    }

    /// Whether the engine says that the thing does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// What the person can do next, when the engine's words don't say it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        let (status, message) = match self {
            Self::Refused { status, message } => (status, message),
            Self::Unreachable { .. } => {
                return Some("leave out --host and SLIPWAY_HOST to speak to Slipway's own machine");
            }
            _ => return None,
        };
        match status {
            501 if !message.contains("not supported") => {
                Some("this version of the engine does not do that yet")
            }
            _ => hint_for(message),
        }
    }
}

/// What the person can do about words of the engine.
pub(crate) fn hint_for(message: &str) -> Option<&'static str> {
    const HINTS: [(&str, &str); 18] = [
        ("No such container", "`slipway ps -a` lists the containers"),
        (
            "No such image",
            "`slipway images` lists the images that are here",
        ),
        (
            "executable file not found",
            "`slipway run -it --entrypoint sh IMAGE` looks around in the image, if it has a shell",
        ),
        (
            "manifest unknown",
            "check the image's name, tag and digest: the registry has no such image",
        ),
        (
            "no such host",
            "check the registry's name and this computer's network",
        ),
        (
            "connect: connection refused",
            "nothing answers there: check the registry's address and port, and that it runs",
        ),
        (
            "no basic auth credentials",
            "`slipway login REGISTRY` tells the registry who you are",
        ),
        (
            "pull access denied",
            "check the name; if the repository is private, `slipway login REGISTRY` comes first",
        ),
        (
            "toomanyrequests",
            "wait a while: the registry limits downloads; it allows more after `slipway login REGISTRY`",
        ),
        (
            "verification failed for digest",
            "pull again; if it fails the same way, the registry's copy is damaged: push the image again. Nothing of it was kept",
        ),
        (
            "layer verification failed:",
            "the archive is damaged: save or download it again; nothing of it was kept",
        ),
        (
            "server gave HTTP response to HTTPS client",
            "the registry speaks plain HTTP: `slipway image registries --help` tells how to allow that for it",
        ),
        (
            "invalid reference format",
            "an image's name is in small letters: name, team/name:tag or registry:port/name@sha256:…",
        ),
        (
            "port is already allocated",
            "publish another port, or stop the container that has this one: `slipway ps` shows the ports",
        ),
        (
            "address already in use",
            "publish another port, or stop what has this one",
        ),
        (
            "the archive is cut off",
            "save or download the archive again; nothing of it was kept",
        ),
        (
            "is already in use by container",
            "choose another name, or remove that container: slipway rm NAME",
        ),
        (
            "no space left on device",
            "remove what is not needed: `slipway ps -as` and `slipway images` show sizes",
        ),
    ];
    let found = HINTS.iter().find(|(words, _)| message.contains(words));
    found.map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_message_is_taken_out() {
        let error = Error::refused(404, br#"{"message":"No such container: x"}"#);
        assert_eq!(error.to_string(), "No such container: x");
        assert!(error.is_not_found());
        assert!(error.hint().is_some());
    }

    #[test]
    fn other_bodies_are_taken_as_they_are() {
        assert_eq!(
            Error::refused(502, b"bad gateway\n").to_string(),
            "bad gateway"
        );
        assert_eq!(
            Error::refused(500, b"").to_string(),
            "the engine answered with status 500"
        );
    }
}

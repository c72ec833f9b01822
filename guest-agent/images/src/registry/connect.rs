//! Making contact with a registry: scheme, trust, and what it wants to see.

use std::sync::Mutex;

use http::header::HOST;
use http::{HeaderMap, StatusCode};
use reqwest::Client;

use super::challenge::Challenge;
use super::errors::{self, Action};
use super::place::{self, Candidate, Place};
use super::retry::{self, Backoff};
use super::{client, token};
use crate::{Access, Auth, Error, Reference, Result};

/// A registry that has answered, seen from one repository.
pub(crate) struct Registry {
    pub(super) http: Client,
    pub(super) reference: Reference,
    pub(super) auth: Option<Auth>,
    pub(super) challenge: Option<Challenge>,
    pub(super) authorization: Mutex<Option<String>>,
    pub(super) place: Place,
    pub(super) action: Action,
    /// What a token must allow.
    pub(super) scopes: Vec<String>,
}

/// Places to pull from, none of which is bothered before the ones in front of it have failed.
pub(crate) struct Sources<'a> {
    candidates: std::vec::IntoIter<Candidate>,
    reference: &'a Reference,
    access: &'a Access,
}

impl Sources<'_> {
    /// Makes contact with the next one.
    pub(crate) async fn next(&mut self) -> Option<Result<Registry>> {
        let candidate = self.candidates.next()?;
        let scopes = vec![format!("repository:{}:pull", self.reference.path())];
        let (reference, access) = (self.reference, self.access);
        Some(Registry::contact(candidate, reference, access, Action::Pull, scopes).await)
    }
}

impl Registry {
    /// Where to pull from: each mirror, then the registry itself.
    pub(crate) fn sources<'a>(reference: &'a Reference, access: &'a Access) -> Result<Sources<'a>> {
        let mut candidates = place::mirrors(reference.domain(), access)?;
        candidates.push(place::registry(reference.domain(), access));
        Ok(Sources {
            candidates: candidates.into_iter(),
            reference,
            access,
        })
    }

    /// Makes contact for pushing. `others` are repositories of the same registry that blobs may be
    /// taken over from.
    pub(crate) async fn for_push(
        reference: &Reference,
        access: &Access,
        others: &[String],
    ) -> Result<Self> {
        let mut scopes = vec![format!("repository:{}:pull,push", reference.path())];
        scopes.extend(
            others
                .iter()
                .map(|other| format!("repository:{other}:pull")),
        );
        let own = place::registry(reference.domain(), access);
        Self::contact(own, reference, access, Action::Push, scopes).await
    }

    /// Makes contact with a registry as a whole, for looking around in it.
    pub(crate) async fn as_whole(
        reference: &Reference,
        access: &Access,
        scopes: Vec<String>,
    ) -> Result<Self> {
        let own = place::registry(reference.domain(), access);
        Self::contact(own, reference, access, Action::Push, scopes).await
    }

    /// Finds out whether the registry speaks HTTPS or, where that is allowed, plain HTTP, and what
    /// it wants to see.
    async fn contact(
        candidate: Candidate,
        reference: &Reference,
        access: &Access,
        action: Action,
        scopes: Vec<String>,
    ) -> Result<Self> {
        let http = client::build(&candidate, access)?;
        let mut first_failure = None;
        for place in candidate.places {
            match ping(&http, &place).await {
                Ok(headers) => {
                    return Ok(Self {
                        http,
                        reference: reference.clone(),
                        auth: access.auth.clone().filter(|_| !candidate.mirror),
                        challenge: Challenge::find(&headers),
                        authorization: Mutex::default(),
                        place,
                        action,
                        scopes,
                    });
                }
                Err(error) => first_failure = first_failure.or(Some(error)),
            }
        }
        Err(first_failure.unwrap_or(Error::Interrupted))
    }

    /// Has failures told in the registry's words alone, without those of a pull.
    pub(crate) fn plain_words(&mut self) {
        self.action = Action::Push;
    }

    /// Asks for the authorization that the registry wants to see; with `stay` also for what can
    /// later be shown instead of the password.
    pub(super) async fn authorize(&self, stay: bool) -> Result<token::Granted> {
        let Some(challenge) = &self.challenge else {
            return Ok(token::Granted::default());
        };
        let wanted = token::Wanted {
            challenge,
            auth: self.auth.as_ref(),
            scopes: &self.scopes,
            reference: &self.reference,
            action: self.action,
            registry_is_encrypted: self.place.scheme == "https",
            stay,
        };
        token::authorize(&self.http, &wanted).await
    }
}

/// The first contact. A registry that cannot be reached at all is told at once, without retries.
pub(super) async fn ping(http: &Client, place: &Place) -> Result<HeaderMap> {
    let mut backoff = Backoff::default();
    loop {
        let mut request = http.get(place.url(""));
        if place.dial != place.authority {
            request = request.header(HOST, &place.authority);
        }
        let response = request.send().await.map_err(|error| {
            errors::unreachable("Get", &place.shown(""), &place.authority, &error)
        })?;
        let status = response.status();
        if place.scheme == "http" && status == StatusCode::BAD_REQUEST {
            // A TLS server's answer to plain HTTP.
            return Err(Error::Network(format!(
                "Get {:?}: the server does not speak plain HTTP",
                place.shown("")
            )));
        }
        if retry::is_temporary(status)
            && let Some(wait) = backoff.next(retry::asked(response.headers()))
        {
            tokio::time::sleep(wait).await;
            continue;
        }
        return Ok(response.headers().clone());
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;

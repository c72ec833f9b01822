//! Looking around in a registry: tags, the catalogue, search, and whether credentials are good.

use http::header::LINK;
use http::{HeaderMap, StatusCode};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::connect::Registry;
use super::errors::Action;
use super::place::{self, HUB};
use super::request::{Ask, body};
use super::{client, connect, token};
use crate::{Access, Error, Reference, Result};

const MAX_LIST: usize = 8 << 20;
/// A registry that lists more than this many pages is not read to its end.
const MAX_PAGES: usize = 100;
const HUB_INDEX: &str = "https://index.docker.io/v1/";

/// One repository that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// How often it was liked.
    pub star_count: i64,
    /// Docker's own.
    pub is_official: bool,
    /// Its name.
    pub name: String,
    /// No longer used.
    pub is_automated: bool,
    /// What it is.
    pub description: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    results: Vec<SearchResult>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    repositories: Option<Vec<String>>,
}

impl Registry {
    /// All tags of the repository.
    pub(crate) async fn tags(&self) -> Result<Vec<String>> {
        let path = format!("{}/tags/list", self.reference.path());
        self.list(path, |page| page.tags).await
    }

    async fn list(
        &self,
        first: String,
        pick: fn(Page) -> Option<Vec<String>>,
    ) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let mut next = Some(first);
        for _ in 0..MAX_PAGES {
            let Some(target) = next else { break };
            let ask = Ask::get(target);
            let (headers, bytes) = self.document(&ask, MAX_LIST).await?;
            let page: Page = serde_json::from_slice(&bytes)
                .map_err(|error| Error::Network(format!("the registry's list: {error}")))?;
            all.extend(pick(page).unwrap_or_default());
            next = self.next_page(&headers);
        }
        Ok(all)
    }

    /// `Link: </v2/…?last=x>; rel="next"`
    fn next_page(&self, headers: &HeaderMap) -> Option<String> {
        let link = headers.get(LINK)?.to_str().ok()?;
        let target = link.strip_prefix('<')?.split_once('>')?.0;
        let base = Url::parse(&self.place.url("")).ok()?;
        Some(base.join(target).ok()?.to_string())
    }
}

/// Whether a registry takes credentials. Returns the identity token that it gives instead of the
/// password, usually none.
pub async fn log_in(server: &str, access: &Access) -> Result<String> {
    let domain = domain_of(server)?;
    let candidate = place::registry(&domain, access);
    let http = client::build(&candidate, access)?;
    let reference = Reference::parse(&format!("{domain}/login"))
        .map_err(|_| Error::invalid(format!("{server:?} is not a registry's address")))?;
    let mut last = Error::Interrupted;
    for place in candidate.places {
        let shown = place.shown("");
        let registry = match Registry::as_whole_at(
            http.clone(),
            place,
            &reference,
            access,
            Vec::new(),
        )
        .await
        {
            Ok(registry) => registry,
            Err(error) => {
                last = error;
                continue;
            }
        };
        let granted = match registry.authorize(true).await {
            Ok(granted) => granted,
            Err(Error::Unauthorized(why)) => {
                return Err(Error::Unauthorized(format!("Get {shown:?}: {why}")));
            }
            Err(error) => {
                last = error;
                continue;
            }
        };
        *registry
            .authorization
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = granted.header;
        let response = registry.request(&Ask::get("")).map_err(Error::from)?.send();
        let status = match response.await {
            Ok(response) => response.status(),
            Err(error) => {
                last = registry.unreachable(&Ask::get(""), &error);
                continue;
            }
        };
        if status == StatusCode::OK {
            return Ok(granted.identity);
        }
        // A refusal says more than a scheme that is not spoken.
        return Err(Error::Network(format!(
            "login attempt to {shown} failed with status: {} {}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        )));
    }
    Err(last)
}

/// `https://index.docker.io/v1/` means Docker Hub; anything else is a host.
fn domain_of(server: &str) -> Result<String> {
    let bare = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let host = bare.split('/').next().unwrap_or_default();
    Ok(match host {
        "" | "index.docker.io" | "docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    })
}

/// All tags that a repository has in its registry.
pub async fn tags(reference: &Reference, access: &Access) -> Result<Vec<String>> {
    let mut last = Error::Interrupted;
    let mut sources = Registry::sources(reference, access)?;
    while let Some(contact) = sources.next().await {
        let tags = match contact {
            Ok(registry) => registry.tags().await,
            Err(error) => Err(error),
        };
        match tags {
            Ok(tags) => return Ok(tags),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Looks for repositories whose name holds `term`, which may begin with a registry. Registries
/// without a search are read by their catalogue.
pub async fn search(term: &str, limit: usize, access: &Access) -> Result<Vec<SearchResult>> {
    if term.contains("://") {
        return Err(Error::invalid(format!(
            "invalid repository name: repository name ({term}) should not have a scheme"
        )));
    }
    let (domain, rest) = match term.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (HUB, term),
    };
    let wanted = if domain == HUB {
        rest.trim_start_matches("library/")
    } else {
        rest
    };
    match index_search(domain, wanted, limit, access).await {
        Err(Some(status)) if domain != HUB && status != 401 => {
            catalogue(domain, wanted, limit, access).await
        }
        Err(Some(status)) => Err(Error::Network(format!("Unexpected status code {status}"))),
        Err(None) if domain != HUB => catalogue(domain, wanted, limit, access).await,
        Err(None) => Err(Error::Network(format!(
            "Get {HUB_INDEX:?}: the search service cannot be reached"
        ))),
        Ok(results) => Ok(results),
    }
}

/// The search of the first registry API. Fails with the status, if there was an answer.
async fn index_search(
    domain: &str,
    wanted: &str,
    limit: usize,
    access: &Access,
) -> Result<Vec<SearchResult>, Option<u16>> {
    let candidate = place::registry(domain, access);
    let http = client::build(&candidate, access).map_err(|_| None)?;
    let mut failure = None;
    for place in &candidate.places {
        let base = if domain == HUB {
            HUB_INDEX.to_owned()
        } else {
            format!("{}://{}/v1/", place.scheme, place.dial)
        };
        let Ok(mut url) = Url::parse(&base).and_then(|base| base.join("search")) else {
            continue;
        };
        url.query_pairs_mut()
            .append_pair("q", wanted)
            .append_pair("n", &limit.to_string());
        let mut request = http.get(url);
        if place.dial != place.authority {
            request = request.header(http::header::HOST, &place.authority);
        }
        if let Some(basic) = access.auth.as_ref().and_then(token::basic) {
            request = request.header(http::header::AUTHORIZATION, basic);
        }
        let Ok(response) = request.send().await else {
            continue;
        };
        if !response.status().is_success() {
            failure = Some(response.status().as_u16());
            continue;
        }
        let bytes = body(response, MAX_LIST).await.map_err(|_| None)?;
        let found: Found = serde_json::from_slice(&bytes).map_err(|_| None)?;
        return Ok(found.results);
    }
    Err(failure)
}

async fn catalogue(
    domain: &str,
    wanted: &str,
    limit: usize,
    access: &Access,
) -> Result<Vec<SearchResult>> {
    let reference = Reference::parse(&format!("{domain}/search"))?;
    let scopes = vec!["registry:catalog:*".to_owned()];
    let registry = Registry::as_whole(&reference, access, scopes).await?;
    let all = registry
        .list("_catalog".to_owned(), |page| page.repositories)
        .await?;
    let found = all.into_iter().filter(|name| name.contains(wanted));
    Ok(found
        .take(limit)
        .map(|name| SearchResult {
            name: format!("{domain}/{name}"),
            ..SearchResult::default()
        })
        .collect())
}

impl Registry {
    /// Makes contact at one place only.
    async fn as_whole_at(
        http: reqwest::Client,
        place: place::Place,
        reference: &Reference,
        access: &Access,
        scopes: Vec<String>,
    ) -> Result<Self> {
        let headers = connect::ping(&http, &place).await?;
        Ok(Self {
            http,
            reference: reference.clone(),
            auth: access.auth.clone(),
            challenge: super::challenge::Challenge::find(&headers),
            authorization: std::sync::Mutex::default(),
            place,
            action: Action::Push,
            scopes,
        })
    }
}

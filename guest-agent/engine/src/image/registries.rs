//! How registries are reached: what the person set, kept in a file, and credentials.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use images::{Access, Auth, Proxies, Reference, Registries, RemoteImage, SearchResult, Source};

use crate::filters::Filters;
use crate::{Engine, Error, blocking, state_file};

/// As many results as Docker gives when nobody says.
const RESULTS: usize = 25;

/// How the host reaches the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNetwork {
    /// Its proxies.
    pub proxies: Proxies,
    /// Authorities that it trusts besides the usual ones, as PEM.
    pub certificates: String,
}

impl HostNetwork {
    /// What was set counts before what the host has.
    fn fill(&self, registries: &mut Registries) {
        if registries.proxies == Proxies::default() {
            registries.proxies = self.proxies.clone();
        }
        if !self.certificates.is_empty() {
            registries.certificates += "\n";
            registries.certificates += &self.certificates;
        }
    }
}

impl Engine {
    /// Reaches registries as the host would.
    pub fn set_host_network(&self, network: HostNetwork) {
        let mut known = self
            .host_network
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = network;
    }

    fn registries_file(&self) -> PathBuf {
        self.options.root.join("registries.json")
    }

    /// What is set for registries.
    pub fn registries(&self) -> Result<Registries, Error> {
        state_file::settings(&self.registries_file(), "registries")
    }

    /// Sets what counts for registries.
    pub async fn set_registries(self: &Arc<Self>, registries: Registries) -> Result<(), Error> {
        registries.check()?;
        let path = self.registries_file();
        blocking::run(move || state_file::keep_settings(&path, &registries)).await
    }

    /// What counts for registries: what is set, and what the host has.
    pub fn registries_in_use(&self) -> Result<Registries, Error> {
        let mut registries = self.registries()?;
        self.host_network
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(&mut registries);
        Ok(registries)
    }

    pub(crate) fn access(&self, auth: Option<Auth>) -> Result<Access, Error> {
        Ok(Access {
            auth,
            registries: self.registries_in_use()?,
            localhost_alias: self.localhost_alias(),
        })
    }

    /// Whether a registry takes credentials; the token that it gives instead of the password.
    pub async fn log_in(&self, server: &str, auth: Auth) -> Result<String, Error> {
        let access = self.access(Some(auth))?;
        Ok(images::log_in(server, &access).await?)
    }

    /// What a registry says of an image.
    pub async fn look_up_image(
        &self,
        reference: &Reference,
        auth: Option<Auth>,
    ) -> Result<RemoteImage, Error> {
        let access = self.access(auth)?;
        Ok(images::look_up(reference, &access).await?)
    }

    /// Puts an index over images into a registry.
    pub async fn put_index(
        &self,
        target: &Reference,
        sources: &[Source],
        auth: Option<Auth>,
    ) -> Result<RemoteImage, Error> {
        let access = self.access(auth)?;
        Ok(images::put_index(target, sources, &access).await?)
    }

    /// Looks for images in a registry.
    pub async fn search_images(
        &self,
        term: &str,
        limit: usize,
        filters: &Filters,
        auth: Option<Auth>,
    ) -> Result<Vec<SearchResult>, Error> {
        filters.accept_only(&["is-automated", "is-official", "stars"])?;
        let automated = filters.flag("is-automated")?;
        let official = filters.flag("is-official")?;
        let mut stars = 0;
        for text in filters.get("stars") {
            let wanted: i64 = text
                .parse()
                .map_err(|_| Error::Invalid(format!("invalid filter 'stars={text}'")))?;
            stars = stars.max(wanted);
        }
        if automated == Some(true) {
            return Ok(Vec::new());
        }
        let limit = if limit == 0 { RESULTS } else { limit };
        if limit > 100 {
            return Err(Error::Invalid(format!(
                "limit {limit} is outside the range of [1, 100]"
            )));
        }
        let access = self.access(auth)?;
        let mut found = images::search(term, limit, &access).await?;
        found.retain(|result| {
            official.is_none_or(|wanted| result.is_official == wanted) && result.star_count >= stars
        });
        for result in &mut found {
            result.is_automated = false;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_counts_before_the_hosts() {
        let host = HostNetwork {
            proxies: Proxies {
                http_proxy: "http://host:1".into(),
                ..Proxies::default()
            },
            certificates: "host".into(),
        };
        let mut registries = Registries::default();
        host.fill(&mut registries);
        assert_eq!(registries.proxies, host.proxies);
        let mut registries = Registries {
            proxies: Proxies {
                https_proxy: "http://mine:2".into(),
                ..Proxies::default()
            },
            certificates: "mine".into(),
            ..Registries::default()
        };
        host.fill(&mut registries);
        assert_eq!(registries.proxies.https_proxy, "http://mine:2");
        assert_eq!(registries.proxies.http_proxy, "");
        assert_eq!(registries.certificates, "mine\nhost");
    }
}

//! Query strings and path segments.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a path may hold as it is: names of containers and references of images.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');

const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Text as part of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// The parameters of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// No parameters.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    pub(crate) fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    /// Adds a parameter if there is a value.
    pub(crate) fn opt(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Adds `name=1` when `on`.
    pub(crate) fn flag(self, name: &'static str, on: bool) -> Self {
        if on { self.set(name, 1) } else { self }
    }

    /// Adds Docker's `filters`, from `name=value` words.
    pub(crate) fn filters(self, filters: &[(String, String)]) -> Self {
        if filters.is_empty() {
            return self;
        }
        let mut by_name: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
        for (name, value) in filters {
            by_name.entry(name).or_default().insert(value, true);
        }
        match serde_json::to_string(&by_name) {
            Ok(text) => self.set("filters", text),
            Err(_) => self,
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            write!(f, "{mark}{name}={}", utf8_percent_encode(value, VALUE))?;
        }
        Ok(())
    }
}

/// Parses a `--filter` word.
pub(crate) fn filter(word: &str) -> Result<(String, String), String> {
    let (name, value) = word
        .split_once('=')
        .ok_or("bad format of filter (expected name=value)")?;
    Ok((name.trim().to_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_are_encoded() {
        let query = Query::new()
            .flag("all", true)
            .flag("size", false)
            .opt("limit", Some(3))
            .set("name", "a b&c=ü");
        assert_eq!(query.to_string(), "?all=1&limit=3&name=a%20b%26c%3D%C3%BC");
        assert_eq!(Query::new().to_string(), "");
    }

    #[test]
    fn filters_are_a_map_of_sets() {
        let words = ["status=running", "Name=x", "status=exited"];
        let filters: Vec<_> = words.iter().map(|word| filter(word).unwrap()).collect();
        let query = Query::new().filters(&filters).0;
        assert_eq!(
            query[0].1,
            r#"{"name":{"x":true},"status":{"exited":true,"running":true}}"#
        );
        assert!(filter("status").is_err());
    }

    #[test]
    fn references_stay_readable_in_a_path() {
        assert_eq!(
            segment("host:5000/a/b:tag@sha256:00"),
            "host:5000/a/b:tag@sha256:00"
        );
        assert_eq!(segment("a b?c"), "a%20b%3Fc");
    }
}

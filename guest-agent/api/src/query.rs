//! The query string, read as Docker reads forms, with the fields of a form in the body before it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use engine::filters::Filters;
use engine::time::Time;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::error::{ApiError, Result};

/// Decoded parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Infallible> {
        // What the body says comes first, and so wins.
        let mut query: Self = parts.extensions.get().cloned().unwrap_or_default();
        query.add(parts.uri.query().unwrap_or_default());
        Ok(query)
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

impl Query {
    /// Parses `a=1&b=2`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        query.add(text);
        query
    }

    fn add(&mut self, text: &str) {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.0.entry(decode(name)).or_default().push(decode(value));
        }
    }

    /// The first value, `""` when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0
            .get(name)
            .and_then(|values| values.first())
            .map_or("", String::as_str)
    }

    /// All values of a repeated parameter.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The first value, nothing when absent or empty.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The first value; an error when absent or empty.
    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        self.optional(name)
            .ok_or_else(|| ApiError::invalid(format!("the parameter {name} is missing")))
    }

    /// Docker's idea of true: anything but empty, `0`, `no`, `false`, `none`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        !matches!(
            self.text(name).trim().to_ascii_lowercase().as_str(),
            "" | "0" | "no" | "false" | "none"
        )
    }

    /// A number, with Go's error when it is none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>> {
        self.optional(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::invalid(format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))
                })
            })
            .transpose()
    }

    /// A moment, as a time or as long before `now`.
    pub(crate) fn time(&self, name: &str, now: Time) -> Result<Option<Time>> {
        let Some(text) = self.optional(name) else {
            return Ok(None);
        };
        let time = Time::parse_client(text, now).ok_or_else(|| {
            let words = format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
            // Docker does not say that the client is at fault.
            ApiError::invalid(words).system()
        })?;
        Ok(Some(time))
    }

    /// The parameters `h` and `w` of a resize: rows and columns.
    pub(crate) fn terminal_size(&self) -> Result<(u16, u16)> {
        let side = |name: &str, word: &str| {
            let given = self.text(name);
            let refused =
                |why| ApiError::invalid(format!("invalid resize {word} \"{given}\": {why}"));
            let digits = given.strip_prefix('-').unwrap_or(given);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(refused("invalid syntax"));
            }
            let size: u32 = given.parse().map_err(|_| refused("value out of range"))?;
            Ok(u16::try_from(size).unwrap_or(u16::MAX))
        };
        Ok((side("h", "height")?, side("w", "width")?))
    }

    /// The `filters` parameter.
    pub(crate) fn filters(&self) -> Result<Filters> {
        Ok(Filters::parse(self.text("filters"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn reads_forms_as_docker_does() {
        let query = Query::parse("all=1&name=a%2Fb&x=a+b&t=-1&empty=");
        assert!(query.flag("all") && !query.flag("empty") && !query.flag("absent"));
        assert_eq!((query.text("name"), query.text("x")), ("a/b", "a b"));
        assert_eq!(query.number("t").unwrap_or_default(), Some(-1));
        assert!(query.number("name").is_err());
    }
}

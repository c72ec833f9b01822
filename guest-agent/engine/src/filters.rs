//! Docker's `filters` parameter: a JSON object of a filter's name to the values wanted, either
//! `{"status":["running"]}` (old clients) or `{"status":{"running":true}}`.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::Error;
use crate::time::Time;

/// Parsed filters; empty lets everything through.
#[derive(Debug, Clone, Default)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Parses the parameter; an empty text is no filter.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let invalid = || Error::Invalid("invalid filter".into());
        let value: serde_json::Value = serde_json::from_str(text).map_err(|_| invalid())?;
        if value.is_null() {
            return Ok(Self::default());
        }
        let object = value.as_object().ok_or_else(invalid)?;
        let mut filters = BTreeMap::new();
        for (name, wanted) in object {
            let values = match wanted {
                serde_json::Value::Array(values) => values
                    .iter()
                    .map(|v| match v {
                        // As Go reads a list of strings.
                        serde_json::Value::Null => Ok(String::new()),
                        _ => v.as_str().map(str::to_owned).ok_or_else(invalid),
                    })
                    .collect::<Result<_, _>>()?,
                serde_json::Value::Object(values) => values
                    .iter()
                    .filter(|(_, on)| on.as_bool() != Some(false))
                    .map(|(v, _)| v.clone())
                    .collect(),
                serde_json::Value::Null => Vec::new(),
                _ => return Err(invalid()),
            };
            filters.insert(name.clone(), values);
        }
        Ok(Self(filters))
    }

    /// Sets a filter to one value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), vec![value.to_owned()]);
    }

    /// One more wanted value.
    pub fn add(&mut self, name: &str, value: &str) {
        let values = self.0.entry(name.to_owned()).or_default();
        values.push(value.to_owned());
    }

    /// Refuses filters whose name isn't in `known`.
    pub fn accept_only(&self, known: &[&str]) -> Result<(), Error> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Error::Invalid(format!("invalid filter '{name}'"))),
            None => Ok(()),
        }
    }

    /// The values wanted of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether there is a filter of that name with at least one value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// No filter of that name, or one of its values passes `test`.
    pub fn any(&self, name: &str, test: impl Fn(&str) -> bool) -> bool {
        let values = self.get(name);
        values.is_empty() || values.iter().any(|value| test(value))
    }

    /// No filter of that name, or all of its values pass `test`.
    pub fn all(&self, name: &str, test: impl Fn(&str) -> bool) -> bool {
        self.get(name).iter().all(|value| test(value))
    }

    /// The value of a yes-or-no filter such as `dangling`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        let values = match self.0.get(name) {
            None => return Ok(None),
            Some(values) if values.is_empty() => {
                return Err(Error::Invalid(format!("invalid filter '{name}'")));
            }
            Some(values) => values,
        };
        let says = |words: [&str; 2]| values.iter().any(|value| words.contains(&value.as_str()));
        match (says(["1", "true"]), says(["0", "false"])) {
            (true, false) => Ok(Some(true)),
            (false, true) => Ok(Some(false)),
            _ => Err(Error::Invalid(format!(
                "invalid filter '{name}=[{}]'",
                values.join(" ")
            ))),
        }
    }

    /// The one moment that a prune's `until` names.
    pub(crate) fn until(&self) -> Result<Option<Time>, Error> {
        match self.get("until") {
            [] => Ok(None),
            [text] => moment(text).map(Some),
            _ => Err(Error::Invalid(
                "more than one until filter specified".into(),
            )),
        }
    }

    /// Whether the labels pass the `label` and `label!` filters (`key` or `key=value`): all of the
    /// first, not all of the second.
    #[must_use]
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &str| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        };
        self.all("label", has) && !(self.has("label!") && self.all("label!", has))
    }
}

/// A value of an `until` filter.
pub(crate) fn moment(text: &str) -> Result<Time, Error> {
    Time::parse_client(text, Time::now()).ok_or_else(|| {
        Error::Invalid(format!(
            "failed to parse value as time or duration: \"{text}\""
        ))
    })
}

/// Whether a regular expression of a name filter occurs in `text`. One that is damaged matches
/// only itself, as with dockerd.
#[must_use]
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    pattern == text || Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_both_forms() {
        for text in [
            r#"{"status":["running"]}"#,
            r#"{"status":{"running":true}}"#,
        ] {
            assert_eq!(Filters::parse(text).unwrap().get("status"), ["running"]);
        }
        assert!(Filters::parse("[]").is_err());
        assert!(Filters::parse(r#"{"x":[1]}"#).is_err());
        let error = Filters::parse(r#"{"x":["y"]}"#)
            .unwrap()
            .accept_only(&["id"])
            .unwrap_err();
        assert_eq!(error.to_string(), "invalid filter 'x'");
    }

    #[test]
    fn matches_names() {
        assert!(matches_pattern("web", "my-web-1"));
        assert!(matches_pattern("^/?web$", "/web"));
        assert!(!matches_pattern("^web$", "web1"));
        assert!(matches_pattern("w.b+", "wobbb"));
        assert!(matches_pattern("^(web|db)-[0-9]+$", "db-12"));
        assert!(!matches_pattern("x+", "y"));
        assert!(!matches_pattern("(", "web"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = Filters::parse(&text);
            let _ = matches_pattern(&text, "name");
        }

        #[test]
        fn both_forms_mean_the_same(
            wanted in proptest::collection::btree_map(
                "[a-z!]{1,8}",
                proptest::collection::btree_set(".{0,12}", 0..4),
                0..4,
            ),
        ) {
            let lists = serde_json::json!(wanted);
            let mut sets = serde_json::Map::new();
            for (name, values) in &wanted {
                let on = values.iter().map(|value| (value.clone(), true.into())).collect();
                sets.insert(name.clone(), serde_json::Value::Object(on));
            }
            let sets = serde_json::Value::Object(sets);
            let lists = Filters::parse(&lists.to_string()).unwrap();
            let sets = Filters::parse(&sets.to_string()).unwrap();
            for (name, values) in &wanted {
                let values: Vec<&String> = values.iter().collect();
                proptest::prop_assert_eq!(lists.get(name).iter().collect::<Vec<_>>(), &values[..]);
                proptest::prop_assert_eq!(sets.get(name).iter().collect::<Vec<_>>(), &values[..]);
            }
        }
    }
}

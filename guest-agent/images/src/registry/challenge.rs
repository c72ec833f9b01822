//! `WWW-Authenticate`: what a registry wants to see before it answers.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// What the registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with every request.
    Basic,
    /// A token from `realm`.
    Bearer {
        /// Where to get it.
        realm: String,
        /// What to say it is for.
        service: Option<String>,
    },
}

impl Challenge {
    /// The strongest challenge in the headers that we know how to answer.
    pub(super) fn find(headers: &HeaderMap) -> Option<Self> {
        let all = || {
            headers
                .get_all(WWW_AUTHENTICATE)
                .iter()
                .filter_map(|value| value.to_str().ok())
        };
        all().find_map(bearer).or_else(|| {
            all()
                .any(|value| scheme(value).0 == "basic")
                .then_some(Self::Basic)
        })
    }
}

fn scheme(value: &str) -> (String, &str) {
    let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    (scheme.to_ascii_lowercase(), rest)
}

fn bearer(value: &str) -> Option<Challenge> {
    let (scheme, mut rest) = scheme(value);
    if scheme != "bearer" {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    while let Some((name, after)) = rest.split_once('=') {
        let (content, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_text(quoted),
            None => {
                let (content, next) = after.split_once(',').unwrap_or((after, ""));
                (content.trim().to_owned(), next)
            }
        };
        match name
            .trim()
            .trim_start_matches(',')
            .trim()
            .to_ascii_lowercase()
            .as_str()
        {
            "realm" => realm = Some(content),
            "service" => service = Some(content),
            _ => {}
        }
        rest = next;
    }
    Some(Challenge::Bearer {
        realm: realm?,
        service,
    })
}

/// A quoted string's content, and what follows it.
fn quoted_text(text: &str) -> (String, &str) {
    let mut content = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (content, &text[at + 1..]),
            '\\' => content.extend(characters.next().map(|(_, escaped)| escaped)),
            other => content.push(other),
        }
    }
    (content, "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn find(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::find(&headers)
    }

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            })
        };
        assert_eq!(
            find(&[
                r#"Bearer realm="https://a/t",service="registry, the",scope="repository:x:pull,push""#
            ]),
            bearer("https://a/t", Some("registry, the"))
        );
        assert_eq!(
            find(&["bearer realm=https://a/t , service=s"]),
            bearer("https://a/t", Some("s"))
        );
        assert_eq!(find(&[r#"BASIC realm="x""#]), Some(Challenge::Basic));
        assert_eq!(find(&["Basic", r#"Bearer realm="r""#]), bearer("r", None));
        assert_eq!(find(&["Digest realm=x"]), None);
        assert_eq!(find(&["Bearer service=x"]), None);
        assert_eq!(find(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(value in "[ -~]{0,60}") {
            find(&[&value]);
            find(&[&format!("Bearer {value}")]);
        }
    }
}

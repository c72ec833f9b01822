//! `--ulimit`: `TYPE=SOFT[:HARD]`.

use serde::Serialize;

/// A limit as the API takes it; -1 is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Ulimit {
    pub(super) name: String,
    soft: i64,
    hard: i64,
}

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Parses a word.
///
/// # Errors
/// go-units' words.
pub(crate) fn parse(word: &str) -> Result<Ulimit, String> {
    let (name, limits) = word
        .split_once('=')
        .ok_or_else(|| format!("invalid ulimit argument: {word}"))?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |text: &str| {
        text.parse::<i64>()
            .map_err(|_| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
    };
    let limits: Vec<&str> = limits.split(':').collect();
    let (soft, hard) = match limits.as_slice() {
        [soft] => (number(soft)?, number(soft)?),
        [soft, hard] => {
            let hard = number(hard)?;
            (number(soft)?, hard)
        }
        _ => {
            return Err(format!(
                "too many limit value arguments - {}, can only have up to two, `soft[:hard]`",
                limits.join(":")
            ));
        }
    };
    if hard != -1 {
        const ORDER: &str = "ulimit soft limit must be less than or equal to hard limit";
        if soft == -1 {
            return Err(format!("{ORDER}: soft: -1 (unlimited), hard: {hard}"));
        }
        if soft > hard {
            return Err(format!("{ORDER}: {soft} > {hard}"));
        }
    }
    Ok(Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limits(word: &str) -> Result<(i64, i64), String> {
        parse(word).map(|limit| (limit.soft, limit.hard))
    }

    #[test]
    fn forms() {
        assert_eq!(limits("nofile=1024"), Ok((1024, 1024)));
        assert_eq!(limits("nofile=512:1024"), Ok((512, 1024)));
        assert_eq!(limits("core=-1"), Ok((-1, -1)));
        assert_eq!(limits("core=5:-1"), Ok((5, -1)));
    }

    #[test]
    fn mistakes() {
        for (word, error) in [
            ("nofile", "invalid ulimit argument: nofile"),
            ("nope=1", "invalid ulimit type: nope"),
            (
                "nofile=x",
                "strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                "nofile=1:2:3",
                "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`",
            ),
            (
                "nofile=2:1",
                "ulimit soft limit must be less than or equal to hard limit: 2 > 1",
            ),
            (
                "nofile=-1:1",
                "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: 1",
            ),
        ] {
            assert_eq!(limits(word).unwrap_err(), error, "{word}");
        }
    }
}

//! Environment variables and labels: words of the command line, and files of them.

use std::path::Path;

/// Parses `-e`: `KEY=VALUE`, or `KEY` to take the value of this process's variable. A variable
/// that is not set here stays a bare `KEY`: the engine then removes the image's.
///
/// # Errors
/// Docker's words.
pub(crate) fn variable(word: &str) -> Result<String, String> {
    variable_from(word, |name| std::env::var(name).ok())
}

fn variable_from(word: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    if name.is_empty() {
        return Err(format!("invalid environment variable: {word}"));
    }
    Ok(match (value, lookup(name)) {
        (Some(_), _) | (None, None) => word.to_owned(),
        (None, Some(value)) => format!("{name}={value}"),
    })
}

/// Parses `-l`: `KEY=VALUE`, or `KEY` for an empty value.
///
/// # Errors
/// Docker's words.
pub(crate) fn label(word: &str) -> Result<String, String> {
    let key = word.split_once('=').map_or(word, |(key, _)| key);
    let key = key.trim_start_matches([' ', '\t']);
    if key.is_empty() {
        return Err(format!("invalid label '{word}': empty name"));
    }
    if key.contains([' ', '\t']) {
        return Err(format!("label '{key}' contains whitespaces"));
    }
    Ok(word.to_owned())
}

/// Reads a file of `KEY=VALUE` lines; `KEY` alone takes this process's variable if `inherit`,
/// and is left out otherwise.
///
/// # Errors
/// Docker's words.
pub(crate) fn read_file(path: &Path, inherit: bool) -> Result<Vec<String>, String> {
    let bytes = std::fs::read(path)
        .map_err(|error| format!("open {}: {}", path.display(), reason(&error)))?;
    let lookup = |name: &str| {
        if inherit {
            std::env::var(name).ok()
        } else {
            None
        }
    };
    parse_file(&bytes, lookup)
        .map_err(|error| format!("invalid env file ({}): {error}", path.display()))
}

fn parse_file(
    bytes: &[u8],
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, String> {
    let mut variables = Vec::new();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line)
            .map_err(|_| format!("invalid utf8 bytes at line {}: {line:?}", index + 1))?;
        // Blanks at the end belong to the value.
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (line, None),
        };
        if key.is_empty() {
            return Err(format!("no variable name on line '{line}'"));
        }
        if key.contains([' ', '\t']) {
            return Err(format!("variable '{key}' contains whitespaces"));
        }
        match value {
            Some(_) => variables.push(line.to_owned()),
            None => variables.extend(lookup(key).map(|value| format!("{key}={value}"))),
        }
    }
    Ok(variables)
}

/// What the system said, in Go's words where they differ.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn home(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    #[test]
    fn words() {
        assert_eq!(variable_from("A=b=c", home), Ok("A=b=c".into()));
        assert_eq!(variable_from("A=", home), Ok("A=".into()));
        assert_eq!(variable_from("HOME", home), Ok("HOME=/root".into()));
        assert_eq!(variable_from("NOPE", home), Ok("NOPE".into()));
        assert_eq!(
            variable_from("=x", home),
            Err("invalid environment variable: =x".into())
        );
    }

    #[test]
    fn labels() {
        assert!(label("a=b").is_ok());
        assert!(label("a").is_ok());
        assert_eq!(label("=b"), Err("invalid label '=b': empty name".into()));
        assert_eq!(
            label("a b=c"),
            Err("label 'a b' contains whitespaces".into())
        );
    }

    #[test]
    fn files() {
        let text = b"\xef\xbb\xbfA=1\n# no\n\n  B=two words \nHOME\nNOPE\nC=\r\n";
        assert_eq!(
            parse_file(text, home),
            Ok(vec![
                "A=1".to_owned(),
                "B=two words ".to_owned(),
                "HOME=/root".to_owned(),
                "C=".to_owned()
            ])
        );
    }

    #[test]
    fn bad_files() {
        assert_eq!(
            parse_file(b"=x", home),
            Err("no variable name on line '=x'".into())
        );
        assert_eq!(
            parse_file(b"a b=x", home),
            Err("variable 'a b' contains whitespaces".into())
        );
        assert!(
            parse_file(b"a=\xff", home)
                .unwrap_err()
                .starts_with("invalid utf8 bytes at line 1")
        );
        assert_eq!(
            read_file(Path::new("/no/such/file"), true),
            Err("open /no/such/file: no such file or directory".into())
        );
    }
}

//! `-v`: `[SOURCE:]TARGET[:OPTIONS]`.

/// What a word asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A new volume without a name at this path.
    Anonymous(String),
    /// A folder or a named volume, as the API's `Binds` takes it.
    Bind(String),
}

/// Parses a word. A relative folder (`./x`) is made absolute.
///
/// # Errors
/// Docker's words.
pub(crate) fn parse(word: &str) -> Result<Volume, String> {
    let sections = split(word);
    if word.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    if word.len() <= 2 {
        return Ok(Volume::Anonymous(word.to_owned()));
    }
    if sections.iter().any(|section| section.is_empty()) {
        return Err(format!(
            "invalid spec: {word}: empty section between colons"
        ));
    }
    match sections.as_slice() {
        [target] => Ok(Volume::Anonymous((*target).to_owned())),
        [source, rest @ ..] if rest.len() <= 2 => Ok(Volume::Bind(format!(
            "{}:{}",
            absolute(source),
            rest.join(":")
        ))),
        _ => Err(format!("invalid spec: {word}: too many colons")),
    }
}

/// Splits at colons, except the one after a Windows drive's letter.
fn split(word: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    let mut start = 0;
    for (at, _) in word.match_indices(':') {
        let section = &word[start..at];
        if section.len() == 1 && section.as_bytes()[0].is_ascii_alphabetic() {
            continue;
        }
        sections.push(section);
        start = at + 1;
    }
    sections.push(&word[start..]);
    sections
}

/// A relative folder as an absolute one; names and absolute paths as they are.
pub(super) fn absolute(source: &str) -> String {
    if !source.starts_with('.') {
        return source.to_owned();
    }
    match std::env::current_dir() {
        Ok(here) => clean(&here.join(source)),
        Err(_) => source.to_owned(),
    }
}

/// Resolves `.` and `..` by their letters, without looking at the disk.
fn clean(path: &std::path::Path) -> String {
    use std::path::{Component, PathBuf};
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bind(text: &str) -> Result<Volume, String> {
        Ok(Volume::Bind(text.to_owned()))
    }

    #[test]
    fn kinds() {
        assert_eq!(parse("/data"), Ok(Volume::Anonymous("/data".into())));
        assert_eq!(parse("/"), Ok(Volume::Anonymous("/".into())));
        assert_eq!(parse("/src:/dst"), bind("/src:/dst"));
        assert_eq!(parse("name:/dst:ro,z"), bind("name:/dst:ro,z"));
        assert_eq!(parse(r"C:\src:/dst"), bind(r"C:\src:/dst"));
        assert_eq!(parse(r"C:\src:/dst:ro"), bind(r"C:\src:/dst:ro"));
    }

    #[test]
    fn relative_folders() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        assert_eq!(parse("./a/../b:/dst"), bind(&format!("{here}/b:/dst")));
        assert_eq!(parse(".:/dst"), bind(&format!("{here}:/dst")));
    }

    #[test]
    fn mistakes() {
        assert_eq!(parse(""), Err("invalid empty volume spec".into()));
        assert_eq!(
            parse("/a::/b"),
            Err("invalid spec: /a::/b: empty section between colons".into())
        );
        assert_eq!(
            parse("/a:/b:ro:x"),
            Err("invalid spec: /a:/b:ro:x: too many colons".into())
        );
    }
}

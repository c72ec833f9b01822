//! docker's rules for what a copy is called at its destination.

use std::path::Path;

use crate::failure::Failure;

/// What is copied.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The last component of its path; `.` for what is in a directory.
    pub(super) base: String,
    pub(super) is_directory: bool,
}

/// Where to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// As it was written, with links at its end followed.
    pub(super) path: String,
    pub(super) exists: bool,
    pub(super) is_directory: bool,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The directory to extract in.
    pub(super) directory: String,
    /// How the entries' names begin now, and shall begin.
    pub(super) rename: Option<(String, String)>,
}

/// Decides from what source and destination are. `name` is what the source is called in the
/// archive if not by its path.
pub(super) fn plan(source: &Source, name: Option<&str>, target: &Target) -> Result<Plan, Failure> {
    if target.exists && target.is_directory {
        return Ok(Plan {
            directory: target.path.clone(),
            rename: name.map(|name| (source.base.clone(), name.to_owned())),
        });
    }
    if target.exists && source.is_directory {
        return Err(Failure::new("cannot copy directory"));
    }
    if !target.exists && !source.is_directory && asserts_directory(&target.path) {
        return Err(Failure::new("no such directory"));
    }
    let (directory, base) = split(&target.path);
    Ok(Plan {
        directory,
        rename: Some((source.base.clone(), base)),
    })
}

/// Container and path, or only a path of this computer.
pub(super) fn place(text: &str) -> (Option<&str>, &str) {
    if Path::new(text).is_absolute() || text.starts_with('/') {
        return (None, text);
    }
    match text.split_once(':') {
        Some((container, path)) if !container.starts_with('.') => (Some(container), path),
        _ => (None, text),
    }
}

/// An absolute path of this computer that keeps the ending `/` or `/.`, with forward slashes.
pub(super) fn absolute(path: &str) -> Result<String, Failure> {
    let full = std::path::absolute(path)
        .map_err(|error| Failure::file("find", Path::new(path), &error))?;
    let full = full.to_string_lossy().replace('\\', "/");
    let path = path.replace('\\', "/");
    let mut cleaned = clean(&full);
    if base(&path) == "." && base(&cleaned) != "." {
        if !cleaned.ends_with('/') {
            cleaned.push('/');
        }
        cleaned.push('.');
    }
    if path.ends_with('/') && !cleaned.ends_with('/') {
        cleaned.push('/');
    }
    Ok(cleaned)
}

/// The directory that something is to be written in must exist.
pub(super) fn check_output(path: &str) -> Result<(), Failure> {
    let (directory, _) = split(path.trim_end_matches('/'));
    if std::fs::metadata(&directory).is_err() {
        return Err(Failure::new(format!(
            "invalid output path: directory {directory:?} does not exist"
        )));
    }
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_dir() && !meta.is_file() => Err(Failure::new(format!(
            "invalid output path: {path:?} must be a directory or a regular file"
        ))),
        _ => Ok(()),
    }
}

/// A path of this computer as a destination.
pub(super) fn local_target(path: &str) -> Result<Target, Failure> {
    let mut at = path.to_owned();
    // A link's own name is not the destination, what it leads to is.
    for _ in 0..10 {
        match std::fs::read_link(at.trim_end_matches('/')) {
            Ok(target) => at = join_link(&at, &target.to_string_lossy().replace('\\', "/")),
            Err(_) => break,
        }
    }
    let meta = std::fs::metadata(&at);
    Ok(Target {
        exists: meta.is_ok(),
        is_directory: meta.is_ok_and(|meta| meta.is_dir()),
        path: at,
    })
}

/// Where a link at `path` leads.
pub(super) fn join_link(path: &str, target: &str) -> String {
    if target.starts_with('/') || Path::new(target).is_absolute() {
        return target.to_owned();
    }
    clean(&format!("{}/{target}", split(path).0))
}

/// What a followed link leads to, written as the link was, and the link's name if they differ.
pub(super) fn rebase(path: &str, target: &str) -> (String, Option<String>) {
    let mut resolved = target.to_owned();
    if base(path) == "." && base(target) != "." {
        resolved.push_str("/.");
    }
    if path.ends_with('/') && !resolved.ends_with('/') {
        resolved.push('/');
    }
    let name = (base(path) != base(&resolved)).then(|| base(path).to_owned());
    (resolved, name)
}

/// The last component; `/` for the root.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return if path.is_empty() { "." } else { "/" };
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// A name in an archive with another beginning.
pub(super) fn renamed(name: &str, (old, new): (&str, &str)) -> String {
    let old = if old == "/" { "" } else { old };
    name.replacen(old, new, 1)
}

fn asserts_directory(path: &str) -> bool {
    path.ends_with('/') || base(path) == "."
}

/// Directory and last component of a path; a `.` at the end counts.
fn split(path: &str) -> (String, String) {
    let cleaned = clean(path);
    if base(path) == "." {
        return (cleaned, ".".into());
    }
    match cleaned.rsplit_once('/') {
        Some(("", last)) => ("/".into(), last.into()),
        Some((directory, last)) => (directory.into(), last.into()),
        None => (".".into(), cleaned),
    }
}

/// Go's `filepath.Clean`.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut components: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." if components.last().is_some_and(|last| *last != "..") => {
                components.pop();
            }
            ".." if rooted => {}
            name => components.push(name),
        }
    }
    let joined = components.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn containers_are_told_from_paths() {
        for (text, expected) in [
            ("web:/x", (Some("web"), "/x")),
            ("web:x:y", (Some("web"), "x:y")),
            ("./web:x", (None, "./web:x")),
            ("/web:x", (None, "/web:x")),
            ("plain", (None, "plain")),
            ("-", (None, "-")),
        ] {
            assert_eq!(place(text), expected, "{text}");
        }
    }

    fn target(path: &str, exists: bool, is_directory: bool) -> Target {
        Target {
            path: path.into(),
            exists,
            is_directory,
        }
    }

    #[test]
    fn copies_are_called_what_docker_calls_them() {
        let file = Source {
            base: "file".into(),
            is_directory: false,
        };
        let directory = Source {
            base: "dir".into(),
            is_directory: true,
        };
        let plan = |source, target| plan(source, None, &target).map_err(|f| f.message());
        let renamed = |directory: &str, old: &str, new: &str| {
            Ok(Plan {
                directory: directory.into(),
                rename: Some((old.into(), new.into())),
            })
        };
        let plain = |directory: &str| {
            Ok(Plan {
                directory: directory.into(),
                rename: None,
            })
        };
        assert_eq!(plan(&file, target("/d", true, true)), plain("/d"));
        assert_eq!(
            plan(&file, target("/d/x", true, false)),
            renamed("/d", "file", "x")
        );
        assert_eq!(
            plan(&file, target("/d/y", false, false)),
            renamed("/d", "file", "y")
        );
        assert_eq!(
            plan(&file, target("/y", false, false)),
            renamed("/", "file", "y")
        );
        assert_eq!(
            plan(&file, target("/d/y/", false, false)),
            Err("no such directory".into())
        );
        assert_eq!(plan(&directory, target("/d", true, true)), plain("/d"));
        assert_eq!(
            plan(&directory, target("/d/new", false, false)),
            renamed("/d", "dir", "new")
        );
        assert_eq!(
            plan(&directory, target("/f", true, false)),
            Err("cannot copy directory".into())
        );
    }

    #[test]
    fn names_and_links() {
        assert_eq!(super::renamed("dir/a/dir", ("dir", "new")), "new/a/dir");
        assert_eq!(super::renamed("./a", (".", "new")), "new/a");
        assert_eq!(super::renamed("/etc/x", ("/", "new")), "new/etc/x");
        assert_eq!(join_link("/a/link", "../b"), "/b");
        assert_eq!(join_link("/a/link", "/c"), "/c");
        assert_eq!(
            rebase("/a/link", "/real"),
            ("/real".into(), Some("link".into()))
        );
        assert_eq!(rebase("/a/link/", "/x/link"), ("/x/link/".into(), None));
        for (path, cleaned) in [
            ("/a/../../b/", "/b"),
            ("a/./b/..", "a"),
            ("../x", "../x"),
            ("", "."),
            ("/", "/"),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}

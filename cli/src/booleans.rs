//! Docker's flags without a value take one all the same: `--rm=true`, `-d=false`. Scripts write
//! that; here it becomes the plain flag, or nothing, before the command line is parsed.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::args::Cli;

/// The command line with each `--flag=true` made `--flag`, and each `--flag=false` left out.
pub(crate) fn plain(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut root = Cli::command();
    // Global flags are known to the verbs after this.
    root.build();
    let mut words = words.into_iter();
    let mut plain: Vec<OsString> = words.next().into_iter().collect();
    let mut verb = &root;
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            plain.push(word);
            continue;
        };
        match read(verb, text) {
            Word::Kept => plain.push(word),
            Word::Replaced(by) => plain.extend(by.map(OsString::from)),
            Word::BeforeValue => {
                plain.push(word);
                plain.extend(words.next());
            }
            Word::Positional => {
                let deeper = verb.find_subcommand(text);
                plain.push(word);
                match deeper {
                    Some(deeper) => verb = deeper,
                    // What follows belongs to the container's command.
                    None if takes_all(verb) => break,
                    None => {}
                }
            }
            Word::End => {
                plain.push(word);
                break;
            }
        }
    }
    plain.extend(words);
    plain
}

/// What a word is.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// Nothing to change.
    Kept,
    /// A flag with a boolean: the flag alone, or nothing.
    Replaced(Option<String>),
    /// A flag whose value is the next word.
    BeforeValue,
    /// Not a flag.
    Positional,
    /// `--`: no flags follow.
    End,
}

fn read(verb: &Command, word: &str) -> Word {
    if word == "--" {
        return Word::End;
    }
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let named = |arg: &&Arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        };
        return flag(
            verb.get_arguments().find(named),
            &format!("--{name}"),
            value,
        );
    }
    let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
        return Word::Positional;
    };
    for (at, letter) in cluster.char_indices() {
        let arg = verb
            .get_arguments()
            .find(|arg| arg.get_short() == Some(letter));
        let end = at + letter.len_utf8();
        let rest = &cluster[end..];
        if !arg.is_some_and(is_switch) || rest.is_empty() || rest.starts_with('=') {
            // The rest, if there is one, is the value.
            let value = rest
                .strip_prefix('=')
                .or((!rest.is_empty()).then_some(rest));
            return match flag(arg, &format!("-{}", &cluster[..end]), value) {
                // The letters before it stand for themselves.
                Word::Replaced(None) if at > 0 => {
                    Word::Replaced(Some(format!("-{}", &cluster[..at])))
                }
                word => word,
            };
        }
    }
    Word::Kept
}

fn flag(arg: Option<&Arg>, plain: &str, value: Option<&str>) -> Word {
    let Some(arg) = arg else { return Word::Kept };
    match value {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") if is_switch(arg) => {
            Word::Replaced(Some(plain.to_owned()))
        }
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") if is_switch(arg) => {
            Word::Replaced(None)
        }
        Some(_) => Word::Kept,
        None if takes_next(arg) => Word::BeforeValue,
        None => Word::Kept,
    }
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn takes_next(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// Whether all words from the first one that is no flag are one argument.
fn takes_all(verb: &Command) -> bool {
    verb.get_positionals().any(Arg::is_trailing_var_arg_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let words = plain(line.split(' ').map(OsString::from));
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn booleans_become_plain_flags() {
        for (line, plain) in [
            (
                "slipway run --rm=true -d=false -it=true box",
                "slipway run --rm -it box",
            ),
            ("slipway run -it=false box", "slipway run -i box"),
            (
                "slipway --json=true ps -a=1 --no-trunc=false",
                "slipway --json ps -a",
            ),
            (
                "slipway rm --force=true x -v=true",
                "slipway rm --force x -v",
            ),
        ] {
            assert_eq!(of(line), plain, "{line}");
        }
    }

    #[test]
    fn all_else_stays() {
        for line in [
            "slipway run box cmd --rm=true",
            "slipway run -e --rm=true box",
            "slipway run --name --rm=true box",
            "slipway run -w/tmp -eA=true --sig-proxy=false --init=false box",
            "slipway exec web ls --force=true",
            "slipway rm -- --force=true",
            "slipway run --rm=maybe box",
            "slipway nonsense --rm=true",
            "slipway",
        ] {
            assert_eq!(of(line), line);
        }
    }
}

//! What `ps` makes of its options: the columns that it shows, and its refusals in its own words.

use crate::Error;

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// What is shown, by the name that `-o` has for it.
    pub(super) name: String,
    /// What stands above it.
    pub(super) title: String,
}

/// Columns with their titles where these are not the usual ones.
type Layout = &'static [(&'static str, &'static str)];

const BRIEF: Layout = &[("pid", ""), ("tname", ""), ("time", ""), ("ucmd", "")];
const BRIEF_BSD: Layout = &[
    ("pid", ""),
    ("tname", ""),
    ("stat", ""),
    ("bsdtime", ""),
    ("args", ""),
];
const FULL: Layout = &[
    ("user", "UID"),
    ("pid", ""),
    ("ppid", ""),
    ("c", ""),
    ("stime", ""),
    ("tname", ""),
    ("time", ""),
    ("cmd", ""),
];
const EXTRA_FULL: Layout = &[
    ("user", "UID"),
    ("pid", ""),
    ("ppid", ""),
    ("c", ""),
    ("sz", ""),
    ("rss", ""),
    ("psr", ""),
    ("stime", ""),
    ("tname", ""),
    ("time", ""),
    ("cmd", ""),
];
const LONG: Layout = &[
    ("f", ""),
    ("s", ""),
    ("uid", ""),
    ("pid", ""),
    ("ppid", ""),
    ("c", ""),
    ("opri", "PRI"),
    ("ni", ""),
    ("addr", ""),
    ("sz", ""),
    ("wchan", ""),
    ("tname", ""),
    ("time", ""),
    ("ucmd", ""),
];
const JOBS: Layout = &[
    ("pid", ""),
    ("pgid", ""),
    ("sid", ""),
    ("tname", ""),
    ("time", ""),
    ("ucmd", ""),
];
const USER: Layout = &[
    ("user", ""),
    ("pid", ""),
    ("%cpu", ""),
    ("%mem", ""),
    ("vsz", ""),
    ("rss", ""),
    ("tname", ""),
    ("stat", ""),
    ("start_time", ""),
    ("bsdtime", ""),
    ("args", ""),
];

/// Options without a value that change no column, and those that take a list.
const SILENT: &str = "AacdeHLmMNTwZ";
const LISTS: &str = "CGUgpqstu";
const SILENT_BSD: &str = "acefgHLmMnrSTwxZ";
const LISTS_BSD: &str = "Upqt";

/// Long options alike.
const SILENT_LONG: [&str; 4] = ["forest", "deselect", "cumulative", "headers"];
const LISTS_LONG: [&str; 10] = [
    "pid", "ppid", "user", "User", "group", "Group", "sid", "tty", "columns", "rows",
];

fn refused(why: &str) -> Error {
    Error::System(format!("ps: error: {why}"))
}

/// Reads options; `-ef` when there are none.
pub(super) fn columns(arguments: &str) -> Result<Vec<Column>, Error> {
    let arguments = if arguments.is_empty() {
        "-ef"
    } else {
        arguments
    };
    let mut options = Options::default();
    let read = options.read(arguments, false);
    let read = read.or_else(|error| {
        // `-aux` is no list of options of System V: then it is one of BSD.
        let mut again = Options::default();
        let one = !arguments.contains(' ') && !arguments.starts_with("--");
        let bsd = one && again.read(arguments.trim_start_matches('-'), true).is_ok();
        options = again;
        if bsd { Ok(()) } else { Err(error) }
    });
    read?;
    let columns = options.columns();
    if !columns.iter().any(|column| column.title == "PID") || options.silent {
        return Err(Error::System("Couldn't find PID field in ps output".into()));
    }
    Ok(columns)
}

#[derive(Debug, Default)]
struct Options {
    layout: Option<Layout>,
    /// With `-l`: other columns.
    y: bool,
    bsd: bool,
    /// Those of `-o`.
    own: Vec<Column>,
    /// It shows no table, or one without titles.
    silent: bool,
}

impl Options {
    fn read(&mut self, arguments: &str, bsd: bool) -> Result<(), Error> {
        let mut words = arguments.split(' ').filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            if let Some(long) = word.strip_prefix("--") {
                self.long(long, &mut words)?;
            } else if let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                self.letters(letters, false, &mut words)?;
            } else if word.starts_with(|first: char| first.is_ascii_alphabetic()) {
                self.bsd = true;
                self.letters(word, true, &mut words)?;
            } else if !word.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(refused("garbage option"));
            } else {
                self.bsd = true;
            }
        }
        self.bsd |= bsd;
        Ok(())
    }

    fn long<'a>(
        &mut self,
        option: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match name {
            "help" | "info" | "version" | "no-headers" | "no-heading" | "noheaders" => {
                self.silent = true;
            }
            "format" => {
                let list = value.or_else(|| words.next());
                let list =
                    list.ok_or_else(|| refused("format specification must follow --format"))?;
                self.format(list)?;
            }
            "sort" => {
                let keys = value.or_else(|| words.next());
                let keys =
                    keys.ok_or_else(|| refused("long sort specification must follow --sort"))?;
                let known = |key: &str| title(key.trim_start_matches(['+', '-'])).is_some();
                if !keys.split(',').all(known) {
                    return Err(refused("unknown sort specifier"));
                }
            }
            _ if SILENT_LONG.contains(&name) => {}
            _ if LISTS_LONG.contains(&name) => {
                let list = value.or_else(|| words.next());
                list.ok_or_else(|| refused(&format!("list must follow --{name}")))?;
            }
            _ => return Err(refused("unknown gnu long option")),
        }
        Ok(())
    }

    fn letters<'a>(
        &mut self,
        letters: &str,
        bsd: bool,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let dash = if bsd { "" } else { "-" };
        let (silent, lists) = match bsd {
            true => (SILENT_BSD, LISTS_BSD),
            false => (SILENT, LISTS),
        };
        for (at, letter) in letters.char_indices() {
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            let rest = Some(rest).filter(|rest| !rest.is_empty());
            match letter {
                'o' | 'O' => {
                    let list = rest.or_else(|| words.next()).ok_or_else(|| {
                        refused(&format!("format specification must follow {dash}{letter}"))
                    })?;
                    return self.format(list);
                }
                'V' => self.silent = true,
                'h' if bsd => self.silent = true,
                'u' if bsd => self.layout = Some(USER),
                'l' if bsd => self.layout = Some(LONG),
                'j' => self.layout = Some(JOBS),
                'f' if !bsd => {
                    self.layout = self.layout.filter(|one| *one == EXTRA_FULL).or(Some(FULL));
                }
                'F' if !bsd => self.layout = Some(EXTRA_FULL),
                'l' => self.layout = Some(LONG),
                'y' if !bsd => self.y = true,
                'x' if !bsd => {
                    return Err(refused("must set personality to get -x option"));
                }
                _ if silent.contains(letter) => {}
                _ if lists.contains(letter) => {
                    let what = match letter {
                        'C' => "command names",
                        'G' | 'g' => "groups",
                        'U' | 'u' => "users",
                        's' => "session IDs",
                        't' => return Ok(()),
                        _ => "process IDs",
                    };
                    let list = rest.or_else(|| words.next()).ok_or_else(|| {
                        refused(&format!("List of {what} must follow {dash}{letter}."))
                    })?;
                    let users = what == "users";
                    if users && !list.split(',').all(super::is_user) {
                        return Err(refused("user name does not exist"));
                    }
                    return Ok(());
                }
                _ if bsd => return Err(refused("unsupported option (BSD syntax)")),
                _ => return Err(refused("unsupported SysV option")),
            }
        }
        Ok(())
    }

    /// Takes the list of an `-o`; what follows an `=` is a title to its end.
    fn format(&mut self, list: &str) -> Result<(), Error> {
        let (names, own) = match list.split_once('=') {
            Some((names, own)) => (names, Some(own)),
            None => (list, None),
        };
        for name in names.split(',').filter(|name| !name.is_empty()) {
            let Some(title) = title(name) else {
                return Err(refused(&format!(
                    "unknown user-defined format specifier \"{name}\""
                )));
            };
            self.own.push(Column {
                name: name.to_owned(),
                title: title.to_owned(),
            });
        }
        if let (Some(own), Some(last)) = (own, self.own.last_mut()) {
            last.title = own.to_owned();
        }
        Ok(())
    }

    fn columns(&self) -> Vec<Column> {
        if !self.own.is_empty() {
            return self.own.clone();
        }
        let brief = if self.bsd { BRIEF_BSD } else { BRIEF };
        let layout = self.layout.unwrap_or(if self.y { LONG } else { brief });
        let columns = layout.iter().map(|(name, own)| Column {
            name: (*name).to_owned(),
            title: match *own {
                "" => title(name).unwrap_or_default().to_owned(),
                own => own.to_owned(),
            },
        });
        let mut columns: Vec<Column> = columns.collect();
        if self.y && layout == LONG {
            columns.retain(|column| column.name != "f");
            for column in columns.iter_mut().filter(|column| column.name == "addr") {
                "rss".clone_into(&mut column.name);
                "RSS".clone_into(&mut column.title);
            }
        }
        columns
    }
}

/// What stands above a column; nothing for one that `ps` does not know, or we can't show.
fn title(column: &str) -> Option<&'static str> {
    Some(match column {
        "uid" | "euid" => "UID",
        "user" | "euser" | "uname" => "USER",
        "pid" => "PID",
        "ppid" => "PPID",
        "pgid" | "pgrp" => "PGID",
        "sid" | "sess" | "session" => "SID",
        "c" => "C",
        "f" | "flag" | "flags" => "F",
        "s" | "state" => "S",
        "opri" | "pri" => "PRI",
        "ni" | "nice" => "NI",
        "addr" => "ADDR",
        "sz" => "SZ",
        "wchan" => "WCHAN",
        "psr" => "PSR",
        "stime" => "STIME",
        "start" | "lstart" => "STARTED",
        "start_time" | "bsdstart" => "START",
        "tty" | "tt" | "tname" => "TTY",
        "time" | "cputime" | "bsdtime" => "TIME",
        "etime" => "ELAPSED",
        "cmd" | "ucmd" => "CMD",
        "args" | "command" | "comm" => "COMMAND",
        "stat" => "STAT",
        "%cpu" | "pcpu" => "%CPU",
        "%mem" | "pmem" => "%MEM",
        "vsz" | "vsize" => "VSZ",
        "rss" | "rssize" => "RSS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn options_lead_to_the_columns_of_ps() {
        for (arguments, expected) in [
            ("", "UID PID PPID C STIME TTY TIME CMD"),
            ("-e", "PID TTY TIME CMD"),
            ("-eF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"),
            ("-ly", "S UID PID PPID C PRI NI RSS SZ WCHAN TTY TIME CMD"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            (
                "-aux",
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
            ),
            ("-o pid -o user,cmd=WHAT", "PID USER WHAT"),
            ("axo pid,stat", "PID STAT"),
            ("-C sleep --sort=-pid", "PID TTY TIME CMD"),
        ] {
            let columns = columns(arguments).unwrap();
            let titles: Vec<&str> = columns.iter().map(|c| c.title.as_str()).collect();
            assert_eq!(titles.join(" "), expected, "{arguments}");
        }
    }

    #[test]
    fn refusals_have_the_words_of_ps() {
        for (arguments, expected) in [
            ("--nosuch", "ps: error: unknown gnu long option"),
            ("--sort x", "ps: error: unknown sort specifier"),
            ("-q", "ps: error: List of process IDs must follow -q."),
            ("-o", "ps: error: format specification must follow -o"),
            (
                "foo",
                "ps: error: unknown user-defined format specifier \"o\"",
            ),
            ("-x -y", "ps: error: must set personality to get -x option"),
            ("\"", "ps: error: garbage option"),
            ("-o user", "Couldn't find PID field in ps output"),
            ("axo pid=X", "Couldn't find PID field in ps output"),
            ("--help", "Couldn't find PID field in ps output"),
        ] {
            let error = columns(arguments).unwrap_err();
            assert_eq!(error.to_string(), expected, "{arguments}");
        }
    }
}

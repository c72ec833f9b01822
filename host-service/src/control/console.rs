//! The machine's console as a text: what is there, and what comes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::Home;

use super::body::{Body, written};

/// How often the console is looked at for a client that follows it.
const LOOK: Duration = Duration::from_millis(200);

/// The longest piece of the console that is held in memory.
const PIECE: u64 = 64 * 1024;

/// What a client asks for: `tail=N` and `follow=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    tail: Option<usize>,
    follow: bool,
}

impl Wanted {
    pub(super) fn parse(query: &str) -> Result<Self, String> {
        let mut wanted = Self {
            tail: None,
            follow: false,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("tail", "all") => wanted.tail = None,
                ("tail", number) => {
                    let number = number.parse();
                    wanted.tail =
                        Some(number.map_err(|_| "tail is the number of lines, or all".to_owned())?);
                }
                ("follow", value) => wanted.follow = matches!(value, "1" | "true"),
                // Unknown settings are a newer client's.
                _ => {}
            }
        }
        Ok(wanted)
    }
}

pub(super) fn follow(home: &Home, wanted: Wanted) -> Body {
    let path = home.console_log();
    written(move |writer| async move {
        let mut offset = match wanted.tail {
            Some(lines) => start_of_tail(&path, lines).unwrap_or(0),
            None => 0,
        };
        loop {
            match read_from(&path, offset) {
                Ok(piece) if !piece.is_empty() => {
                    offset += piece.len() as u64;
                    if !writer.write(piece).await {
                        return;
                    }
                    continue;
                }
                Ok(_) => {
                    // A shorter file is the console of a new run.
                    if std::fs::metadata(&path).is_ok_and(|log| log.len() < offset) {
                        offset = 0;
                        continue;
                    }
                }
                // No machine has run yet, or the logs are just being rotated.
                Err(_) => {}
            }
            if !wanted.follow {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = writer.gone() => return,
            }
        }
    })
}

fn read_from(path: &PathBuf, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut piece = Vec::new();
    file.take(PIECE).read_to_end(&mut piece)?;
    Ok(piece)
}

/// Where the last lines begin.
fn start_of_tail(path: &Path, lines: usize) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut wanted = lines;
    let mut last = true;
    while end > 0 {
        let begin = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(begin))?;
        let mut piece = Vec::new();
        (&mut file).take(end - begin).read_to_end(&mut piece)?;
        for (at, byte) in piece.iter().enumerate().rev() {
            // The end of the last line begins no line.
            if *byte == b'\n' && !last {
                if wanted <= 1 {
                    return Ok(if lines == 0 {
                        end
                    } else {
                        begin + at as u64 + 1
                    });
                }
                wanted -= 1;
            }
            last = false;
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn queries() {
        let wanted = |tail, follow| Ok(Wanted { tail, follow });
        assert_eq!(Wanted::parse(""), wanted(None, false));
        assert_eq!(Wanted::parse("tail=5&follow=1"), wanted(Some(5), true));
        assert_eq!(Wanted::parse("follow=0&tail=all"), wanted(None, false));
        assert!(Wanted::parse("tail=five").is_err());
    }

    #[test]
    fn the_tail_begins_at_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let tail = |lines| {
            let at = usize::try_from(start_of_tail(&path, lines).unwrap()).unwrap();
            std::fs::read_to_string(&path).unwrap()[at..].to_owned()
        };
        assert_eq!(tail(1), "three\n");
        assert_eq!(tail(2), "two\nthree\n");
        assert_eq!(tail(3), "one\ntwo\nthree\n");
        assert_eq!(tail(9), "one\ntwo\nthree\n");
        let long = "x".repeat(100_000);
        std::fs::write(&path, format!("{long}\n{long}\nend")).unwrap();
        assert_eq!(tail(1), "end");
        assert_eq!(tail(2).len(), 100_004);
    }
}

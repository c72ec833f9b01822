//! Words of Dockerfile instructions: split at spaces outside of quotes, then freed of quotes and
//! escapes, with variables replaced, as the Dockerfile reference says.

use std::iter::Peekable;
use std::str::Chars;

use super::Names;

/// Splits at white space; quotes and escapes stay in the words.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => {
                // An escape at the end stands for nothing.
                if let Some(next) = letters.next() {
                    word.push(letter);
                    word.push(next);
                }
            }
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.push(letter);
            }
            (letter, Some(open)) if letter == open => {
                quote = None;
                word.push(letter);
            }
            (letter, None) if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (letter, _) => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Removes quotes and escapes and replaces `$NAME` and `${NAME…}`.
pub(super) fn expand(word: &str, names: &Names<'_>) -> Result<String, String> {
    let mut letters = word.chars().peekable();
    until(&mut letters, None, names).map_err(|why| format!("failed to process {word:?}: {why}"))
}

type Letters<'a> = Peekable<Chars<'a>>;

fn until(
    letters: &mut Letters<'_>,
    end: Option<char>,
    names: &Names<'_>,
) -> Result<String, String> {
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            letter if Some(letter) == end => return Ok(text),
            '\'' => {
                loop {
                    match letters.next() {
                        None => {
                            return Err("unexpected end of statement while looking for matching single-quote".into());
                        }
                        Some('\'') => break,
                        Some(letter) => text.push(letter),
                    }
                }
            }
            '"' => quoted(letters, names, &mut text)?,
            '$' => text.push_str(&variable(letters, names)?),
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    match end {
        None => Ok(text),
        Some(_) => Err("syntax error: missing '}'".into()),
    }
}

fn quoted(letters: &mut Letters<'_>, names: &Names<'_>, text: &mut String) -> Result<(), String> {
    loop {
        match letters.next() {
            None => {
                return Err(
                    "unexpected end of statement while looking for matching double-quote".into(),
                );
            }
            Some('"') => return Ok(()),
            Some('$') => text.push_str(&variable(letters, names)?),
            Some('\\') => match letters.peek() {
                None => {}
                Some('"' | '$' | '\\') => text.extend(letters.next()),
                Some(_) => text.push('\\'),
            },
            Some(letter) => text.push(letter),
        }
    }
}

/// What stands behind a `$`.
fn variable(letters: &mut Letters<'_>, names: &Names<'_>) -> Result<String, String> {
    if letters.peek() != Some(&'{') {
        let name = name(letters);
        return Ok(match name.as_str() {
            "" => "$".into(),
            name => names.get(name).copied().unwrap_or_default().into(),
        });
    }
    letters.next();
    let name = name(letters);
    let value = names.get(name.as_str()).copied();
    let mut modifier = letters.next();
    let empty_is_unset = modifier == Some(':') && !name.is_empty();
    if empty_is_unset {
        modifier = letters.next();
    }
    let set = value.filter(|value| !(empty_is_unset && value.is_empty()));
    match modifier {
        _ if name.is_empty() => Err("syntax error: bad substitution".into()),
        None => Err("syntax error: missing '}'".into()),
        Some('}') if !empty_is_unset => Ok(value.unwrap_or_default().into()),
        Some('-') => {
            let other = until(letters, Some('}'), names)?;
            Ok(set.map_or(other, str::to_owned))
        }
        Some('+') => {
            let other = until(letters, Some('}'), names)?;
            Ok(set.map(|_| other).unwrap_or_default())
        }
        Some('?') => {
            let message = until(letters, Some('}'), names)?;
            set.map(str::to_owned).ok_or_else(|| {
                let state = if value.is_some() { "empty" } else { "unset" };
                match message.as_str() {
                    "" => format!("{name}: is not allowed to be {state}"),
                    message => format!("{name}: {message}"),
                }
            })
        }
        Some(other) => {
            let colon = if empty_is_unset { ":" } else { "" };
            Err(format!(
                "unsupported modifier ({colon}{other}) in substitution"
            ))
        }
    }
}

fn name(letters: &mut Letters<'_>) -> String {
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|letter| letter.is_alphanumeric() || *letter == '_') {
        name.push(letter);
    }
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn words_are_split_outside_of_quotes() {
        for (text, words) in [
            ("a b  c", vec!["a", "b", "c"]),
            ("a='b c' d=\"e \\\" f\"", vec!["a='b c'", "d=\"e \\\" f\""]),
            ("a\\ b c\\", vec!["a\\ b", "c"]),
            ("''", vec!["''"]),
            ("  ", vec![]),
        ] {
            assert_eq!(split(text), words, "{text}");
        }
    }

    #[test]
    fn variables_quotes_and_escapes_are_replaced() {
        let names = Names::from([("A", "1"), ("EMPTY", "")]);
        for (word, text) in [
            ("x$A-${A}y", "x1-1y"),
            ("'$A'", "$A"),
            ("\"$A \\$A \\x\"", "1 $A \\x"),
            ("\\$A", "$A"),
            ("${B:-d$A}${B-e}", "d1e"),
            ("${EMPTY:-d}${EMPTY-e}", "d"),
            ("${A:+yes}${B:+no}${EMPTY+set}", "yesset"),
            ("${A:?must}", "1"),
            ("$", "$"),
            ("$B", ""),
        ] {
            assert_eq!(expand(word, &names).unwrap(), text, "{word}");
        }
        for bad in [
            "'a",
            "\"a",
            "${A",
            "${}",
            "${A%x}",
            "${B:?gone}",
            "${EMPTY:?}",
        ] {
            assert!(expand(bad, &names).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "[a$A{}:+\\-?'\"\\\\ %=]{0,24}") {
            for word in split(&text) {
                let _ = expand(&word, &Names::from([("A", "1")]));
            }
        }
    }
}

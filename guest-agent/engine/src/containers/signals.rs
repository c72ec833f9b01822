//! Signal names as Docker takes them: `SIGTERM`, `term`, `15`, `RTMIN+3`.

use crate::Error;

const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

/// SIGKILL.
pub(crate) const KILL: i32 = 9;
/// SIGTERM.
pub(crate) const TERM: i32 = 15;

/// The number of the signal that `text` names, if the system has such a signal.
pub(crate) fn parse(text: &str) -> Result<i32, Error> {
    let number = number(text)?;
    if is_known(number) {
        return Ok(number);
    }
    Err(Error::Invalid(format!(
        "the linux daemon does not support signal {number}"
    )))
}

/// Whether the system has a signal of that number.
pub(crate) fn is_known(number: i32) -> bool {
    (1..=64).contains(&number)
}

/// The number that `text` names: any but 0, as Docker takes the signal that a container is stopped with.
pub(crate) fn number(text: &str) -> Result<i32, Error> {
    let invalid = || Error::Invalid(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return match number {
            0 => Err(invalid()),
            _ => Ok(number),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let offset = |rest: &str| rest.parse::<i32>().ok().filter(|n| (0..=30).contains(n));
    let number = if let Some(rest) = name.strip_prefix("RTMIN+") {
        offset(rest).map(|n| 34 + n)
    } else if let Some(rest) = name.strip_prefix("RTMAX-") {
        offset(rest).map(|n| 64 - n)
    } else {
        None
    };
    number.ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_names_and_numbers() {
        for (text, number) in [("SIGTERM", 15), ("kill", 9), ("1", 1), ("RTMIN+3", 37)] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        assert_eq!(parse("FOO").unwrap_err().to_string(), "invalid signal: FOO");
        assert!(parse("0").is_err());
        // A container can be made with it; what can't be sent is not.
        assert_eq!(number("99").unwrap(), 99);
        assert!(parse("99").is_err() && number("0").is_err());
    }
}

//! The order in which Docker lists names: numbers in them count as numbers.

use std::cmp::Ordering;

/// `a2` before `a10`.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (digits, other) = (digits(a), digits(b));
            let (number, another) = (
                digits.trim_start_matches('0'),
                other.trim_start_matches('0'),
            );
            let order = number
                .len()
                .cmp(&another.len())
                .then_with(|| number.cmp(another))
                .then_with(|| digits.len().cmp(&other.len()));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[digits.len()..], &b[other.len()..]);
        } else if x == y {
            (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
        } else {
            return x.cmp(&y);
        }
    }
    a.len().cmp(&b.len())
}

fn digits(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_ascii_digit());
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count() {
        let mut names = ["b", "a10", "a2", "a", "a02", "a2b", "한2", "한10"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["a", "a2", "a2b", "a02", "a10", "b", "한2", "한10"]);
    }
}

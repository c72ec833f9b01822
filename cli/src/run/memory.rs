//! Sizes and fractions of processors.

/// Docker's sizes in binary units: `512m`, `1.5g`, `1GiB`, `64 k`.
///
/// # Errors
/// go-units' words.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let at = text
        .rfind(|char: char| char.is_ascii_digit() || char == '.' || char == ' ')
        .ok_or_else(invalid)?;
    let (number, suffix) = if text.as_bytes()[at] == b' ' {
        (&text[..at], &text[at + 1..])
    } else {
        text.split_at(at + 1)
    };
    let size: f64 = number.parse().map_err(|_| invalid())?;
    if !(size >= 0.0 && size.is_finite()) {
        return Err(invalid());
    }
    let suffix = suffix.to_lowercase();
    let bad = || format!("invalid suffix: '{suffix}'");
    let shift = match suffix.as_bytes() {
        [] | [b'b'] => 0,
        [unit] | [unit, b'b'] | [unit, b'i', b'b'] => match unit {
            b'k' => 10,
            b'm' => 20,
            b'g' => 30,
            b't' => 40,
            b'p' => 50,
            _ => return Err(bad()),
        },
        _ => return Err(bad()),
    };
    #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a size too large saturates"
    )]
    let bytes = (size * (1_i64 << shift) as f64) as i64;
    Ok(bytes)
}

/// A size, or `-1` for no limit: `--memory-swap`.
///
/// # Errors
/// go-units' words.
pub(crate) fn bytes_or_unlimited(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { bytes(text) }
}

/// `--cpus`: a decimal number or fraction of processors, in billionths.
///
/// # Errors
/// Docker's words.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let (number, divisor) = match text.split_once('/') {
        Some((number, divisor)) => (number, divisor.parse::<i128>().map_err(|_| bad())?),
        None => (text, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let exponent = u32::try_from(fraction.len()).map_err(|_| bad())?;
    let value: i128 = digits.parse().map_err(|_| bad())?;
    let scale = 10_i128
        .checked_pow(exponent)
        .and_then(|scale| scale.checked_mul(divisor))
        .filter(|scale| *scale > 0)
        .ok_or_else(bad)?;
    let billionths = value.checked_mul(1_000_000_000).ok_or_else(bad)?;
    if billionths % scale != 0 {
        return Err("value is too precise".to_owned());
    }
    i64::try_from(billionths / scale).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("32", 32),
            ("32b", 32),
            ("4k", 4096),
            ("4K", 4096),
            ("4kb", 4096),
            ("4KiB", 4096),
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("2 g", 2 << 30),
            ("1t", 1 << 40),
            ("1p", 1 << 50),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn not_sizes() {
        assert_eq!(bytes("hello"), Err("invalid size: 'hello'".into()));
        assert_eq!(bytes("-32"), Err("invalid size: '-32'".into()));
        assert_eq!(bytes(""), Err("invalid size: ''".into()));
        assert_eq!(bytes("32bb"), Err("invalid suffix: 'bb'".into()));
        assert_eq!(bytes("32x"), Err("invalid suffix: 'x'".into()));
        assert_eq!(bytes("32mibs"), Err("invalid suffix: 'mibs'".into()));
        assert_eq!(bytes_or_unlimited("-1"), Ok(-1));
    }

    #[test]
    fn processors() {
        assert_eq!(nano_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(nano_cpus("2"), Ok(2_000_000_000));
        assert_eq!(nano_cpus(".25"), Ok(250_000_000));
        assert_eq!(nano_cpus("1/4"), Ok(250_000_000));
        assert_eq!(
            nano_cpus("1.0000000001"),
            Err("value is too precise".into())
        );
        assert_eq!(
            nano_cpus("two"),
            Err("failed to parse two as a rational number".into())
        );
        assert!(nano_cpus("1/0").is_err());
    }
}

//! Sizes: decimal units for images and layers, binary ones for memory, as go-units prints them.

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// "13.3kB", with three significant digits: images and containers.
pub(crate) fn decimal(bytes: i64) -> String {
    print(bytes, 1000.0, &DECIMAL, 3)
}

/// The same for counters.
pub(crate) fn decimal3(bytes: u64) -> String {
    decimal(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// "13.26kB", with four significant digits: progress and traffic.
pub(crate) fn decimal4(bytes: u64) -> String {
    print(
        i64::try_from(bytes).unwrap_or(i64::MAX),
        1000.0,
        &DECIMAL,
        4,
    )
}

/// "1.944GiB": memory.
pub(crate) fn binary(bytes: u64) -> String {
    print(i64::try_from(bytes).unwrap_or(i64::MAX), 1024.0, &BINARY, 4)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "three or four digits are printed"
)]
fn print(bytes: i64, base: f64, units: &[&str], digits: usize) -> String {
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    format!("{}{}", significant(size, digits), units[unit])
}

/// C's `%.{digits}g`: significant digits without trailing zeros, an exponent when the number is
/// too long for them.
fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let width = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= width {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(width - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}")).to_owned()
}

fn trim(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_decimal_units() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (13_256, "13.3kB"),
            (4_261_502, "4.26MB"),
            (192_000_000, "192MB"),
            (1_234_567_890, "1.23GB"),
            // Docker prints this one so, too.
            (999_999, "1e+03kB"),
        ] {
            assert_eq!(decimal(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn memory_has_binary_units() {
        assert_eq!(binary(0), "0B");
        assert_eq!(binary(6 * 1024 * 1024), "6MiB");
        assert_eq!(binary(2_086_666_240), "1.943GiB");
        assert_eq!(decimal4(1_234_567), "1.235MB");
    }
}

//! Windows' excluded port ranges, as `netsh int ipv4 show excludedportrange` prints them.

/// The ranges, first and last port.
pub(super) fn parse(text: &str) -> Vec<(u16, u16)> {
    let range = |line: &str| {
        let mut words = line.split_whitespace();
        let first = words.next()?.parse().ok()?;
        let last = words.next()?.parse().ok()?;
        Some((first, last))
    };
    text.lines().filter_map(range).collect()
}

/// What to say of a port in one of them.
pub(super) fn describe(port: u16, ranges: &[(u16, u16)]) -> Option<String> {
    let (first, last) = ranges
        .iter()
        .find(|(first, last)| (*first..=*last).contains(&port))?;
    Some(format!(
        "Windows keeps the ports {first}-{last} for itself (netsh int ipv4 show excludedportrange): \
         publish another port, or restart the service WinNAT as administrator to have the ranges \
         chosen anew"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_any_language() {
        let text = "\r\nProtokoll tcp Portausschlussbereiche\r\n\r\nStartport      Endport\r\n\
                    ----------    --------\r\n      5357        5357\r\n     49690       49789     *\r\n\r\n\
                    * - Verwaltete Portausschlüsse.\r\n";
        let ranges = parse(text);
        assert_eq!(ranges, [(5357, 5357), (49690, 49789)]);
        let said = describe(49700, &ranges).unwrap_or_default();
        assert!(said.contains("49690-49789"), "{said}");
        assert_eq!(describe(8080, &ranges), None);
    }
}

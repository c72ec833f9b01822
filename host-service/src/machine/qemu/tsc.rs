//! How fast the processor's time stamps count. An emulated processor passes on the host's.

/// Thousands in a second; nothing where processors have no such stamps.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn khz() -> Option<u64> {
    None
}

/// Thousands in a second.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the instruction has no safe form")]
pub(super) fn khz() -> Option<u64> {
    use std::time::{Duration, Instant};

    const SPAN: Duration = Duration::from_millis(2);

    // SAFETY: every x86-64 processor has the instruction, and it touches nothing.
    let stamp = || unsafe { std::arch::x86_64::_rdtsc() };
    // Two of three are not interrupted at the wrong moment.
    let mut found = [0; 3].map(|_: u64| {
        let (began, first) = (Instant::now(), stamp());
        std::thread::sleep(SPAN);
        let (counted, took) = (stamp().wrapping_sub(first), began.elapsed());
        u128::from(counted) * 1_000_000 / took.as_nanos().max(1)
    });
    found.sort_unstable();
    u64::try_from(found[1]).ok().filter(|khz| *khz > 0)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #[test]
    fn two_looks_agree() {
        let [one, other] = [super::khz(), super::khz()].map(Option::unwrap_or_default);
        assert!(
            one > 100_000 && one.abs_diff(other) < one / 10,
            "{one} {other}"
        );
    }
}

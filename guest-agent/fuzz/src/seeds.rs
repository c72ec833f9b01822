//! The inputs that a run begins with. They are made in code and written where `cargo xtask fuzz` says,
//! beside what earlier runs have found.

/// The variable that names the directory for seeds.
const DIRECTORY: &str = "SLIPWAY_FUZZ_SEEDS";

/// Writes the seeds, if somebody wants them.
pub fn write(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let directory = std::path::PathBuf::from(directory);
    for (number, seed) in seeds.into_iter().enumerate() {
        let path = directory.join(format!("seed-{number:02}"));
        std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Bytes without meaning, always the same: a structured target makes something of any.
#[must_use]
pub fn noise() -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    [64, 200, 400, 800, 1500, 3000]
        .into_iter()
        .cycle()
        .take(24)
        .map(|length| (0..length).map(|_| next()).collect())
        .collect()
}

//! The bundled image `slipway/hello:latest` as a `docker save` archive: one layer with one static
//! program, the same bytes at every build.

use anyhow::{Context, Result};
use serde_json::json;

use super::sha256;

/// 2026-11-01T00:00:00Z, unless `SOURCE_DATE_EPOCH` says otherwise.
const CREATED: u64 = 1_793_491_200;

/// Writes the archive around the program.
pub(crate) fn archive(program: &[u8]) -> Result<Vec<u8>> {
    let layer = tarball(&[("hello", program, 0o755)])?;
    let layer_digest = sha256(&layer);
    let config = serde_json::to_vec(&json!({
        "architecture": "amd64",
        "os": "linux",
        "created": created(),
        "author": "Slipway",
        "config": {
            "Cmd": ["/hello"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "WorkingDir": "/",
            "Labels": { "org.opencontainers.image.title": "slipway/hello" },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        "history": [{ "created": created(), "created_by": "slipway: the program that says hello" }],
    }))?;
    let config_name = format!("{}.json", sha256(&config));
    let layer_name = format!("{layer_digest}/layer.tar");
    let manifest = serde_json::to_vec(&json!([{
        "Config": config_name,
        "RepoTags": ["slipway/hello:latest"],
        "Layers": [layer_name],
    }]))?;
    tarball(&[
        (&layer_name, &layer, 0o644),
        (&config_name, &config, 0o644),
        ("manifest.json", &manifest, 0o644),
    ])
}

/// The image's creation time, RFC 3339.
pub(crate) fn created() -> String {
    let seconds = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CREATED);
    rfc3339(seconds)
}

/// A tar file of root's files without times.
fn tarball(files: &[(&str, &[u8], u32)]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes, mode) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len())?);
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder
            .append_data(&mut header, path, *bytes)
            .with_context(|| format!("archiving {path}"))?;
    }
    builder.into_inner().context("finishing an archive")
}

/// Seconds since 1970 as a date in the Gregorian calendar (Howard Hinnant's `civil_from_days`).
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(CREATED), "2026-11-01T00:00:00Z");
        assert_eq!(rfc3339(1_793_577_599), "2026-11-01T23:59:59Z");
    }

    #[test]
    fn an_archive_names_its_parts_by_digest() {
        let bytes = archive(b"program").unwrap();
        assert_eq!(bytes, archive(b"program").unwrap());
        let mut names = Vec::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            names.push(entry.unwrap().path().unwrap().display().to_string());
        }
        assert!(names[0].ends_with("/layer.tar"), "{names:?}");
        assert_eq!(names[2], "manifest.json");
    }
}

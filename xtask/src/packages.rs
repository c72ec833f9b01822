//! Debian packages of a suite other than the machine's own, fetched through apt with a private
//! configuration and unpacked beside it: nothing is installed. The mirror is the one that the
//! machine already uses, or `SLIPWAY_DEBIAN_MIRROR`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::arch::Arch;
use crate::image::sha256;
use crate::progress;
use crate::project::Project;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How old apt's lists may be when a package must be looked up.
const LISTS_FRESH: Duration = Duration::from_secs(24 * 3600);

/// A suite's packages, as cached on this machine.
pub(crate) struct Suite {
    name: String,
    arch: Arch,
    directory: PathBuf,
}

/// One package, downloaded, checked and unpacked.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
    /// The package's files.
    pub(crate) root: PathBuf,
}

impl Suite {
    /// The suite's cache of packages for this computer; nothing is fetched yet.
    pub(crate) fn new(project: &Project, name: &str) -> Self {
        Self::of(project, name, Arch::NATIVE)
    }

    /// The same for another's.
    pub(crate) fn of(project: &Project, name: &str, arch: Arch) -> Self {
        let folder = match arch {
            Arch::NATIVE => name.to_owned(),
            other => format!("{name}-{}", other.debian()),
        };
        Self {
            name: name.to_owned(),
            arch,
            directory: project.cache.join("apt").join(folder),
        }
    }

    /// Fetches and unpacks packages by name. What an earlier call resolved is used again, so that
    /// builds repeat, unless `refresh` asks the mirror anew.
    pub(crate) fn fetch(&self, names: &[String], refresh: bool) -> Result<Vec<Package>> {
        let mut known = if refresh {
            BTreeMap::new()
        } else {
            self.read_resolved()
        };
        let missing: Vec<&String> = names
            .iter()
            .filter(|name| !self.is_cached(&known, name))
            .collect();
        if !missing.is_empty() {
            if !Path::new("/usr/bin/apt-get").exists() {
                bail!(
                    "the machine's image is made of Debian packages, which need apt-get and dpkg-deb: \
                     build on Debian or Ubuntu, or copy target/image from such a machine"
                );
            }
            self.update(refresh)?;
            known.extend(self.resolve_and_download(&missing)?);
            self.write_resolved(&known)?;
        }
        names.iter().map(|name| self.unpack(&known[name])).collect()
    }

    fn resolved_path(&self) -> PathBuf {
        self.directory.join("resolved.json")
    }

    fn read_resolved(&self) -> BTreeMap<String, Value> {
        let text = fs::read_to_string(self.resolved_path()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn write_resolved(&self, known: &BTreeMap<String, Value>) -> Result<()> {
        let path = self.resolved_path();
        fs::write(&path, serde_json::to_string_pretty(known)?)
            .with_context(|| format!("writing {}", path.display()))
    }

    fn is_cached(&self, known: &BTreeMap<String, Value>, name: &str) -> bool {
        known
            .get(name)
            .and_then(|entry| entry["file"].as_str())
            .is_some_and(|file| self.directory.join(file).is_file())
    }

    /// apt-get or apt-cache with this suite's private configuration.
    fn apt(&self, program: &str) -> Command {
        let directory = self.directory.display();
        let mut command = Command::new(program);
        for option in [
            format!("Dir::Etc::SourceList={directory}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={directory}/lists"),
            format!("Dir::State::Status={directory}/status"),
            format!("Dir::Cache={directory}/cache"),
            // Some suites' Release files are past their date, and apt's own user cannot read a
            // home directory.
            "Acquire::Check-Valid-Until=false".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            format!("APT::Architecture={}", self.arch.debian()),
            // Not this computer's own others.
            format!("APT::Architectures={}", self.arch.debian()),
        ] {
            command.arg("-o").arg(option);
        }
        command.current_dir(&self.directory);
        command
    }

    fn update(&self, refresh: bool) -> Result<()> {
        let path = |name: &str| self.directory.join(name);
        for folder in ["lists/partial", "cache/archives/partial", "unpacked"] {
            fs::create_dir_all(path(folder))
                .with_context(|| format!("creating {}", path(folder).display()))?;
        }
        let stamp = path("updated");
        let fresh = fs::metadata(&stamp)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| {
                SystemTime::now()
                    .duration_since(at)
                    .is_ok_and(|age| age < LISTS_FRESH)
            });
        if fresh && !refresh {
            return Ok(());
        }
        let source = format!(
            "deb [signed-by={KEYRING}] {} {} main\n",
            mirror()?,
            self.name
        );
        fs::write(path("sources.list"), source).context("writing sources.list")?;
        fs::write(path("status"), "").context("writing an empty package status")?;
        progress::output(self.apt("apt-get").args(["-q", "update"]))
            .with_context(|| format!("reading the package lists of {}", self.name))?;
        fs::write(&stamp, "").with_context(|| format!("writing {}", stamp.display()))
    }

    /// Looks packages up in the signed lists, downloads what is not here yet, checks it.
    fn resolve_and_download(&self, names: &[&String]) -> Result<BTreeMap<String, Value>> {
        let text = progress::output(
            self.apt("apt-cache")
                .args(["--no-all-versions", "show"])
                .args(names),
        )
        .with_context(|| format!("looking up packages in {}", self.name))?;
        let mut found = BTreeMap::new();
        for record in text
            .split("\n\n")
            .filter(|record| !record.trim().is_empty())
        {
            let entry = self.entry(record)?;
            found.insert(entry["name"].as_str().unwrap_or_default().to_owned(), entry);
        }
        if let Some(unknown) = names.iter().find(|name| !found.contains_key(**name)) {
            bail!("Debian {} has no package {unknown}", self.name);
        }
        let file = |entry: &Value| {
            self.directory
                .join(entry["file"].as_str().unwrap_or_default())
        };
        let absent: Vec<&String> = found
            .iter()
            .filter(|(_, entry)| !file(entry).is_file())
            .map(|(name, _)| name)
            .collect();
        if !absent.is_empty() {
            let list: Vec<&str> = absent.iter().map(|name| name.as_str()).collect();
            progress::say(format_args!("    fetching {}", list.join(" ")));
            progress::output(self.apt("apt-get").args(["-q", "download"]).args(&absent))
                .with_context(|| format!("downloading from {}", self.name))?;
        }
        for entry in found.values() {
            let path = file(entry);
            let sum =
                sha256(&fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
            if entry["sha256"] != sum {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
                bail!(
                    "{} has the sha256 {sum}, but the signed package list says {}: removed it; try again",
                    path.display(),
                    entry["sha256"]
                );
            }
        }
        Ok(found)
    }

    /// What is remembered of a package's record.
    fn entry(&self, record: &str) -> Result<Value> {
        let field = |key: &str| {
            field(record, key)
                .ok_or_else(|| anyhow!("a package of {} has no {key}: {record}", self.name))
        };
        let (name, version, sum) = (field("Package")?, field("Version")?, field("SHA256")?);
        // apt-get names its downloads after the version, with the epoch's colon escaped.
        let file = format!(
            "{name}_{}_{}.deb",
            version.replace(':', "%3a"),
            field("Architecture")?
        );
        let depends = field_or_empty(record, "Depends");
        Ok(
            json!({ "name": name, "version": version, "sha256": sum, "file": file, "depends": depends }),
        )
    }

    fn unpack(&self, entry: &Value) -> Result<Package> {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let root = self.directory.join("unpacked").join(text("sha256"));
        if !root.is_dir() {
            // Unpacked beside and renamed, so that a half-unpacked package is never taken for one.
            let partial = root.with_extension(std::process::id().to_string());
            progress::run(
                Command::new("dpkg-deb")
                    .arg("-x")
                    .arg(self.directory.join(text("file")))
                    .arg(&partial),
            )?;
            if let Err(error) = fs::rename(&partial, &root) {
                // Another build may have been quicker: its files are the same.
                fs::remove_dir_all(&partial)
                    .with_context(|| format!("removing {}", partial.display()))?;
                if !root.is_dir() {
                    return Err(error).with_context(|| format!("renaming to {}", root.display()));
                }
            }
        }
        Ok(Package {
            name: text("name"),
            version: text("version"),
            sha256: text("sha256"),
            root,
        })
    }

    /// The names of packages and of all that they need to run, as apt would install them on an
    /// empty machine.
    pub(crate) fn closure(&self, names: &[&str]) -> Result<Vec<String>> {
        self.update(false)?;
        let text = progress::output(
            self.apt("apt-get")
                .args(["-s", "install", "--no-install-recommends"])
                .args(names),
        )
        .with_context(|| format!("looking up what {} need", names.join(" ")))?;
        let names = text.lines().filter_map(|line| line.strip_prefix("Inst "));
        Ok(names
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)
            .collect())
    }

    /// The first package that `name` depends on and that starts with `prefix`: how a meta-package
    /// names the real one.
    pub(crate) fn dependency(&self, name: &str, prefix: &str, refresh: bool) -> Result<String> {
        self.fetch(&[name.to_owned()], refresh)?;
        let known = self.read_resolved();
        let depends = known[name]["depends"].as_str().unwrap_or_default();
        depends
            .split(',')
            .filter_map(|one| one.split_whitespace().next())
            .find(|one| one.starts_with(prefix))
            .map(str::to_owned)
            .ok_or_else(|| {
                anyhow!("{name} depends on no package named {prefix}…, but on: {depends}")
            })
    }
}

fn field(text: &str, key: &str) -> Option<String> {
    let prefix = format!("{key}: ");
    text.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .map(|value| value.trim().to_owned())
}

fn field_or_empty(text: &str, key: &str) -> String {
    field(text, key).unwrap_or_default()
}

/// The Debian mirror of the machine's own sources.
pub(crate) fn mirror() -> Result<String> {
    if let Ok(mirror) = std::env::var("SLIPWAY_DEBIAN_MIRROR") {
        return Ok(mirror);
    }
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    files
        .iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|kind| kind == "list" || kind == "sources")
        })
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|text| mirror_in(&text))
        .ok_or_else(|| {
            anyhow!(
                "no Debian mirror in /etc/apt: set SLIPWAY_DEBIAN_MIRROR to one \
                 (an address that ends in /debian) and install debian-archive-keyring"
            )
        })
}

/// The first address that ends in `/debian` in one-line (`deb http…`) or deb822 (`URIs: http…`)
/// sources.
fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| {
            (word.starts_with("http://") || word.starts_with("https://"))
                && word.ends_with("/debian")
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mirror_in_both_formats() {
        let old = "# deb http://no.example/debian x\ndeb [arch=amd64] https://one.example/debian/ bookworm main\n";
        assert_eq!(
            mirror_in(old).as_deref(),
            Some("https://one.example/debian")
        );
        let new = "Types: deb\n# http://no.example/debian\nURIs: http://two.example/debian\nSuites: bookworm\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://two.example/debian"));
        assert_eq!(
            mirror_in("deb http://three.example/debian-security x main"),
            None
        );
    }

    #[test]
    fn reads_fields_of_a_package_record() {
        let text = "Package: a\nVersion: 1:2-3\nDescription-md5: x\n";
        assert_eq!(field(text, "Version").as_deref(), Some("1:2-3"));
        assert_eq!(field(text, "SHA256"), None);
    }
}

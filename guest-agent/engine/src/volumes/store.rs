//! Which volumes there are, and making new ones.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::mount::MountFlags;
use serde::{Deserialize, Serialize};

use super::options::Backing;
use super::work::{Doing, no_such_volume};
use super::{ANONYMOUS, backing, options};
use crate::events::Subject;
use crate::time::Time;
use crate::{Engine, Error, blocking, ids, state_file};

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name, which is its id.
    pub name: String,
    /// When it was made.
    pub created: Time,
    /// Labels; nothing where none were given.
    pub labels: Option<BTreeMap<String, String>>,
    /// Options of the driver: `type`, `device`, `o`.
    pub options: Option<BTreeMap<String, String>>,
    /// Where its files are on the machine.
    #[serde(skip)]
    pub mountpoint: PathBuf,
}

impl Volume {
    /// Whether nobody has named it.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.labels
            .as_ref()
            .is_some_and(|labels| labels.contains_key(ANONYMOUS))
    }

    /// Whether something is mounted there while it is used.
    pub(crate) fn has_backing(&self) -> bool {
        self.options
            .as_ref()
            .is_some_and(|options| options.contains_key("device"))
    }

    /// Whether its files are gone when no container uses it any more.
    pub(super) fn is_passing(&self) -> bool {
        let backing = self.options.as_ref().filter(|_| self.has_backing());
        backing.map(Backing::new).is_some_and(|backing| {
            !backing.is_bind() && matches!(backing.kind.as_str(), "tmpfs" | "ramfs")
        })
    }

    /// Whether nobody can write into it.
    pub(super) fn is_read_only(&self) -> bool {
        let backing = self.options.as_ref().filter(|_| self.has_backing());
        let flags = backing.map(|options| Backing::new(options).flags);
        flags.is_some_and(|flags| flags.contains(MountFlags::RDONLY))
    }

    /// Writes its record into its directory.
    pub(super) fn save(&self, dir: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec(self)
            .map_err(|e| Error::System(format!("writing the volume's record: {e}")))?;
        state_file::write(&dir.join("volume.json"), &text)
    }

    /// Whether its labels pass the filters.
    pub(crate) fn passes(&self, filters: &crate::filters::Filters) -> bool {
        let none = BTreeMap::new();
        filters.labels(self.labels.as_ref().unwrap_or(&none))
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VolumeRequest {
    /// Name; random when empty.
    pub name: String,
    /// `local`, which is all there is; empty is that, too.
    pub driver: String,
    /// Options of the driver.
    pub options: Option<BTreeMap<String, String>>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
}

/// All volumes.
#[derive(Debug)]
pub(crate) struct Volumes {
    dir: PathBuf,
    inner: Mutex<Inner>,
    /// Held while files are copied into a volume, so that two containers don't fill one at once.
    pub(super) filling: Mutex<()>,
    /// Held while something is mounted for a volume or unmounted: how many look at the files of
    /// each through a container that does not run.
    pub(super) mounting: Mutex<BTreeMap<String, usize>>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) known: BTreeMap<String, Volume>,
    /// Volumes of containers that are being made.
    pub(super) held: BTreeMap<String, usize>,
    /// Volumes whose files are all read, or replaced.
    pub(super) at_work: BTreeMap<String, Doing>,
}

/// Keeps a volume from being removed until dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    volumes: Arc<Volumes>,
    name: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut inner = self.volumes.lock();
        if let Some(holds) = inner.held.get_mut(&self.name) {
            *holds -= 1;
            if *holds == 0 {
                inner.held.remove(&self.name);
            }
        }
    }
}

impl Volumes {
    /// Volumes below `dir`; none are known before [`Volumes::load`].
    pub(crate) fn new(dir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            dir,
            inner: Mutex::default(),
            filling: Mutex::default(),
            mounting: Mutex::default(),
        })
    }

    /// Reads what there is, and removes what an interrupted create or remove has left.
    pub(crate) fn load(&self) -> Result<(), Error> {
        for path in state_file::entries(&self.dir)? {
            match read(&path) {
                Ok(Some(volume)) if !is_leftover(&path) => {
                    self.lock().known.insert(volume.name.clone(), volume);
                }
                Ok(_) => {
                    if let Err(error) = erase(&path) {
                        tracing::warn!(%error, path = %path.display(), "removing a leftover");
                    }
                }
                // One damaged record must not keep the others away, nor cost its files.
                Err(error) => tracing::error!(%error, "a volume cannot be read"),
            }
        }
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The volume of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Volume> {
        self.lock().known.get(name).cloned()
    }

    pub(super) fn directory(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The volume of that name, made if need be: then the flag is set.
    fn ensure(self: &Arc<Self>, request: VolumeRequest) -> Result<(Volume, bool, Hold), Error> {
        let mut request = request;
        if request.name.is_empty() {
            request.name = ids::random_id()?;
            let labels = request.labels.get_or_insert_default();
            labels.insert(ANONYMOUS.into(), String::new());
        }
        let name = request.name.clone();
        let prefix = format!("create {name}: ");
        if !matches!(request.driver.as_str(), "" | "local") {
            let driver = &request.driver;
            return Err(Error::NotFound(format!(
                "{prefix}error looking up volume plugin {driver}: plugin \"{driver}\" not found"
            )));
        }
        check_name(&name).map_err(|e| e.prefixed(&prefix))?;
        let mut inner = self.lock();
        let (volume, new) = match inner.known.get(&name) {
            Some(volume) => (volume.clone(), false),
            None => {
                options::check(request.options.as_ref()).map_err(|e| e.prefixed(&prefix))?;
                let volume = self.make(request)?;
                inner.known.insert(name.clone(), volume.clone());
                (volume, true)
            }
        };
        *inner.held.entry(name.clone()).or_default() += 1;
        drop(inner);
        let hold = Hold {
            volumes: Arc::clone(self),
            name,
        };
        Ok((volume, new, hold))
    }

    fn make(&self, request: VolumeRequest) -> Result<Volume, Error> {
        let dir = self.directory(&request.name);
        let data = dir.join("_data");
        std::fs::create_dir_all(&data).map_err(|e| Error::file("creating", &data, e))?;
        let volume = Volume {
            name: request.name,
            created: Time::now(),
            labels: request.labels,
            options: request.options.filter(|options| !options.is_empty()),
            mountpoint: data,
        };
        volume.save(&dir)?;
        Ok(volume)
    }
}

/// Whether a directory was being made or removed: no volume's name begins with a dot.
fn is_leftover(dir: &Path) -> bool {
    dir.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The volume in a directory; nothing where its record is missing.
fn read(dir: &Path) -> Result<Option<Volume>, Error> {
    let path = dir.join("volume.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::file("reading", &path, error)),
    };
    let mut volume: Volume = serde_json::from_slice(&text)
        .map_err(|e| Error::System(format!("reading {}: {e}", path.display())))?;
    volume.mountpoint = dir.join("_data");
    Ok(Some(volume))
}

/// Removes a volume's directory, never what is mounted in it.
pub(super) fn erase(dir: &Path) -> Result<(), Error> {
    backing::unmount(&dir.join("_data"))?;
    Ok(images::remove_tree(dir)?)
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    if name.len() == 1 {
        return Err(Error::Invalid(
            "volume name is too short, names should be at least two alphanumeric characters".into(),
        ));
    }
    let plain = |c: char| c.is_ascii_alphanumeric();
    let good = name.starts_with(plain)
        && name
            .chars()
            .all(|c| plain(c) || matches!(c, '_' | '.' | '-'));
    if good && name.len() > 255 {
        return Err(Error::System(
            "error while creating volume root path: file name too long".into(),
        ));
    }
    if good {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "\"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

impl Engine {
    /// Makes a volume, or finds the one of that name.
    pub async fn create_volume(self: &Arc<Self>, request: VolumeRequest) -> Result<Volume, Error> {
        let engine = Arc::clone(self);
        blocking::run(move || Ok(engine.ensure_volume(request)?.0)).await
    }

    /// The same for a container that is being made: the volume stays while it is held. Blocks.
    pub(crate) fn ensure_volume(
        &self,
        request: VolumeRequest,
    ) -> Result<(Volume, bool, Hold), Error> {
        let (volume, new, hold) = self.volumes.ensure(request)?;
        if new {
            self.volume_event(&volume.name, "create", &[]);
        }
        Ok((volume, new, hold))
    }

    /// The volume of that name.
    pub fn volume(&self, name: &str) -> Result<Volume, Error> {
        self.volumes.get(name).ok_or_else(|| no_such_volume(name))
    }

    /// Publishes an event about a volume.
    pub(crate) fn volume_event(&self, name: &str, action: &str, more: &[(&str, String)]) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), "local".to_owned())]);
        for (key, value) in more {
            attributes.insert((*key).to_owned(), value.clone());
        }
        self.events
            .publish(Subject::Volume, action, name, attributes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_dockers() {
        for good in ["ab", "a1", "db_data.v-2"] {
            check_name(good).unwrap();
        }
        for bad in ["a", "-ab", "a/b", "..", "a b", "ä1"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn volumes_survive_and_leftovers_go() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("volumes");
        let volumes = Volumes::new(dir.clone());
        volumes.load().unwrap();
        let request = VolumeRequest {
            name: "data".into(),
            labels: Some(BTreeMap::from([("a".into(), "b".into())])),
            ..VolumeRequest::default()
        };
        let (made, new, _hold) = volumes.ensure(request.clone()).unwrap();
        assert!(new && made.mountpoint.is_dir());
        assert!(!volumes.ensure(request).unwrap().1, "it is there already");
        std::fs::create_dir_all(dir.join("half/_data")).unwrap();
        // Staged files that were on their way to become a volume.
        std::fs::create_dir_all(dir.join(".staged/_data")).unwrap();
        made.save(&dir.join(".staged")).unwrap();
        let again = Volumes::new(dir.clone());
        again.load().unwrap();
        assert_eq!(again.get("data"), Some(made));
        assert!(!dir.join("half").exists() && !dir.join(".staged").exists());
        let (random, ..) = again.ensure(VolumeRequest::default()).unwrap();
        assert!(random.name.len() == 64 && random.is_anonymous());
    }
}

//! `--init`: our own small program in front of the container's, at the path where Docker has its.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use runtime::spec::{Mount, MountKind};

use super::HostConfig;
use crate::{Error, state_file};

/// Where it is in the container.
const INSIDE: &str = "/sbin/docker-init";

/// The command of the container's first process.
pub(crate) fn arguments(host: &HostConfig, command: Vec<String>) -> Vec<String> {
    if host.init != Some(true) {
        return command;
    }
    let mut arguments = vec![INSIDE.to_owned(), "--".to_owned()];
    arguments.extend(command);
    arguments
}

/// The mount of the program, which is written below `root` when it is not there. Blocks.
pub(crate) fn mount(host: &HostConfig, root: &Path) -> Result<Option<Mount>, Error> {
    if host.init != Some(true) {
        return Ok(None);
    }
    let program = root.join("docker-init");
    // Another version of the engine may have left another one.
    if std::fs::read(&program).ok().as_deref() != Some(runtime::INIT) {
        // Renamed into its place, so that a container that runs from the old one keeps it.
        state_file::write(&program, runtime::INIT)?;
    }
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode)
        .map_err(|e| Error::file("setting the mode of", &program, e))?;
    Ok(Some(Mount {
        kind: MountKind::Bind,
        source: program,
        target: INSIDE.into(),
        readonly: true,
        options: vec!["rprivate".into(), "bind".into()],
    }))
}

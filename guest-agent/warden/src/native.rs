//! The warden on a Linux host without a machine: no mounts, a child subreaper instead of PID 1.

use std::ffi::OsString;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Context, Error};
use crate::kept::Program;
use crate::supervisor::Supervisor;

/// Parses `--root DIR --run DIR --agent PATH --link LINK [--bundled-images DIR] [--api unix:PATH]`.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Program, Error> {
    let mut program = None;
    let mut passed = vec![OsString::from("--machine"), OsString::from("native")];
    let mut args = args.into_iter();
    while let Some(name) = args.next() {
        let value = args
            .next()
            .ok_or_else(|| Error::Usage(format!("{} needs a value", name.display())))?;
        match name.to_str() {
            Some("--agent") => program = Some(PathBuf::from(value)),
            Some("--root" | "--run" | "--link" | "--bundled-images" | "--api") => {
                passed.extend([name, value]);
            }
            _ => return Err(Error::Usage(format!("unknown option {}", name.display()))),
        }
    }
    Ok(Program {
        path: program.ok_or_else(|| Error::Usage("--agent PATH is missing".into()))?,
        args: passed,
        environment: &[],
    })
}

/// Runs until told to stop.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    let agent = parse(args)?;
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).step("become the reaper of orphans")?;
    // A few descriptors a container add up; what is allowed at most is ours to use.
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, limit).step("raise the limit of open files")?;
    let mut supervisor = Supervisor::new(agent)?;
    supervisor.find_cgroups();
    supervisor.run()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn options_go_on_to_the_agent() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let spec = parse(words("--root /r --run /x --agent /bin/a --link unix:/s")).unwrap();
        assert_eq!(spec.path, PathBuf::from("/bin/a"));
        assert_eq!(
            spec.args,
            words("--machine native --root /r --run /x --link unix:/s")
        );
        assert!(parse(words("--root /r")).is_err());
        assert!(parse(words("--nonsense 1")).is_err());
    }
}

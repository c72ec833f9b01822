//! The last steps: environment, working directory, looking up the program, `execve`.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::Write;
use std::os::fd::BorrowedFd;

use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

use super::user::Identity;
use crate::error::{Context, Error, errno_text};
use crate::spec::Process;
use crate::sys;

/// The environment, with `HOME` from the user's entry where it is missing.
pub(super) fn environment(process: &Process, identity: &Identity) -> Vec<String> {
    let mut env = process.env.clone();
    // An empty one is none.
    env.retain(|entry| entry != "HOME=");
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={}", identity.home));
    }
    env
}

/// Enters the working directory by its descriptor, and makes sure that it is inside the root: a
/// descriptor of the host's that leaked in must not become a way out (CVE-2024-21626).
pub(super) fn enter_directory(directory: BorrowedFd<'_>, path: &str) -> Result<(), Error> {
    rustix::process::fchdir(directory).at("enter the working directory", path)?;
    let real = rustix::process::getcwd(Vec::new()).at("find the working directory", path)?;
    if real.as_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(Error::Invalid(format!(
            "the working directory \"{path}\" is outside of the container's root"
        )))
    }
}

/// Finds the program as Go's `exec.LookPath` does, whose messages Docker's users know.
pub(super) fn find(name: &str, env: &[String]) -> Result<String, Error> {
    if name.contains('/') {
        return match runnable(name) {
            Ok(()) => Ok(name.to_owned()),
            Err(Errno::ISDIR) => Err(Error::ProgramIsDirectory(name.to_owned())),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::NoSuchProgram(name.to_owned())),
            Err(_) => Err(Error::ProgramNotExecutable(name.to_owned())),
        };
    }
    let path = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or_default();
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{}/{name}", directory.trim_end_matches('/')))
        .find(|candidate| runnable(candidate).is_ok())
        .ok_or_else(|| Error::NotOnPath(name.to_owned()))
}

fn runnable(path: &str) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    // `/proc/self/exe` and links to it are still the warden's own program here: inside the
    // container it would be a file of the machine's, held open (CVE-2019-5736).
    let own = rustix::fs::stat("/proc/self/exe")
        .is_ok_and(|own| (own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino));
    if own {
        return Err(Errno::ACCESS);
    }
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    // Without a single x bit even root can't execute, though faccessat says it could.
    if stat.st_mode & 0o111 == 0 {
        return Err(Errno::ACCESS);
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// Becomes the program. A file that the kernel can't run after all (no interpreter, a foreign
/// architecture) counts as a container that ran and failed, as with runc: the message goes to its
/// standard error and the exit code is 255.
pub(super) fn execute(program: &str, args: &[String], env: &[String]) -> Result<Infallible, Error> {
    let program_c = c_string(program)?;
    let args = args
        .iter()
        .map(|arg| c_string(arg))
        .collect::<Result<Vec<_>, _>>()?;
    let env = env
        .iter()
        .map(|entry| c_string(entry))
        .collect::<Result<Vec<_>, _>>()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    sys::close_rest_on_exec().step("close the warden's descriptors")?;
    sys::reset_signals();
    let errno = sys::execute(&program_c, &args, &env);
    let _ = writeln!(std::io::stderr(), "exec {program}: {}", errno_text(errno));
    sys::exit_now(255)
}

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Invalid("a string contains a NUL byte".into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn message(name: &str, path: &str) -> String {
        find(name, &[format!("PATH={path}")])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn lookup_errors_read_like_go() {
        assert_eq!(
            message("no-such", "/bin:/usr/bin"),
            "exec: \"no-such\": executable file not found in $PATH"
        );
        assert_eq!(
            message("/no/such", ""),
            "exec: \"/no/such\": stat /no/such: no such file or directory"
        );
        assert_eq!(
            message("/etc", ""),
            "exec: \"/etc\": is a directory: permission denied"
        );
        assert_eq!(
            message("/etc/passwd", ""),
            "exec: \"/etc/passwd\": permission denied"
        );
        assert_eq!(
            message("/proc/self/exe", ""),
            "exec: \"/proc/self/exe\": permission denied"
        );
        // A relative directory on PATH is never used.
        assert!(find("sh", &["PATH=bin:.".into()]).is_err());
        assert_eq!(
            find("sh", &["PATH=/nowhere:/bin".into()]).unwrap(),
            "/bin/sh"
        );
    }
}

//! One container's process: namespaces, cgroup v2, mounts, capabilities, seccomp, limits.

pub mod spec;

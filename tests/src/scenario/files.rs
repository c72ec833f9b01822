//! Files of containers from outside: cp both ways, diff, export, commit.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::{Machine, Steps};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    machine.run_detached(&["--name", "box", "-v", "/vol"], &["sleep", "100000"]);
    steps.step("files: cp a tree, both ways", || trees(machine));
    steps.step("files: cp a big sparse file", || sparse(machine));
    steps.step("files: cp by pipes", || pipes(machine));
    steps.step("files: cp refuses", || refusals(machine));
    steps.step("files: diff", || diff(machine));
    steps.step("files: export", || export(machine));
    steps.step("files: commit", || commit(machine));
    machine.docker(&["rm", "-f", "box"]).ok();
}

fn at(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().expect("a path in UTF-8").to_owned()
}

fn trees(machine: &Machine) {
    let dir = tempfile::tempdir().expect("a directory");
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("sub/empty")).expect("directories");
    fs::write(tree.join("sub/program"), "#!/bin/sh\necho ran\n").expect("a file");
    let mode = fs::Permissions::from_mode(0o750);
    fs::set_permissions(tree.join("sub/program"), mode).expect("a mode");
    symlink("sub/program", tree.join("link")).expect("a link");
    fs::hard_link(tree.join("sub/program"), tree.join("same")).expect("a name");
    for to in ["/tmp/tree", "/vol/tree"] {
        machine
            .docker(&["cp", "-a", &at(dir.path(), "tree"), &format!("box:{to}")])
            .ok();
        let stat = ["exec", "box", "stat", "-c", "%a %h", &format!("{to}/same")];
        assert_eq!(machine.docker(&stat).text(), "750 2");
        let ran = machine.docker(&["exec", "box", &format!("{to}/link")]);
        assert_eq!(ran.text(), "ran");
        let back = at(dir.path(), &to.replace('/', "-"));
        machine.docker(&["cp", &format!("box:{to}"), &back]).ok();
        let back = Path::new(&back);
        let (ours, theirs) = (tree.join("sub/program"), back.join("sub/program"));
        let (ours, theirs) = (
            fs::metadata(ours).expect("ours"),
            fs::metadata(theirs).expect("theirs"),
        );
        assert_eq!((ours.mode(), ours.mtime()), (theirs.mode(), theirs.mtime()));
        let link = fs::read_link(back.join("link")).expect("a link");
        assert_eq!(link, Path::new("sub/program"));
        assert!(back.join("sub/empty").is_dir());
    }
    // A container that does not run, and one that never did.
    machine
        .docker(&[
            "create",
            "--name",
            "still",
            crate::busybox::NAME,
            "cat",
            "/etc/put",
        ])
        .ok();
    fs::write(dir.path().join("put"), "put before the start\n").expect("a file");
    machine
        .docker(&["cp", &at(dir.path(), "put"), "still:/etc/"])
        .ok();
    assert_eq!(
        machine.docker(&["start", "-a", "still"]).text(),
        "put before the start"
    );
    machine
        .docker(&["cp", "still:/etc/put", &at(dir.path(), "got")])
        .ok();
    let got = fs::read_to_string(dir.path().join("got")).expect("what was got");
    assert_eq!(got, "put before the start\n");
    machine.docker(&["rm", "still"]).ok();
}

fn sparse(machine: &Machine) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = fs::File::create(dir.path().join("sparse")).expect("a file");
    file.set_len(64 << 20).expect("a size");
    drop(file);
    let mut bytes = fs::OpenOptions::new()
        .append(true)
        .open(dir.path().join("sparse"))
        .expect("the file");
    std::io::Write::write_all(&mut bytes, b"the end").expect("an end");
    drop(bytes);
    machine
        .docker(&["cp", &at(dir.path(), "sparse"), "box:/tmp/sparse"])
        .ok();
    let end = [
        "exec",
        "box",
        "sh",
        "-c",
        "wc -c </tmp/sparse; tail -c 7 /tmp/sparse",
    ];
    assert_eq!(machine.docker(&end).text(), "67108871\nthe end");
    machine
        .docker(&["cp", "box:/tmp/sparse", &at(dir.path(), "back")])
        .ok();
    let (one, other) = (
        fs::read(dir.path().join("sparse")),
        fs::read(dir.path().join("back")),
    );
    assert!(
        one.expect("ours") == other.expect("theirs"),
        "the file came back changed"
    );
    machine.docker(&["exec", "box", "rm", "/tmp/sparse"]).ok();
}

fn pipes(machine: &Machine) {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(5);
    header.set_mode(0o640);
    header.set_uid(33);
    header.set_gid(44);
    archive
        .append_data(&mut header, "dir/piped", &b"piped"[..])
        .expect("an entry");
    let bytes = archive.into_inner().expect("an archive");
    machine
        .docker_command(&["cp", "-", "box:/tmp"])
        .input(bytes)
        .run()
        .ok();
    let stat = ["exec", "box", "stat", "-c", "%a %u %g %s", "/tmp/dir/piped"];
    assert_eq!(machine.docker(&stat).text(), "640 33 44 5");
    let stream = machine.docker(&["cp", "box:/tmp/dir", "-"]).ok();
    let mut archive = tar::Archive::new(stream.as_bytes());
    let names: Vec<String> = archive
        .entries()
        .expect("entries")
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .expect("a name")
                .display()
                .to_string()
        })
        .collect();
    assert_eq!(names, ["dir/", "dir/piped"]);
}

fn refusals(machine: &Machine) {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("file"), "x").expect("a file");
    let file = at(dir.path(), "file");
    let refused = |args: &[&str], why: &str| {
        let _ = machine.docker(args).exits(1).complains(why);
    };
    refused(
        &["cp", "box:/nope", "-"],
        "Could not find the file /nope in container box",
    );
    refused(&["cp", "nobody:/etc", "-"], "No such container: nobody");
    refused(
        &["cp", &file, "box:/nope/file"],
        "Could not find the file /nope in container box",
    );
    machine.run_detached(
        &["--name", "frozen", "--read-only", "-v", "/vol"],
        &["sleep", "100000"],
    );
    refused(
        &["cp", &file, "frozen:/etc/"],
        "container rootfs is marked read-only",
    );
    machine.docker(&["cp", &file, "frozen:/vol/"]).ok();
    machine.docker(&["rm", "-f", "frozen"]).ok();
}

fn diff(machine: &Machine) {
    let name = ["--name", "changed"];
    let script = "mkdir /new; echo x >/new/file; rm /bin/vi; echo more >>/etc/passwd";
    let id = machine.run_detached(&name, &["sh", "-c", script]);
    assert_eq!(machine.docker(&["wait", &id]).text(), "0");
    let diff = machine.docker(&["diff", "changed"]).text();
    // Docker's order changes from one kind of file system to the next.
    let mut lines: Vec<&str> = diff.lines().collect();
    lines.sort_unstable();
    let expected = [
        "A /new",
        "A /new/file",
        "C /bin",
        "C /etc",
        "C /etc/passwd",
        "D /bin/vi",
    ];
    assert_eq!(lines, expected);
    machine.docker(&["rm", "changed"]).ok();
}

fn export(machine: &Machine) {
    let dir = tempfile::tempdir().expect("a directory");
    machine
        .docker(&[
            "exec",
            "box",
            "sh",
            "-c",
            "echo mine >/vol/hidden; echo mine >/etc/mine",
        ])
        .ok();
    machine
        .docker(&["export", "-o", &at(dir.path(), "root.tar"), "box"])
        .ok();
    let file = fs::File::open(dir.path().join("root.tar")).expect("the archive");
    let mut archive = tar::Archive::new(file);
    let names: Vec<String> = archive
        .entries()
        .expect("entries")
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .expect("a name")
                .display()
                .to_string()
        })
        .collect();
    for name in ["bin/busybox", "bin/sh", "etc/mine", "vol/", ".dockerenv"] {
        assert!(names.iter().any(|known| known == name), "{name} is missing");
    }
    assert!(
        !names.iter().any(|name| name == "vol/hidden"),
        "a volume is not part of the root"
    );
}

fn commit(machine: &Machine) {
    machine
        .docker(&[
            "exec",
            "box",
            "sh",
            "-c",
            "echo kept >/etc/kept; rm /bin/vi",
        ])
        .ok();
    let changes = [
        "-c",
        "CMD [\"cat\",\"/etc/kept\"]",
        "-c",
        "ENV ADDED=yes",
        "-c",
        "WORKDIR /etc",
    ];
    let args = [&["commit", "-m", "kept"], &changes[..], &["box", "kept:1"]].concat();
    let id = machine.docker(&args).text();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(machine.docker(&["run", "--rm", "kept:1"]).text(), "kept");
    let look = [
        "run",
        "--rm",
        "kept:1",
        "sh",
        "-c",
        "pwd; echo $ADDED; ls /bin/vi",
    ];
    let looked = machine.docker(&look);
    assert_eq!(looked.stdout, "/etc\nyes\n");
    machine.docker(&["rmi", "kept:1"]).ok();
}

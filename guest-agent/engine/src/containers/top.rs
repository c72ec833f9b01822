//! `docker top`: the container's processes as `ps` would show them, read from `/proc` because the
//! machine has no `ps`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

mod options;

use self::options::{Column, columns};
use super::State;
use crate::{Engine, Error, blocking};

/// A table of processes.
#[derive(Debug, Clone, Default)]
pub struct ProcessTable {
    /// Column titles.
    pub titles: Vec<String>,
    /// A row a process.
    pub processes: Vec<Vec<String>>,
}

/// One process of the container.
#[derive(Debug, Clone, Default)]
struct Row {
    pid: i32,
    ppid: i32,
    uid: u32,
    state: String,
    group: String,
    session: i32,
    tty: i32,
    flags: u64,
    priority: i64,
    nice: i64,
    processor: String,
    cpu_seconds: u64,
    started_seconds: u64,
    virtual_kb: u64,
    resident_kb: u64,
    name: String,
    command: String,
}

impl Engine {
    /// The processes of a running container; `arguments` as for `ps`, `-ef` when empty.
    pub async fn top_container(&self, name: &str, arguments: &str) -> Result<ProcessTable, Error> {
        let container = self.container(name)?;
        let pid = match container.lock().record.state {
            State::Running { pid } | State::Paused { pid } => pid,
            state if state.is_restarting() => {
                return Err(Error::Conflict(format!(
                    "Container {} is restarting, wait until the container is running",
                    container.id
                )));
            }
            _ => return Err(Error::not_running(&container.id)),
        };
        let columns = columns(arguments)?;
        let table = blocking::run(move || table(pid, &columns)).await?;
        self.container_event(&container, "top", &[]);
        Ok(table)
    }
}

fn table(init: i32, columns: &[Column]) -> Result<ProcessTable, Error> {
    let all = read_all()?;
    let members = members(init, &all);
    let users = users();
    let uptime = uptime();
    let memory_kb = crate::system::memory_bytes() / 1024;
    let processes = members
        .iter()
        .filter_map(|pid| all.get(pid))
        .map(|row| {
            columns
                .iter()
                .map(|column| cell(row, &column.name, &users, uptime, memory_kb))
                .collect()
        })
        .collect();
    let titles = columns.iter().map(|column| column.title.clone()).collect();
    Ok(ProcessTable { titles, processes })
}

/// The first process, its descendants, and everybody in its pid namespace if that is its own.
fn members(init: i32, all: &BTreeMap<i32, Row>) -> BTreeSet<i32> {
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(std::process::id().cast_signed());
    let theirs = namespace(init).filter(|theirs| Some(theirs) != own.as_ref());
    let mut members = BTreeSet::from([init]);
    loop {
        let before = members.len();
        for row in all.values() {
            if members.contains(&row.ppid) || (theirs.is_some() && namespace(row.pid) == theirs) {
                members.insert(row.pid);
            }
        }
        if members.len() == before {
            return members;
        }
    }
}

fn read_all() -> Result<BTreeMap<i32, Row>, Error> {
    let proc = Path::new("/proc");
    let entries = std::fs::read_dir(proc).map_err(|e| Error::file("reading", proc, e))?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, read_one(pid)?)))
        .collect())
}

/// Nothing when the process is gone by now.
fn read_one(pid: i32) -> Option<Row> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let signed = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<i64>().ok())
            .unwrap_or(0)
    };
    let session = fields.get(3)?.parse().ok()?;
    let nice = signed(16);
    let marks = [
        (nice < 0, '<'),
        (nice > 0, 'N'),
        (session == pid, 's'),
        (number(17) > 1, 'l'),
        (signed(5) == signed(2), '+'),
    ];
    let marks = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0);
    let raw = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&raw)
        .trim_end_matches('\0')
        .replace('\0', " ");
    // The kernel counts in hundredths of a second on every machine that we run on.
    Some(Row {
        pid,
        ppid: fields.get(1)?.parse().ok()?,
        uid,
        state: fields.first()?.chars().chain(marks).collect(),
        group: (*fields.get(2)?).to_owned(),
        session,
        tty: fields.get(4)?.parse().ok()?,
        flags: number(6),
        priority: signed(15),
        nice,
        processor: fields.get(36).copied().unwrap_or("0").to_owned(),
        cpu_seconds: (number(11) + number(12)) / 100,
        started_seconds: number(19) / 100,
        virtual_kb: number(20) / 1024,
        resident_kb: number(21) * 4,
        command: if command.is_empty() {
            format!("[{name}]")
        } else {
            command
        },
        name,
    })
}

fn users() -> BTreeMap<u32, String> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users: BTreeMap<u32, String> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
        })
        .collect();
    users.entry(0).or_insert_with(|| "root".into());
    users
}

/// Whether a user is known by that name or number.
fn is_user(name: &str) -> bool {
    name.parse::<u32>().is_ok() || users().values().any(|known| known == name)
}

fn uptime() -> u64 {
    std::fs::read_to_string("/proc/uptime")
        .ok()
        .and_then(|text| text.split('.').next()?.parse().ok())
        .unwrap_or(0)
}

fn cell(
    row: &Row,
    column: &str,
    users: &BTreeMap<u32, String>,
    uptime: u64,
    memory_kb: u64,
) -> String {
    let age = uptime.saturating_sub(row.started_seconds);
    let clock = |s: u64| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    match column {
        "uid" | "euid" => row.uid.to_string(),
        "user" | "euser" | "uname" => users
            .get(&row.uid)
            .cloned()
            .unwrap_or_else(|| row.uid.to_string()),
        "pid" => row.pid.to_string(),
        "ppid" => row.ppid.to_string(),
        "pgid" | "pgrp" => row.group.clone(),
        "sid" | "sess" | "session" => row.session.to_string(),
        "f" | "flag" | "flags" => (row.flags >> 6 & 7).to_string(),
        "opri" => (row.priority + 60).to_string(),
        "pri" => (39 - row.priority).to_string(),
        "ni" | "nice" => row.nice.to_string(),
        "psr" => row.processor.clone(),
        "sz" => (row.virtual_kb / 4).to_string(),
        // Nobody may know where in the kernel it waits.
        "addr" | "wchan" => "-".into(),
        "c" => (row.cpu_seconds * 100 / age.max(1)).min(99).to_string(),
        "%cpu" | "pcpu" => {
            let tenths = row.cpu_seconds * 1000 / age.max(1);
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        "%mem" | "pmem" => {
            let tenths = row.resident_kb * 1000 / memory_kb.max(1);
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        "stime" | "start" | "start_time" | "lstart" | "bsdstart" => start_time(age),
        "etime" if age >= 3600 => clock(age),
        "etime" => format!("{:02}:{:02}", age / 60, age % 60),
        "tty" | "tt" | "tname" => terminal(row.tty),
        "time" | "cputime" => clock(row.cpu_seconds),
        "bsdtime" => format!("{}:{:02}", row.cpu_seconds / 60, row.cpu_seconds % 60),
        "stat" => row.state.clone(),
        "s" | "state" => row.state.chars().take(1).collect(),
        "vsz" | "vsize" => row.virtual_kb.to_string(),
        "rss" | "rssize" => row.resident_kb.to_string(),
        "comm" | "ucmd" => row.name.clone(),
        _ => row.command.clone(),
    }
}

fn start_time(age: u64) -> String {
    let now = jiff::Zoned::now();
    let span = jiff::Span::new().seconds(i64::try_from(age).unwrap_or(0));
    let then = now.checked_sub(span).unwrap_or_else(|_| now.clone());
    if then.date() == now.date() {
        then.strftime("%H:%M").to_string()
    } else {
        then.strftime("%b%d").to_string()
    }
}

/// `pts/0` from the kernel's device number, `?` without a terminal.
fn terminal(device: i32) -> String {
    let (major, minor) = (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff00),
    );
    match major {
        0 => "?".into(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => "?".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn shows_this_very_process() {
        let own = std::process::id().cast_signed();
        let table = table(own, &columns("-o pid,comm,args").unwrap()).unwrap();
        assert_eq!(table.titles, ["PID", "COMMAND", "COMMAND"]);
        assert!(table.processes.iter().any(|row| row[0] == own.to_string()));
    }
}

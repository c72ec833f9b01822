//! `-it`: a person at a terminal.

use crate::support::{Host, host};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// docker on a pseudo-terminal.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(host: &Host, args: &[&str]) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new())
            .unwrap()
            .into_string()
            .unwrap();
        let size = rustix::termios::Winsize {
            ws_row: 33,
            ws_col: 99,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&controller, size).unwrap();
        let open = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let command: &mut Command = &mut host.command(args);
        let child = command
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap();
        let keyboard = File::from(controller);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reads, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(n @ 1..) = reads.read(&mut piece) {
                seen.lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&piece[..n]));
            }
        });
        Self {
            child,
            keyboard,
            screen,
        }
    }

    fn sees(&self, host: &Host, text: &str) {
        host.until(&format!("the screen shows {text:?}"), || {
            self.screen.lock().unwrap().contains(text)
        });
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    fn ends(mut self, host: &Host) -> i32 {
        let child = std::cell::RefCell::new(&mut self.child);
        host.until("docker ends", || {
            child.borrow_mut().try_wait().unwrap().is_some()
        });
        self.child.wait().unwrap().code().unwrap()
    }
}

/// The command passes on what is typed as soon as it is attached, before anything is started.
#[test]
fn what_is_typed_ahead_arrives() {
    let host = host!();
    let script = "read x; echo got $x-";
    let run = ["run", "--rm", "-it", "busybox", "sh", "-c", script];
    host.docker(&["run", "-d", "--name", "there", "busybox", "sleep", "1000"])
        .good();
    let exec = ["exec", "-it", "there", "sh", "-c", script];
    for args in [&run[..], &exec] {
        let mut person = Terminal::start(&host, args);
        person.types("ahead\n");
        person.sees(&host, "got ahead-");
        assert_eq!(person.ends(&host), 0);
    }
}

#[test]
fn a_shell_has_a_terminal_of_the_right_size() {
    let host = host!();
    let mut terminal = Terminal::start(&host, &["run", "-it", "--rm", "busybox", "sh"]);
    terminal.sees(&host, "# ");
    terminal.types("tty; echo size $(stty size | tr ' ' x); exit 5\r");
    terminal.sees(&host, "/dev/pts/0");
    terminal.sees(&host, "size 33x99");
    assert_eq!(terminal.ends(&host), 5);
}

#[test]
fn a_person_detaches_and_comes_back() {
    let host = host!();
    let mut terminal = Terminal::start(&host, &["run", "-it", "--name", "shell", "busybox", "sh"]);
    terminal.sees(&host, "# ");
    terminal.types("\u{10}\u{11}");
    assert_eq!(terminal.ends(&host), 0);
    assert_eq!(host.field("shell", ".State.Status"), "running");
    let mut terminal = Terminal::start(&host, &["attach", "shell"]);
    terminal.types("\recho back$((1+1))\r");
    terminal.sees(&host, "back2");
    terminal.types("exit 4\r");
    assert_eq!(terminal.ends(&host), 4);
    let mut terminal = Terminal::start(&host, &["start", "-ai", "shell"]);
    terminal.sees(&host, "# ");
    terminal.types("exit 6\r");
    assert_eq!(terminal.ends(&host), 6);
}

#[test]
fn exec_has_a_terminal_too() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .good();
    let mut terminal = Terminal::start(&host, &["exec", "-it", "box", "sh"]);
    terminal.sees(&host, "# ");
    terminal.types("echo $((20+3)); exit 8\r");
    terminal.sees(&host, "23");
    assert_eq!(terminal.ends(&host), 8);
}

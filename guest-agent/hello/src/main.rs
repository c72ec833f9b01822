//! The program in the bundled image `slipway/hello`: proof that a container ran, and what to do
//! next.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    greet(&mut io::stdout().lock(), &host_name())
}

/// The container's short id, which is its host name.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "this container".to_owned())
}

fn greet(out: &mut impl Write, container: &str) -> io::Result<()> {
    write!(
        out,
        "
Hello from Slipway!
Your containers work. This is what just happened:

 1. Your command asked Slipway's engine to run the image slipway/hello.
 2. The engine, in its own small Linux machine, found the image: it came with Slipway,
    so nothing was downloaded.
 3. It made container {container} from it, with its own files, processes and network.
 4. This program ran in there, and its output came back to you.

Try next:

   slipway run -it --rm debian bash        a shell in Debian
   slipway ps -a                           every container
   slipway --help                          everything else

Docker's own tools work too: see `slipway status` for the socket they need.

"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_greeting_names_the_container() {
        let mut out = Vec::new();
        greet(&mut out, "0123456789ab").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("Hello from Slipway!"));
        assert!(text.contains("container 0123456789ab"));
    }
}

//! Servers that are programs of others, each on a free port of this machine.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; dropping it ends the server.
pub(crate) struct Spawned(Child);

impl Drop for Spawned {
    fn drop(&mut self) {
        // It is ours, and may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program that `command` makes for an address such as `127.0.0.1:4321`, and waits until
/// it listens there. Its standard input is a pipe that closes when this process ends, however it does.
///
/// # Panics
///
/// When it does not start, or does not listen within half a minute.
#[allow(clippy::expect_used, reason = "a test that cannot have its server fails")]
pub(crate) fn spawn(command: impl FnOnce(&str) -> Command) -> (Spawned, String) {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
    let address = port.expect("a free port").to_string();
    let process = command(&address)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let server = Spawned(process);
    let began = Instant::now();
    while TcpStream::connect(&address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "the server does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    (server, address)
}

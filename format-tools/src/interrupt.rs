//! What happens at Ctrl-C: the terminal is tidied, a half-written file removed, and the process
//! dies by the signal, as a shell or a scheduler expects.
//!
//! Datasets need no care here: one that was not committed is not visible, and the next run of the
//! same command succeeds.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

static HALF_WRITTEN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Names the file to remove if a signal ends the process; `None` when it is complete.
pub(crate) fn remove_on_signal(path: Option<PathBuf>) {
    *HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner) = path;
}

/// Starts to listen for the signals that end a program.
#[cfg(unix)]
pub(crate) fn listen() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    // Without it, the default handler ends the process: less tidily, but as surely.
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else {
        return;
    };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            crate::progress::clear_line();
            let path = HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(path) = path {
                // The process is about to die; there is nobody to tell.
                let _ = std::fs::remove_file(path);
            }
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
}

/// Nothing to listen for: the system ends the process.
#[cfg(not(unix))]
pub(crate) fn listen() {}

//! What happens at Ctrl-C: the terminal is tidied, a half-written file removed, and the process
//! dies by the signal, as a shell or a scheduler expects.
//!
//! Datasets need no care here: one that was not committed is not visible, and the next run of the
//! same command succeeds.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

static HALF_WRITTEN: Mutex<Option<PathBuf>> = Mutex::new(None);

fn half_written() -> MutexGuard<'static, Option<PathBuf>> {
    HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a file that is removed if a signal ends the process; one that comes in between waits.
pub(crate) fn create_removable(
    create: impl FnOnce() -> io::Result<NamedTempFile>,
) -> io::Result<NamedTempFile> {
    let mut half_written = half_written();
    let file = create()?;
    *half_written = Some(file.path().to_owned());
    Ok(file)
}

/// The file is complete: leave it alone.
pub(crate) fn keep_file() {
    *half_written() = None;
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
            if let Some(path) = half_written().take() {
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

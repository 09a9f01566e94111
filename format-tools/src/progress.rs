//! A running job's counters on standard error: a bar, plain lines, or JSON lines.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use genomic_objects::pipeline::progress::{Progress, Snapshot};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::report::say;
use crate::units;

/// Between two redraws of the bar.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two plain or JSON lines.
const LINE: Duration = Duration::from_secs(5);

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// A bar on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// A line of text every 5 seconds
    Plain,
    /// A line of JSON every 5 seconds
    Json,
    /// Nothing
    None,
}

/// What a job's items are, and what its rate is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Reads, and reads per second
    Reads,
    /// Objects, and bytes per second
    Objects,
}

/// The bar on the terminal, for the signal handler to clear.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Clears the progress line, if there is one.
pub(crate) fn clear_line() {
    if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// Shows the progress of one job until it is dropped.
pub(crate) struct Display {
    ticker: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Display {
    /// Starts a thread that looks at `progress` now and then; `verb` says what happens to the items.
    pub(crate) fn start(
        mode: Mode,
        verb: &'static str,
        unit: Unit,
        progress: &Arc<Progress>,
    ) -> Self {
        let mode = match mode {
            Mode::Auto if std::io::stderr().is_terminal() => Mode::Auto,
            Mode::Auto => Mode::Plain,
            other => other,
        };
        if mode == Mode::None {
            return Self { ticker: None };
        }
        if mode == Mode::Auto {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
        }
        let (stop, stopped) = sync_channel(0);
        let progress = Arc::clone(progress);
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            let interval = if mode == Mode::Auto { REDRAW } else { LINE };
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let (snapshot, elapsed) = (progress.snapshot(), started.elapsed());
                let state = State { unit, snapshot, elapsed };
                match mode {
                    Mode::Auto => state.draw(verb),
                    Mode::Json => say(&state.json().to_string()),
                    Mode::Plain | Mode::None => say(&state.text(verb)),
                }
            }
        });
        Self { ticker: Some((stop, thread)) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticker.take() {
            drop(stop);
            // The thread only prints; that it panicked would be no reason to fail the job.
            let _ = thread.join();
            clear_line();
        }
    }
}

/// The counters at one moment, with the time they took.
struct State {
    unit: Unit,
    snapshot: Snapshot,
    elapsed: Duration,
}

impl State {
    fn per_second(&self, number: u64) -> u64 {
        (number as f64 / self.elapsed.as_secs_f64().max(1e-3)) as u64
    }

    /// How much of how much is done, in bytes of input or else in reads.
    fn done(&self) -> Option<(u64, u64)> {
        let Snapshot { items, bytes_in, total_in, total_items, .. } = self.snapshot;
        let (done, total) =
            total_in.map(|total| (bytes_in, total)).or(total_items.map(|total| (items, total)))?;
        Some((done.min(total), total))
    }

    /// The time left, if the rest takes as long as what is done.
    fn left(&self) -> Option<Duration> {
        let (done, total) = self.done().filter(|(done, _)| *done > 0)?;
        let share = (total - done) as f64 / done as f64;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * share).ok()
    }

    fn text(&self, verb: &str) -> String {
        let Snapshot { items, bytes_in, bytes_out, total_in, total_items } = self.snapshot;
        let mut text = format!("{verb} {}", units::count(items));
        if let (None, Some(total), _) | (_, Some(total), Unit::Objects) =
            (total_in, total_items, self.unit)
        {
            text += &format!(" of {}", units::count(total));
        }
        text += match self.unit {
            Unit::Reads => " reads",
            Unit::Objects => " objects",
        };
        match total_in {
            Some(total) => {
                text += &format!(", {} of {}", units::bytes(bytes_in), units::bytes(total));
            }
            None if bytes_in > 0 => text += &format!(", {} in", units::bytes(bytes_in)),
            None => {}
        }
        if let Some((done, total)) = self.done() {
            text += &format!(" ({} %)", (done as f64 * 100.0 / total.max(1) as f64) as u64);
        }
        if bytes_out > 0 {
            text += &format!(", {} out", units::bytes(bytes_out));
        }
        text += &match self.unit {
            Unit::Reads => format!(", {} reads/s", units::count(self.per_second(items))),
            Unit::Objects => format!(", {}/s", units::bytes(self.per_second(bytes_in))),
        };
        if let Some(left) = self.left() {
            text += &format!(", {} left", units::duration(left));
        }
        text
    }

    fn json(&self) -> Value {
        let snapshot = &self.snapshot;
        let (seconds, left) = (self.elapsed.as_secs_f64(), self.left());
        let left = left.map(|left| left.as_secs_f64());
        json!({ "progress": match self.unit {
            Unit::Reads => json!({
                "reads": snapshot.items,
                "bytes_in": snapshot.bytes_in,
                "bytes_out": snapshot.bytes_out,
                "total_bytes_in": snapshot.total_in,
                "total_reads": snapshot.total_items,
                "seconds": seconds,
                "reads_per_second": self.per_second(snapshot.items),
                "seconds_left": left,
            }),
            Unit::Objects => json!({
                "objects": snapshot.items,
                "bytes": snapshot.bytes_in,
                "total_objects": snapshot.total_items,
                "total_bytes": snapshot.total_in,
                "seconds": seconds,
                "bytes_per_second": self.per_second(snapshot.bytes_in),
                "seconds_left": left,
            }),
        }})
    }

    fn draw(&self, verb: &str) {
        let guard = BAR.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bar) = guard.as_ref() else { return };
        let done = self.done();
        let template = if done.is_some() { "{bar:24} {msg}" } else { "{spinner} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if let Some((done, total)) = done {
            bar.set_length(total);
            bar.set_position(done);
        }
        bar.set_message(self.text(verb));
        bar.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(total_in: Option<u64>) -> State {
        let snapshot = Snapshot {
            items: 50_000,
            bytes_in: 250_000_000,
            bytes_out: 7_000_000,
            total_in,
            total_items: None,
        };
        State { unit: Unit::Reads, snapshot, elapsed: Duration::from_secs(10) }
    }

    #[test]
    fn test_state_tells_rate_and_remaining_time() {
        assert_eq!(
            state(Some(1_000_000_000)).text("wrote"),
            "wrote 50,000 reads, 250 MB of 1.00 GB (25 %), 7.00 MB out, 5,000 reads/s, 30.0 s left"
        );
        assert_eq!(
            state(None).text("wrote"),
            "wrote 50,000 reads, 250 MB in, 7.00 MB out, 5,000 reads/s"
        );
        assert_eq!(state(Some(1_000_000_000)).json()["progress"]["seconds_left"], 30.0);
    }

    #[test]
    fn test_state_counts_reads_where_the_input_has_no_size() {
        let snapshot = Snapshot { bytes_in: 0, total_items: Some(200_000), ..state(None).snapshot };
        assert_eq!(
            State { snapshot, ..state(None) }.text("wrote"),
            "wrote 50,000 of 200,000 reads (25 %), 7.00 MB out, 5,000 reads/s, 30.0 s left"
        );
    }

    #[test]
    fn test_state_of_a_transfer_counts_objects_and_bytes() {
        let all = state(Some(1_000_000_000));
        let snapshot = Snapshot { items: 3, bytes_out: 0, total_items: Some(12), ..all.snapshot };
        let transfer = State { unit: Unit::Objects, snapshot, ..all };
        assert_eq!(
            transfer.text("sent"),
            "sent 3 of 12 objects, 250 MB of 1.00 GB (25 %), 25.0 MB/s, 30.0 s left"
        );
        assert_eq!(transfer.json()["progress"]["bytes_per_second"], 25_000_000);
    }
}

//! A parallel map that keeps order and bounds memory.
//!
//! A source yields items, workers turn each into a result, and a sink takes the results in the
//! order of the items:
//!
//! ```text
//! source (a thread) ──► work (n threads) ──► put back in order ──► sink (the caller's thread)
//!        └────────────── at most so much in flight ◄──────────────────┘
//! ```
//!
//! What the sink sees, and which error comes back, depend only on the items: the sink gets exactly
//! the results before the first error in source order, whatever the number of threads. After an
//! error the source is asked for no more, queued items behind the error are dropped, and the call
//! returns when the items at work and the source's current call have ended. A panic in source or
//! work becomes an [`Internal`](crate::error::ErrorKind::Internal) error at the item's place.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::error::{Error, Result};

/// Maps items in parallel with at most `max_in_flight` of them between source and sink.
///
/// With `threads` of 0 or 1 all runs on the calling thread, item by item; with more, `threads`
/// workers run beside a thread for the source, and the sink stays on the calling thread.
///
/// ```
/// use genomic_objects::pipeline::ordered;
///
/// let mut numbers = 1..=5_u64;
/// let mut squares = Vec::new();
/// ordered(
///     2,
///     4,
///     || Ok(numbers.next()),
///     |n| Ok(n * n),
///     |square| {
///         squares.push(square);
///         Ok(())
///     },
/// )?;
/// assert_eq!(squares, [1, 4, 9, 16, 25]);
/// # Ok::<(), genomic_objects::error::Error>(())
/// ```
///
/// # Errors
///
/// The first error in source order, of whichever stage.
pub fn ordered<I: Send, O: Send>(
    threads: usize,
    max_in_flight: usize,
    source: impl FnMut() -> Result<Option<I>> + Send,
    work: impl Fn(I) -> Result<O> + Sync,
    sink: impl FnMut(O) -> Result<()>,
) -> Result<()> {
    ordered_by_weight(threads, max_in_flight, |_| 1, source, work, sink)
}

/// As [`ordered`], with a bound on the sum of the items' weights, such as their bytes.
///
/// The source is asked for another item only while less than `max_weight` is in flight, so the
/// bound is passed by less than one item, and an item heavier than all of it still goes through.
/// An item weighs the same until the sink has taken its result.
///
/// # Errors
///
/// As [`ordered`].
pub fn ordered_by_weight<I: Send, O: Send>(
    threads: usize,
    max_weight: usize,
    weight: impl Fn(&I) -> usize + Send,
    mut source: impl FnMut() -> Result<Option<I>> + Send,
    work: impl Fn(I) -> Result<O> + Sync,
    mut sink: impl FnMut(O) -> Result<()>,
) -> Result<()> {
    if threads <= 1 {
        while let Some(item) = no_panic("source", &mut source)? {
            sink(no_panic("work", || work(item))?)?;
        }
        return Ok(());
    }

    let flight = Flight::new(max_weight);
    let (to_workers, jobs) = unbounded();
    let (to_sink, results) = unbounded();
    std::thread::scope(|scope| {
        // Dropped first, also when the sink panics: without it the scope would wait for ever.
        let _stop = StopOnDrop(&flight);
        let (flight, work) = (&flight, &work);
        let to_sink_of_source = to_sink.clone();
        scope.spawn(move || feed(flight, weight, source, &to_workers, &to_sink_of_source));
        for _ in 0..threads {
            let (jobs, to_sink) = (jobs.clone(), to_sink.clone());
            scope.spawn(move || run_jobs(flight, work, &jobs, &to_sink));
        }
        // The results end when the source and the workers have dropped their ends.
        drop((jobs, to_sink));
        deliver(flight, &results, sink)
    })
}

/// An item on its way to the workers.
struct Job<I> {
    place: u64,
    weight: usize,
    item: I,
}

/// What became of an item.
struct Outcome<O> {
    place: u64,
    weight: usize,
    result: Result<O>,
}

/// What is under way, and the place of the first failure known so far.
struct Flight {
    weight: Mutex<usize>,
    room: Condvar,
    max_weight: usize,
    failed_at: AtomicU64,
}

impl Flight {
    fn new(max_weight: usize) -> Self {
        Self {
            weight: Mutex::new(0),
            room: Condvar::new(),
            max_weight: max_weight.max(1),
            failed_at: AtomicU64::new(u64::MAX),
        }
    }

    fn weight(&self) -> MutexGuard<'_, usize> {
        self.weight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for another item; false where none is wanted any more.
    fn wait_for_room(&self) -> bool {
        let mut weight = self.weight();
        while *weight >= self.max_weight && !self.has_failed_before(u64::MAX) {
            weight = self.room.wait(weight).unwrap_or_else(PoisonError::into_inner);
        }
        !self.has_failed_before(u64::MAX)
    }

    fn take_off(&self, item: usize) {
        let mut weight = self.weight();
        *weight = weight.saturating_add(item);
    }

    fn land(&self, item: usize) {
        let mut weight = self.weight();
        *weight = weight.saturating_sub(item);
        self.room.notify_one();
    }

    fn fail(&self, place: u64) {
        self.failed_at.fetch_min(place, Ordering::SeqCst);
        // Under the lock, so that the source cannot miss it between looking and waiting.
        let _weight = self.weight();
        self.room.notify_one();
    }

    fn has_failed_before(&self, place: u64) -> bool {
        self.failed_at.load(Ordering::SeqCst) < place
    }
}

struct StopOnDrop<'a>(&'a Flight);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fail(0);
    }
}

fn feed<I, O>(
    flight: &Flight,
    weight: impl Fn(&I) -> usize,
    mut source: impl FnMut() -> Result<Option<I>>,
    to_workers: &Sender<Job<I>>,
    to_sink: &Sender<Outcome<O>>,
) {
    for place in 0.. {
        if !flight.wait_for_room() {
            return;
        }
        let item = no_panic("source", || {
            Ok(source()?.map(|item| {
                let weight = weight(&item);
                Job { place, weight, item }
            }))
        });
        match item {
            Ok(Some(job)) => {
                flight.take_off(job.weight);
                if to_workers.send(job).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                // A closed channel means that nobody waits for this any more.
                let _ = to_sink.send(Outcome { place, weight: 0, result: Err(error) });
                return;
            }
        }
    }
}

fn run_jobs<I, O>(
    flight: &Flight,
    work: &impl Fn(I) -> Result<O>,
    jobs: &Receiver<Job<I>>,
    to_sink: &Sender<Outcome<O>>,
) {
    for Job { place, weight, item } in jobs {
        if flight.has_failed_before(place) {
            continue;
        }
        let result = no_panic("work", || work(item));
        if result.is_err() {
            flight.fail(place);
        }
        if to_sink.send(Outcome { place, weight, result }).is_err() {
            return;
        }
    }
}

fn deliver<O>(
    flight: &Flight,
    results: &Receiver<Outcome<O>>,
    mut sink: impl FnMut(O) -> Result<()>,
) -> Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for outcome in results {
        early.insert(outcome.place, outcome);
        while let Some(outcome) = early.remove(&next) {
            sink(outcome.result?)?;
            flight.land(outcome.weight);
            next += 1;
        }
    }
    Ok(())
}

/// Runs `stage`, and turns a panic into an error.
fn no_panic<T>(name: &str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
    // Nothing that a panic could leave half-changed is looked at again: the pipeline ends.
    catch_unwind(AssertUnwindSafe(stage)).unwrap_or_else(|payload| {
        Err(Error::internal(format!("the {name} stage of a pipeline panicked"))
            .found(panic_text(payload.as_ref()))
            .help("report this as a bug, with the command and, if you can, the input"))
    })
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without text")
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::error::ErrorKind;

    /// Work of uneven length, so that results come out of order.
    fn spin(n: u64) {
        let turns = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
        for turn in 0..turns {
            std::hint::black_box(turn);
        }
    }

    fn run(
        threads: usize,
        count: u64,
        source_fails: Option<u64>,
        work_fails: &[u64],
        sink_fails: Option<u64>,
    ) -> (Vec<u64>, Result<()>) {
        let mut next = 0;
        let mut seen = Vec::new();
        let result = ordered(
            threads,
            7,
            || {
                let item = next;
                next += 1;
                if source_fails == Some(item) {
                    return Err(Error::input(format!("source {item}")));
                }
                Ok((item < count).then_some(item))
            },
            |n| {
                spin(n);
                if work_fails.contains(&n) {
                    return Err(Error::input(format!("work {n}")));
                }
                Ok(n * 2)
            },
            |n| {
                if sink_fails == Some(n / 2) {
                    return Err(Error::input(format!("sink {}", n / 2)));
                }
                seen.push(n);
                Ok(())
            },
        );
        (seen, result)
    }

    #[test]
    fn test_ordered_delivers_everything_in_order() {
        for threads in [0, 1, 2, 3, 8] {
            for count in [0, 1, 2, 1_000] {
                let (seen, result) = run(threads, count, None, &[], None);
                result.unwrap();
                assert_eq!(seen, (0..count).map(|n| n * 2).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn test_ordered_reports_the_first_error_in_source_order() {
        for threads in [1, 2, 5] {
            for _ in 0..50 {
                for (source, work, sink, first) in [
                    (Some(40), &[][..], None, "source 40"),
                    (Some(40), &[17, 16, 39], None, "work 16"),
                    (Some(40), &[17, 16, 39], Some(15), "sink 15"),
                    (None, &[5, 3], Some(4), "work 3"),
                    (Some(0), &[], None, "source 0"),
                ] {
                    let (seen, result) = run(threads, 100, source, work, sink);
                    let error = result.unwrap_err();
                    assert_eq!(error.to_string(), first);
                    let place: u64 = first.split(' ').nth(1).unwrap().parse().unwrap();
                    assert_eq!(seen, (0..place).map(|n| n * 2).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn test_ordered_stops_reading_an_endless_source_after_an_error() {
        for stage in ["work", "sink"] {
            let result = ordered(
                3,
                10,
                || Ok(Some(())),
                |()| if stage == "work" { Err(Error::input(stage)) } else { Ok(()) },
                |()| if stage == "sink" { Err(Error::input(stage)) } else { Ok(()) },
            );
            assert_eq!(result.unwrap_err().to_string(), stage);
        }
    }

    #[test]
    fn test_ordered_turns_panics_into_internal_errors() {
        for threads in [1, 3] {
            let work = ordered(
                threads,
                2,
                || Ok(Some(1)),
                |n: u8| if n == 1 { panic!("odd {n}") } else { Ok(n) },
                |_| Ok(()),
            );
            let error = work.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.to_string().contains("odd 1"), "{error}");
            let source: Result<()> =
                ordered(threads, 2, || panic!("dry"), |n: u8| Ok(n), |_| Ok(()));
            assert_eq!(source.unwrap_err().kind(), ErrorKind::Internal);
        }
    }

    #[test]
    fn test_ordered_passes_a_panic_of_the_sink_on_without_hanging() {
        let caught = catch_unwind(|| {
            ordered(2, 2, || Ok(Some(1_u8)), Ok, |_| -> Result<()> { panic!("full") })
        });
        assert_eq!(panic_text(caught.unwrap_err().as_ref()), "full");
    }

    #[test]
    fn test_ordered_keeps_no_more_in_flight_than_asked() {
        let in_flight = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let mut left = 500;
        ordered(
            4,
            5,
            || {
                left -= 1;
                let now = in_flight.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                Ok((left > 0).then_some(left))
            },
            |n: u64| {
                spin(n);
                Ok(())
            },
            |()| {
                in_flight.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            },
        )
        .unwrap();
        assert!(most.load(Ordering::SeqCst) <= 5);
    }

    #[test]
    fn test_ordered_by_weight_lets_an_item_heavier_than_the_bound_through() {
        let mut items = [3, 1_000, 0, 2, usize::MAX, 1].into_iter();
        let mut seen = Vec::new();
        ordered_by_weight(
            2,
            10,
            |&n| n,
            || Ok(items.next()),
            Ok,
            |n| {
                seen.push(n);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, [3, 1_000, 0, 2, usize::MAX, 1]);
    }

    #[test]
    fn test_ordered_works_on_several_items_at_once() {
        // Each pair of items meets at the barrier: one worker alone would wait for ever.
        let barrier = Barrier::new(2);
        let mut items = 0..20;
        ordered(
            2,
            4,
            || Ok(items.next()),
            |_| {
                barrier.wait();
                Ok(())
            },
            |()| Ok(()),
        )
        .unwrap();
    }
}

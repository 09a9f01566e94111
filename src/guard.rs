//! Decoders of other libraries, which may panic where input is damaged.
//!
//! They are safe code, so a panic is all that can happen, and nothing that one could leave half
//! changed is used again. Checksums keep accidents away from them; this is for input whose writer
//! meant harm.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    /// Whether a panic of this thread would be caught by [`guard`].
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode`, and fails with `damaged` where it panics.
pub(crate) fn guard<T>(
    damaged: impl FnOnce() -> Error,
    decode: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let outer = IS_GUARDED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(decode));
    IS_GUARDED.set(outer);
    outcome.unwrap_or_else(|_| Err(damaged()))
}

/// Keeps panics that end up as errors of damaged input from being printed, too. Programs call this
/// once, for the handler of panics belongs to them.
pub fn print_no_caught_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                print(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn damaged() -> Error {
        Error::corrupt("a page does not decode")
    }

    #[test]
    fn test_panics_of_decoders_become_errors() {
        let empty: Vec<u8> = Vec::new();
        let error = guard(damaged, || Ok(empty[1])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(!IS_GUARDED.get());
    }

    /// In a process of its own, since the handler of panics is one for all tests.
    #[test]
    fn test_caught_panics_are_not_printed_and_others_are() {
        const ALONE: &str = "GENOMIC_OBJECTS_TEST_GUARD";
        if std::env::var_os(ALONE).is_some() {
            print_no_caught_panics();
            assert!(guard::<()>(damaged, || panic!("within a guard")).is_err());
            assert!(panic::catch_unwind(|| panic!("outside of it")).is_err());
            return;
        }
        let name = "guard::tests::test_caught_panics_are_not_printed_and_others_are";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{printed}");
        assert!(
            printed.contains("outside of it") && !printed.contains("within a guard"),
            "{printed}"
        );
    }

    #[test]
    fn test_a_guard_within_a_guard_leaves_the_outer_one_in_place() {
        let outer = guard(damaged, || {
            guard(damaged, || Ok(()))?;
            Ok(IS_GUARDED.get())
        });
        assert!(outer.unwrap());
    }
}

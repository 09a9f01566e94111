//! Runs: a stream as its literals, no two neighbours equal, and how often each repeats.

use crate::error::{Error, Result};

/// Repeats that one literal can have; longer runs take several literals.
const MAX_REPEATS: u8 = 255;

/// Literals that [`split`] would make, runs of any length counted once.
pub(super) fn count(data: &[u8]) -> usize {
    let next = data.get(1..).unwrap_or_default();
    // Counted in bytes, as many at once as the processor can, and added up before they overflow.
    let changes: usize = data[..next.len()]
        .chunks(255)
        .zip(next.chunks(255))
        .map(|(a, b)| usize::from(a.iter().zip(b).map(|(a, b)| u8::from(a != b)).sum::<u8>()))
        .sum();
    changes + usize::from(!data.is_empty())
}

/// Splits a stream in literals and, for each, its repeats.
pub(super) fn split(data: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut literals = vec![0; data.len()];
    let mut repeats = vec![0; data.len()];
    let Some(&first) = data.first() else { return (literals, repeats) };
    let mut literal = first;
    let mut run = 0u8;
    let mut at = 0;
    // Every symbol is written where the next literal may have to be: no branch to mispredict.
    for &symbol in data.get(1..).unwrap_or_default() {
        literals[at] = literal;
        repeats[at] = run;
        let ends = symbol != literal || run == MAX_REPEATS;
        at += usize::from(ends);
        run = if ends { 0 } else { run + 1 };
        literal = symbol;
    }
    literals[at] = literal;
    repeats[at] = run;
    literals.truncate(at + 1);
    repeats.truncate(at + 1);
    (literals, repeats)
}

/// The inverse of [`split`]; `out` has the length of the original.
pub(super) fn join(literals: &[u8], repeats: &[u8], out: &mut [u8]) -> Result<()> {
    let len = out.len();
    let mut rest = out;
    for (&literal, &repeats) in literals.iter().zip(repeats) {
        let run = usize::from(repeats) + 1;
        // Most runs are short: one write of fixed length covers them, and what it writes too far
        // is overwritten by the next.
        if let (Some(front), true) = (rest.first_chunk_mut::<8>(), run <= 8) {
            *front = [literal; 8];
        } else if let Some(front) = rest.get_mut(..run) {
            front.fill(literal);
        }
        rest = rest.get_mut(run..).ok_or_else(|| wrong_length(len))?;
    }
    if rest.is_empty() { Ok(()) } else { Err(wrong_length(len)) }
}

fn wrong_length(len: usize) -> Error {
    Error::corrupt("runs do not add up to the length of the stream").expected(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn test_split_join_round_trip(runs in proptest::collection::vec((0u8..4, 1usize..600), 0..40)) {
            let data: Vec<u8> = runs.iter().flat_map(|&(s, n)| vec![s; n]).collect();
            let (literals, repeats) = split(&data);
            prop_assert!(count(&data) <= literals.len());
            let mut out = vec![9; data.len()];
            join(&literals, &repeats, &mut out).unwrap();
            prop_assert_eq!(&out, &data);
            let mut longer = vec![9; data.len() + 1];
            prop_assert!(join(&literals, &repeats, &mut longer).is_err());
            if let Some((_, shorter)) = out.split_first_mut() {
                prop_assert!(join(&literals, &repeats, shorter).is_err());
            }
        }
    }
}

//! Which rows of a table's partitions make which task.

use std::collections::HashSet;
use std::ops::Range;

use super::source::Task;
use crate::error::{Error, Result};

/// Bytes that partitions take in the source until they make a file.
///
/// Every file costs a query on its contig a footer, 16 KiB to 256 KiB by engine. Partitions of
/// gnomAD, some 5 MB each, stay alone.
pub(super) const MIN_FILE_BYTES: u64 = 6 << 20;

/// Rows of a partition that are of one contig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) partition: usize,
    /// Which of its rows.
    pub(super) rows: Range<u64>,
    /// The share of its file.
    pub(super) bytes: u64,
    /// The partition has rows of other contigs, too.
    pub(super) shared: bool,
}

impl Piece {
    fn len(&self) -> u64 {
        self.rows.end - self.rows.start
    }
}

/// A contig's pieces, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContigPieces {
    pub(super) contig: String,
    pub(super) pieces: Vec<Piece>,
}

/// The pieces of partitions whose runs of contigs are known, in order of contig.
///
/// # Errors
///
/// [`Input`](crate::error::ErrorKind::Input) where a contig comes back after another.
pub(super) fn contigs(runs: Vec<Vec<(String, u64)>>, sizes: &[u64]) -> Result<Vec<ContigPieces>> {
    let mut contigs: Vec<ContigPieces> = Vec::new();
    let mut known = HashSet::new();
    for (partition, runs) in runs.into_iter().enumerate() {
        let total: u64 = runs.iter().map(|(_, rows)| rows).sum();
        let size = sizes.get(partition).copied().unwrap_or(0);
        let shared = runs.len() > 1;
        let mut start = 0;
        for (contig, rows) in runs {
            let piece = Piece {
                partition,
                rows: start..start + rows,
                bytes: (u128::from(size) * u128::from(rows) / u128::from(total.max(1))) as u64,
                shared,
            };
            start += rows;
            match contigs.last_mut() {
                Some(last) if last.contig == contig => last.pieces.push(piece),
                _ if !known.insert(contig.clone()) => {
                    return Err(Error::input(format!(
                        "contig {contig:?} comes back after another"
                    ))
                    .help("the table is not in the order of its key")
                    .at(format!("partition {partition}")));
                }
                _ => contigs.push(ContigPieces { contig, pieces: vec![piece] }),
            }
        }
    }
    Ok(contigs)
}

/// Which pieces of a contig make a task together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gather {
    /// So many tasks at most, of about as many rows.
    Into(usize),
    /// Those that follow one another, until they have about so many bytes; 0 is each for itself.
    To(u64),
}

/// Tasks of a contig.
pub(super) fn tasks(of: ContigPieces, gather: Gather) -> Vec<(Task, Vec<Piece>)> {
    let ContigPieces { contig, pieces } = of;
    let groups = match gather {
        Gather::Into(most) => shares(pieces, most),
        Gather::To(bytes) => heaps(pieces, bytes),
    };
    let task = |pieces: &Vec<Piece>| Task {
        contig: contig.clone(),
        number: pieces.first().map_or(0, |piece| piece.partition as u64),
        rows: pieces.iter().map(Piece::len).sum(),
        bytes: bytes_of(pieces),
        parts: pieces.len() as u64,
    };
    groups.into_iter().map(|pieces| (task(&pieces), pieces)).collect()
}

fn bytes_of(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.bytes).sum()
}

/// At most so many groups of about as many rows.
fn shares(pieces: Vec<Piece>, most: usize) -> Vec<Vec<Piece>> {
    let total: u64 = pieces.iter().map(Piece::len).sum();
    let most = most.clamp(1, pieces.len().max(1)) as u64;
    let is_each = most == pieces.len() as u64;
    let mut groups: Vec<Vec<Piece>> = Vec::new();
    let (mut before, mut share) = (0_u64, None);
    for piece in pieces {
        // By where its middle lies, so that no share is left over.
        let middle = before + piece.len() / 2;
        let own = (u128::from(middle) * u128::from(most) / u128::from(total.max(1))) as u64;
        before += piece.len();
        match groups.last_mut() {
            Some(group) if !is_each && share == Some(own) => group.push(piece),
            _ => groups.push(vec![piece]),
        }
        share = Some(own);
    }
    groups
}

/// Groups of about so many bytes. A piece joins those before it while its middle lies within, so
/// that pieces of two thirds of the bytes and more stay alone.
fn heaps(pieces: Vec<Piece>, bytes: u64) -> Vec<Vec<Piece>> {
    let mut groups: Vec<Vec<Piece>> = Vec::new();
    let mut size = 0_u64;
    for piece in pieces {
        let middle = size.saturating_add(piece.bytes / 2);
        match groups.last_mut() {
            Some(group) if bytes > 0 && middle <= bytes => {
                size = size.saturating_add(piece.bytes);
                group.push(piece);
            }
            _ => {
                size = piece.bytes;
                groups.push(vec![piece]);
            }
        }
    }
    // What is left at the end of a contig is not worth a file of its own.
    if groups.len() > 1
        && size < bytes / 3
        && let Some(rest) = groups.pop()
    {
        groups.last_mut().into_iter().for_each(|last| last.extend_from_slice(&rest));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(contig: &str, rows: u64) -> (String, u64) {
        (contig.to_owned(), rows)
    }

    #[test]
    fn test_contigs_divide_partitions_that_span_them() {
        let runs =
            vec![vec![run("1", 10)], vec![], vec![run("1", 4), run("2", 1)], vec![run("2", 3)]];
        let found = contigs(runs, &[100, 5, 50, 30]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].pieces[1], Piece { partition: 2, rows: 0..4, bytes: 40, shared: true });
        assert_eq!(found[1].pieces[0], Piece { partition: 2, rows: 4..5, bytes: 10, shared: true });
        let back = vec![vec![run("1", 1)], vec![run("2", 1)], vec![run("1", 1)]];
        assert!(contigs(back, &[1, 1, 1]).is_err());
    }

    #[test]
    fn test_tasks_share_rows_evenly() {
        let runs = (0..100).map(|_| vec![run("1", 1_000)]).collect();
        let all = contigs(runs, &[10; 100]).unwrap().remove(0);
        assert_eq!(tasks(all.clone(), Gather::Into(1_000)).len(), 100);
        for most in [1, 2, 3, 7, 40, 99] {
            let tasks = tasks(all.clone(), Gather::Into(most));
            assert_eq!(tasks.len(), most);
            assert_eq!(tasks.iter().map(|(task, _)| task.rows).sum::<u64>(), 100_000);
            let numbers: Vec<u64> = tasks.iter().map(|(task, _)| task.number).collect();
            assert!(numbers.is_sorted());
        }
    }

    /// How many partitions of these sizes make each task.
    fn gathered(sizes: &[u64], bytes: u64) -> Vec<u64> {
        let runs = sizes.iter().map(|_| vec![run("1", 10)]).collect();
        let all = contigs(runs, sizes).unwrap().remove(0);
        let tasks = tasks(all, Gather::To(bytes));
        assert_eq!(
            tasks.iter().map(|(task, _)| task.bytes).sum::<u64>(),
            sizes.iter().sum::<u64>()
        );
        assert_eq!(tasks.iter().map(|(task, _)| task.rows).sum::<u64>(), 10 * sizes.len() as u64);
        let (mut parts, mut next) = (Vec::new(), 0);
        for (task, pieces) in tasks {
            assert_eq!(task.number, next, "named by its first partition");
            assert!(pieces.iter().map(|piece| piece.partition as u64).eq(next..next + task.parts));
            next += task.parts;
            parts.push(task.parts);
        }
        parts
    }

    #[test]
    fn test_tasks_gather_small_partitions_and_leave_large_ones_alone() {
        // Each for itself.
        assert_eq!(gathered(&[1; 7], 0), [1; 7]);
        assert_eq!(gathered(&[0; 3], 0), [1; 3]);
        // Partitions of 5.3 MB, as in gnomAD, and of 0.7 MB.
        assert_eq!(gathered(&[5_300_000; 800], 6 << 20), [1; 800]);
        let many = gathered(&[700_000; 2_000], 6 << 20);
        // What is left over makes the last one larger.
        assert!(many.iter().all(|&parts| (9..=11).contains(&parts)), "{many:?}");
        // A small one joins a large neighbour on either side.
        assert_eq!(gathered(&[60, 5, 60, 60, 5], 63), [2, 1, 2]);
        assert_eq!(gathered(&[5, 60, 60], 63), [2, 1]);
        // What is left over at the end does, too, unless it is of some size.
        assert_eq!(gathered(&[20, 20, 20, 20], 60), [3, 1]);
        assert_eq!(gathered(&[20, 20, 20, 19], 60), [4]);
        assert_eq!(gathered(&[u64::MAX / 4; 2], u64::MAX), [2]);
    }
}

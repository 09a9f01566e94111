//! Which rows of a table's partitions make which task.

use std::collections::HashSet;
use std::ops::Range;

use super::source::Task;
use crate::error::{Error, Result};

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

/// Tasks of a contig: one for each piece, or `most` of about as many rows.
pub(super) fn tasks(of: ContigPieces, most: Option<usize>) -> Vec<(Task, Vec<Piece>)> {
    let ContigPieces { contig, pieces } = of;
    let total: u64 = pieces.iter().map(|piece| piece.rows.end - piece.rows.start).sum();
    let most = most.unwrap_or(usize::MAX).clamp(1, pieces.len().max(1)) as u64;
    let is_each = most == pieces.len() as u64;
    let mut tasks: Vec<(Task, Vec<Piece>)> = Vec::new();
    let (mut before, mut share) = (0_u64, None);
    for piece in pieces {
        let rows = piece.rows.end - piece.rows.start;
        // By where its middle lies, so that no share is left over.
        let middle = before + rows / 2;
        let own = (u128::from(middle) * u128::from(most) / u128::from(total.max(1))) as u64;
        before += rows;
        match tasks.last_mut() {
            Some((task, pieces)) if !is_each && share == Some(own) => {
                task.rows += rows;
                task.bytes += piece.bytes;
                pieces.push(piece);
            }
            _ => {
                let number = piece.partition as u64;
                let task = Task { contig: contig.clone(), number, rows, bytes: piece.bytes };
                tasks.push((task, vec![piece]));
            }
        }
        share = Some(own);
    }
    tasks
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
        assert_eq!(tasks(all.clone(), None).len(), 100);
        assert_eq!(tasks(all.clone(), Some(1_000)).len(), 100);
        for most in [1, 2, 3, 7, 40, 99] {
            let tasks = tasks(all.clone(), Some(most));
            assert_eq!(tasks.len(), most);
            assert_eq!(tasks.iter().map(|(task, _)| task.rows).sum::<u64>(), 100_000);
            let numbers: Vec<u64> = tasks.iter().map(|(task, _)| task.number).collect();
            assert!(numbers.is_sorted());
        }
    }
}

//! Hail Tables as a source of rows.

use std::collections::{BTreeMap, HashSet};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, RecordBatch, StringArray, StructArray};
use arrow_schema::SchemaRef;
use serde_json::{Value, json};

use super::columns::{Columns, Flatten};
use super::files::hex;
use super::manifest::Origin;
use super::order;
use super::plan::{self, Gather, Piece};
use super::source::{Sink, Source, Task};
use crate::error::{Context, Error, Result};
use crate::hail::{BatchLimits, PartitionReader, Table, VType};
use crate::pipeline::ordered;

/// Which rows of a table, and how they are cut and laid out.
#[derive(Clone, Debug)]
pub struct HailOptions {
    /// Contigs; all if `None`.
    pub contigs: Option<Vec<String>>,
    /// Intervals: contig, first and last position, 1-based. All rows if empty.
    pub intervals: Vec<(String, i64, i64)>,
    /// Gather the partitions of a contig into so many tasks at most.
    pub coalesce_per_contig: Option<usize>,
    /// Otherwise gather neighbouring partitions until they take about so many bytes in the table;
    /// 0 leaves each alone.
    pub min_file_bytes: u64,
    /// Structs whose fields become columns.
    pub flatten: Flatten,
    /// Threads that look into partitions that span contigs.
    pub threads: usize,
}

impl Default for HailOptions {
    fn default() -> Self {
        Self {
            contigs: None,
            intervals: Vec::new(),
            coalesce_per_contig: None,
            min_file_bytes: plan::MIN_FILE_BYTES,
            flatten: Flatten::default(),
            threads: 1,
        }
    }
}

/// A table, ready to be exported by locus.
pub struct HailSource {
    table: Table,
    locus: String,
    columns: Columns,
    origin: Origin,
    sizes: Vec<u64>,
    tasks: Vec<Task>,
    pieces: Vec<Vec<Piece>>,
    intervals: BTreeMap<String, Vec<(i64, i64)>>,
    orders_alleles: bool,
    choices: Value,
}

impl HailSource {
    /// Finds out which partitions have rows of which contigs. Only those whose bounds do not tell
    /// are read, and of these the locus alone.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) for a table that is not keyed by locus,
    /// [`Usage`](crate::error::ErrorKind::Usage) for a contig that it does not have; where it is
    /// damaged or incomplete.
    pub fn new(table: Table, options: &HailOptions) -> Result<Self> {
        let locus = locus_of(&table)?;
        let schema = table.schema();
        let columns = Columns::new(&schema, &locus, &options.flatten)?;
        let sizes = table.sizes()?;
        let runs = survey(&table, &locus, &sizes, options)?;
        let mut contigs = plan::contigs(runs, &sizes)?;
        let intervals = by_contig(&options.intervals);
        let asked = options.contigs.iter().flatten().chain(intervals.keys());
        for name in asked {
            // With intervals, partitions elsewhere were not looked into.
            let is_known = contigs.iter().any(|of| &of.contig == name)
                || may_have(&table, name) && intervals.contains_key(name);
            if !is_known && table.rows() > 0 {
                let names: Vec<&str> =
                    contigs.iter().take(30).map(|of| of.contig.as_str()).collect();
                return Err(Error::usage(format!("the table has no rows of contig {name:?}"))
                    .help(format!("it has {}", names.join(", "))));
            }
        }
        contigs.retain(|of| {
            let chosen = options.contigs.as_ref().is_none_or(|names| names.contains(&of.contig));
            chosen && (intervals.is_empty() || intervals.contains_key(&of.contig))
        });
        for of in &mut contigs {
            let Some(wanted) = intervals.get(&of.contig) else { continue };
            let overlaps = |piece: &Piece| {
                let Some((from, to)) = table.reach(piece.partition, &of.contig) else {
                    return false;
                };
                let next = wanted.partition_point(|&(_, last)| last < i64::from(from));
                wanted.get(next).is_some_and(|&(first, _)| first <= i64::from(to))
            };
            let pieces = std::mem::take(&mut of.pieces);
            of.pieces = pieces.into_iter().filter(overlaps).collect();
        }
        let gather = match options.coalesce_per_contig {
            Some(most) => Gather::Into(most),
            None => Gather::To(options.min_file_bytes),
        };
        let planned = contigs.into_iter().flat_map(|of| plan::tasks(of, gather));
        let (tasks, pieces) = planned.unzip();
        let orders_alleles = is_keyed_by_alleles(&table);
        let origin = origin(&table, &sizes);
        let choices = json!({
            "contigs": options.contigs,
            "intervals": intervals,
            "coalesce_per_contig": options.coalesce_per_contig,
            "min_file_bytes": options.min_file_bytes,
            "flatten": options.flatten.names(),
        });
        Ok(Self {
            table,
            locus,
            columns,
            origin,
            sizes,
            tasks,
            pieces,
            intervals,
            orders_alleles,
            choices,
        })
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The rows of a piece in a batch of its partition, which begins at row `start` of it.
    fn rows_of(
        &self,
        batch: &RecordBatch,
        start: u64,
        task: &Task,
        piece: &Piece,
    ) -> Result<RecordBatch> {
        let rows = batch.num_rows() as u64;
        let from = piece.rows.start.clamp(start, start + rows) - start;
        let to = piece.rows.end.clamp(start, start + rows) - start;
        let batch = batch.slice(from as usize, (to - from) as usize);
        let locus = batch.column_by_name(&self.locus);
        let locus = locus.ok_or_else(|| Error::internal("rows without their locus"))?.as_struct();
        let place = |row: usize| format!("row {}", start + from + row as u64 + 1);
        if let Some(row) = missing_row(locus) {
            return Err(no_locus(&self.locus).at(place(row)).at(self.table.place(piece.partition)));
        }
        let contigs = locus.column(0).as_string::<i32>();
        if let Some(row) = (0..contigs.len()).find(|&row| contigs.value(row) != task.contig) {
            return Err(Error::corrupt("a row lies outside the range bounds of its partition")
                .expected(&task.contig)
                .found(contigs.value(row))
                .help("the table's metadata and its rows are of two minds: copy it again")
                .at(place(row))
                .at(self.table.place(piece.partition)));
        }
        self.columns.take(&batch)
    }
}

impl Source for HailSource {
    type Ahead = Option<PartitionReader>;

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn schema(&self) -> SchemaRef {
        self.columns.schema.clone()
    }

    fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    fn orders_alleles(&self) -> bool {
        self.orders_alleles
    }

    fn choices(&self) -> Value {
        self.choices.clone()
    }

    fn expected_rows(&self) -> Option<u64> {
        let all = || self.tasks.iter().map(|task| task.rows).sum();
        self.intervals.is_empty().then(all)
    }

    /// The first partition's bytes are on their way.
    fn ahead(&self, task: usize) -> Result<Self::Ahead> {
        let first = self.pieces.get(task).and_then(|pieces| pieces.first());
        first.map(|piece| self.open(piece, BatchLimits::default())).transpose()
    }

    fn read(
        &self,
        ahead: Self::Ahead,
        task: usize,
        rows: usize,
        bytes: u64,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let (Some(of), Some(pieces)) = (self.tasks.get(task), self.pieces.get(task)) else {
            return Err(Error::internal("a task that the source does not have"));
        };
        let limits = BatchLimits { rows, bytes };
        let mut ahead = ahead.map(|reader| reader.with_limits(limits));
        let intervals = self.intervals.get(&of.contig);
        for (at, piece) in pieces.iter().enumerate() {
            let mut reader = match ahead.take() {
                Some(reader) => reader,
                None => self.open(piece, limits)?,
            };
            // The next one is fetched while this one is decoded.
            ahead = pieces.get(at + 1).map(|next| self.open(next, limits)).transpose()?;
            let mut start = piece.rows.start;
            reader.skip_rows(start)?;
            // One with rows of other contigs was read to its end when it was planned.
            while !(piece.shared && start >= piece.rows.end)
                && let Some(batch) = reader.next_batch()?
            {
                let all = batch.num_rows() as u64;
                let batch = self.rows_of(&batch, start, of, piece)?;
                start += all;
                let share = |rows: usize| reader.batch_bytes() * rows as u64 / all.max(1);
                let ranges = match intervals {
                    None => std::iter::once(0..batch.num_rows()).collect(),
                    Some(intervals) => order::inside(&batch, intervals)?,
                };
                for rows in ranges {
                    let part = batch.slice(rows.start, rows.len());
                    if !sink(part, share(rows.len()))? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}

impl HailSource {
    fn open(&self, piece: &Piece, limits: BatchLimits) -> Result<PartitionReader> {
        let size = self.sizes.get(piece.partition).copied();
        self.table.read_sized(piece.partition, size, None, limits)
    }
}

fn missing_row(locus: &StructArray) -> Option<usize> {
    if locus.null_count() == 0 { None } else { (0..locus.len()).find(|&row| locus.is_null(row)) }
}

fn no_locus(name: &str) -> Error {
    Error::input(format!("a row has no {name:?}, and so no contig"))
        .help(format!("leave such rows out with Hail: ht.filter(hl.is_defined(ht.{name}))"))
}

/// The field of the key that is a locus.
fn locus_of(table: &Table) -> Result<String> {
    let of = table.table_type();
    let error = |what: String| {
        Error::unsupported(format!("the table cannot be exported by locus: {what}"))
            .expected("a key that begins with a locus, such as (locus, alleles)")
            .help("key it with Hail: ht.key_by('locus', 'alleles')")
            .at(table.store().name(""))
    };
    let key = |name: &String| {
        let field = of.row.fields().iter().find(|(field, _)| field == name);
        format!("{name}: {}", field.map_or_else(|| "?".to_owned(), |(_, of)| of.to_string()))
    };
    match (of.key.first(), of.key_type()) {
        (None, _) => Err(error("it has no key".to_owned())),
        (Some(name), Some(VType::Locus(_))) => Ok(name.clone()),
        _ => {
            let fields: Vec<String> = of.key.iter().map(key).collect();
            Err(error(format!("its key is ({})", fields.join(", "))))
        }
    }
}

/// Whether the key's order is that of alleles, too.
fn is_keyed_by_alleles(table: &Table) -> bool {
    let of = table.table_type();
    let second = of.key.get(1).filter(|name| *name == "alleles");
    let field = second.and_then(|name| of.row.fields().iter().find(|(field, _)| field == name));
    field.is_some_and(|(_, of)| *of == VType::Array(Box::new(VType::String)))
}

/// Whether a contig may be in some partition.
fn may_have(table: &Table, contig: &str) -> bool {
    !table.overlapping(contig, 1, i32::MAX).is_empty()
}

/// Intervals by contig, in order, those that touch joined.
fn by_contig(intervals: &[(String, i64, i64)]) -> BTreeMap<String, Vec<(i64, i64)>> {
    let mut by: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for (contig, first, last) in intervals {
        by.entry(contig.clone()).or_default().push((*first, *last));
    }
    for list in by.values_mut() {
        list.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for &(first, last) in list.iter() {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        *list = joined;
    }
    by
}

/// How many rows of which contigs each partition has, in order.
fn survey(
    table: &Table,
    locus: &str,
    sizes: &[u64],
    options: &HailOptions,
) -> Result<Vec<Vec<(String, u64)>>> {
    let asked: Option<Vec<&str>> = match (&options.contigs, options.intervals.is_empty()) {
        (None, true) => None,
        (Some(names), true) => Some(names.iter().map(String::as_str).collect()),
        _ => Some(options.intervals.iter().map(|(contig, ..)| contig.as_str()).collect()),
    };
    let chosen: Option<HashSet<usize>> = asked
        .map(|names| names.iter().flat_map(|name| table.overlapping(name, 1, i32::MAX)).collect());
    let is_wanted = |partition| chosen.as_ref().is_none_or(|chosen| chosen.contains(&partition));
    let mut partitions = table.partitions();
    let mut runs = Vec::with_capacity(sizes.len());
    ordered(
        options.threads,
        options.threads.max(1) * 4,
        || Ok(partitions.next()),
        |partition| {
            if partition.rows == 0 {
                // That it is empty is checked all the same: it may be damaged.
                let mut reader = table.read_sized(
                    partition.index,
                    sizes.get(partition.index).copied(),
                    Some(&[locus]),
                    BatchLimits::default(),
                )?;
                reader.next_batch()?;
                return Ok(Vec::new());
            }
            if let Some(contig) = partition.bounds.contig() {
                return Ok(vec![(contig.to_owned(), partition.rows)]);
            }
            if !is_wanted(partition.index) {
                return Ok(Vec::new());
            }
            look_into(table, partition.index, locus, sizes)
        },
        |of| {
            runs.push(of);
            Ok(())
        },
    )?;
    Ok(runs)
}

/// The runs of contigs in a partition, from its loci.
fn look_into(
    table: &Table,
    partition: usize,
    locus: &str,
    sizes: &[u64],
) -> Result<Vec<(String, u64)>> {
    let size = sizes.get(partition).copied();
    let mut reader = table.read_sized(partition, size, Some(&[locus]), BatchLimits::default())?;
    let mut runs: Vec<(String, u64)> = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        let before: u64 = runs.iter().map(|(_, rows)| rows).sum();
        let loci = batch.column(0).as_struct();
        if let Some(row) = missing_row(loci) {
            let place = format!("row {}", before + row as u64 + 1);
            return Err(no_locus(locus).at(place)).at(|| table.place(partition));
        }
        let contigs: &StringArray = loci.column(0).as_string();
        for contig in contigs.iter().flatten() {
            match runs.last_mut() {
                Some((last, rows)) if last == contig => *rows += 1,
                _ => runs.push((contig.to_owned(), 1)),
            }
        }
    }
    Ok(runs)
}

fn origin(table: &Table, sizes: &[u64]) -> Origin {
    use sha2::{Digest as _, Sha256};
    let mut digest = Sha256::new();
    digest.update(table.digest());
    sizes.iter().for_each(|size| digest.update(size.to_le_bytes()));
    let name = table.store().name("");
    let name = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let details = BTreeMap::from([
        ("file_version".to_owned(), json!(table.file_version())),
        ("hail_version".to_owned(), json!(table.hail_version())),
        ("partitions".to_owned(), json!(sizes.len())),
        ("bytes".to_owned(), json!(sizes.iter().sum::<u64>())),
        ("row_type".to_owned(), json!(table.table_type().row.to_string())),
        ("key".to_owned(), json!(table.table_type().key)),
    ]);
    Origin {
        kind: "hail-table".to_owned(),
        name,
        digest: format!("sha256:{}", hex(&digest.finalize())),
        rows: table.rows(),
        details,
    }
}

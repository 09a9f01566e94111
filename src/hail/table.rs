//! A table: opened from its metadata, described, and read a partition at a time.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::bounds::{Bounds, Ranges};
use super::encoded::{EKind, EType};
use super::metadata::{self, Component, TableMetadata};
use super::partition::{BatchLimits, PartitionReader};
use super::types::{TableType, VType};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::store::{Store, validate_key};

const METADATA: &str = "metadata.json.gz";

/// A Hail Table, opened.
///
/// ```
/// use genomic_objects::hail::{BatchLimits, Table};
/// use genomic_objects::store::{Store, StoreOptions};
///
/// fn rows_of_chr1(table: &str) -> genomic_objects::Result<usize> {
///     let table = Table::open(&Store::open(table, &StoreOptions::default())?)?;
///     let mut rows = 0;
///     for partition in table.overlapping("chr1", 1, i32::MAX) {
///         let mut reader = table.read(partition, None, BatchLimits::default())?;
///         while let Some(batch) = reader.next_batch()? {
///             rows += batch.num_rows();
///         }
///     }
///     Ok(rows)
/// }
/// assert!(rows_of_chr1("no/such/table.ht").is_err());
/// ```
#[derive(Debug)]
pub struct Table {
    store: Store,
    metadata: TableMetadata,
    rows: Component,
    ranges: Ranges,
    globals: Option<Component>,
    schema: SchemaRef,
    digest: [u8; 32],
}

/// The name of a reference genome, and its contigs with their lengths where the table brings them.
pub type Reference = (String, Option<Vec<(String, u64)>>);

/// A partition, as the metadata has it.
#[derive(Clone, Copy, Debug)]
pub struct Partition<'a> {
    /// Its place in the table, from 0.
    pub index: usize,
    /// The name of its file.
    pub name: &'a str,
    /// How many rows it has.
    pub rows: u64,
    /// Where its rows can be.
    pub bounds: &'a Bounds,
}

impl Table {
    /// Opens the table at `store`. Nothing but metadata is read.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) where there is none, [`Input`](ErrorKind::Input) where it
    /// is incomplete, [`Unsupported`](ErrorKind::Unsupported) for a matrix table, a newer version,
    /// and types and codecs that are not known.
    pub fn open(store: &Store) -> Result<Self> {
        let (success, table) = (store.start_size("_SUCCESS"), store.start_find(METADATA));
        let Some(table) = table.wait()? else {
            return Err(Error::not_found("there is no Hail Table here")
                .expected(METADATA)
                .help("name the folder that ends in .ht")
                .at(store.name("")));
        };
        let json = metadata::read(&table).at(|| store.name(METADATA))?;
        let of = TableMetadata::parse(&json).at(|| store.name(METADATA))?;
        if success.wait()?.is_none() {
            return Err(Error::input("the table is incomplete: it has no _SUCCESS")
                .help("the program that wrote it did not end, or the copy is not whole")
                .at(store.name("")));
        }
        let rows_key = format!("{}/{METADATA}", of.rows);
        let globals_key = of.globals.as_ref().map(|path| format!("{path}/{METADATA}"));
        let globals = globals_key.as_ref().map(|key| (key, store.start_find(key)));
        let bytes = store.get(&rows_key)?;
        let rows = component(&bytes).at(|| store.name(&rows_key))?;
        let globals = match globals {
            None => None,
            Some((key, found)) => match found.wait()? {
                Some(bytes) => Some(component(&bytes).at(|| store.name(key))?),
                None => None,
            },
        };
        check(&of, &rows).at(|| store.name(&rows_key))?;

        let mut digest = Sha256::new();
        digest.update(Sha256::digest(&table));
        digest.update(Sha256::digest(&bytes));
        let schema = Arc::new(Schema::new(fields_of(&rows.codec.of, &rows.codec.encoded)));
        Ok(Self {
            store: store.clone(),
            ranges: Ranges::new(rows.bounds.clone()),
            metadata: of,
            rows,
            globals,
            schema,
            digest: digest.finalize().into(),
        })
    }

    /// Where it is.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The types of globals and rows, and the key.
    pub fn table_type(&self) -> &TableType {
        &self.metadata.of
    }

    /// The columns of its rows in Arrow, in the order of the row type.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The version of its format, as `1.7.0`.
    pub fn file_version(&self) -> String {
        let (major, minor, patch) = self.metadata.version;
        format!("{major}.{minor}.{patch}")
    }

    /// The release of Hail that wrote it.
    pub fn hail_version(&self) -> &str {
        &self.metadata.hail_version
    }

    /// How its rows are packed, in words.
    pub fn codec(&self) -> String {
        self.rows.codec.name()
    }

    /// SHA-256 over the digests of its metadata, which name every part by a name used once.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Its partitions, in the order of the key.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = Partition<'_>> {
        let parts = self.rows.parts.iter().zip(&self.rows.bounds).zip(&self.metadata.counts);
        parts.enumerate().map(|(index, ((name, bounds), &rows))| Partition {
            index,
            name,
            rows,
            bounds,
        })
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.metadata.counts.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The partitions that can have rows of `contig` from `first` to `last`, 1-based.
    pub fn overlapping(&self, contig: &str, first: i32, last: i32) -> Vec<usize> {
        let overlaps = |&at: &usize| {
            self.reach(at, contig).is_some_and(|(from, to)| first <= to && from <= last)
        };
        (0..self.rows.parts.len()).filter(overlaps).collect()
    }

    /// The positions that rows of `contig` in a partition can have, by its bounds; `None` if it has
    /// no such rows.
    pub fn reach(&self, partition: usize, contig: &str) -> Option<(i32, i32)> {
        self.ranges.reach(partition, contig)
    }

    /// The sizes of the files of all partitions, in bytes.
    ///
    /// # Errors
    ///
    /// [`Input`](ErrorKind::Input) where a part is missing.
    pub fn sizes(&self) -> Result<Vec<u64>> {
        let parts = &self.rows.parts;
        let folder = format!("{}/parts", self.metadata.rows);
        let found: Vec<Option<u64>> = match self.store.list(&folder) {
            Ok(objects) => {
                let of: std::collections::HashMap<&str, u64> =
                    objects.iter().map(|object| (object.key.as_str(), object.size)).collect();
                (0..parts.len()).map(|at| of.get(self.key(at).as_str()).copied()).collect()
            }
            // A web server does not list, and a bucket may not let everyone.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Store) => {
                let sizes: Vec<_> =
                    (0..parts.len()).map(|at| self.store.start_size(&self.key(at))).collect();
                sizes.into_iter().map(|size| size.wait()).collect::<Result<_>>()?
            }
            Err(error) => return Err(error),
        };
        let missing = found.iter().filter(|size| size.is_none()).count();
        match found.iter().position(Option::is_none) {
            None => Ok(found.into_iter().flatten().collect()),
            Some(at) => Err(Error::input(format!(
                "{missing} of the table's {} parts are missing",
                parts.len()
            ))
            .help("copy the table again")
            .at(self.place(at))),
        }
    }

    /// Reads partition `index`: the columns of `columns`, or all, in batches.
    ///
    /// # Errors
    ///
    /// When there is no such partition, or its file is missing; what is wrong inside shows as
    /// batches are read.
    pub fn read(
        &self,
        index: usize,
        columns: Option<&[&str]>,
        limits: BatchLimits,
    ) -> Result<PartitionReader> {
        self.read_sized(index, None, columns, limits)
    }

    /// As [`read`](Self::read), for a file whose size is known: its first bytes are asked for at
    /// once.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_sized(
        &self,
        index: usize,
        size: Option<u64>,
        columns: Option<&[&str]>,
        limits: BatchLimits,
    ) -> Result<PartitionReader> {
        let count = self.metadata.counts.get(index).copied();
        let count = count.ok_or_else(|| Error::usage(format!("there is no partition {index}")))?;
        let size = match size {
            Some(size) => size,
            None => self.size_of(&self.key(index)).at(|| format!("partition {index}"))?,
        };
        PartitionReader::open(
            &self.store,
            &self.key(index),
            size,
            &self.rows.codec,
            count,
            columns,
            limits,
        )
        .at(|| self.place(index))
        .map(|reader| reader.named(self.place(index)))
    }

    /// The globals: one row, or `None` for a table of before there were any.
    ///
    /// # Errors
    ///
    /// Where they are missing or damaged.
    pub fn globals(&self) -> Result<Option<RecordBatch>> {
        let (Some(globals), Some(path)) = (&self.globals, &self.metadata.globals) else {
            return Ok(None);
        };
        let Some(part) = globals.parts.first() else { return Ok(None) };
        let key = format!("{path}/parts/{part}");
        let size = self.size_of(&key)?;
        let limits = BatchLimits::default();
        let reader =
            PartitionReader::open(&self.store, &key, size, &globals.codec, 1, None, limits)?;
        let mut reader = reader.named(self.store.name(&key));
        let batch = reader.next_batch()?;
        // Only the end tells that nothing follows.
        if reader.next_batch()?.is_some() {
            return Err(Error::corrupt("more than one row of globals").at(self.store.name(&key)));
        }
        Ok(batch)
    }

    /// The globals as JSON.
    ///
    /// # Errors
    ///
    /// As [`globals`](Self::globals).
    pub fn globals_json(&self) -> Result<Option<Value>> {
        let (Some(batch), Some(globals)) = (self.globals()?, &self.globals) else {
            return Ok(None);
        };
        if batch.num_columns() == 0 {
            return Ok(Some(Value::Object(serde_json::Map::new())));
        }
        let row = StructArray::from(batch);
        Ok(Some(super::json::to_json(&globals.codec.of, &row, 0)))
    }

    /// The genomes that loci are of, each with its contigs where the table brings them.
    ///
    /// # Errors
    ///
    /// Where a genome that is there cannot be read.
    pub fn references(&self) -> Result<Vec<Reference>> {
        let mut names = Vec::new();
        genomes(&self.metadata.of.row, &mut names);
        genomes(&self.metadata.of.globals, &mut names);
        let read = |name: String| {
            let key = format!("{}/{name}.json.gz", self.metadata.references);
            if validate_key(&key).is_err() {
                return Ok((name, None));
            }
            let Some(bytes) = self.store.find(&key)? else { return Ok((name, None)) };
            let json = metadata::read(&bytes).at(|| self.store.name(&key))?;
            let contigs = json.get("contigs").and_then(Value::as_array).map(|contigs| {
                let of = |contig: &Value| {
                    Some((
                        contig.get("name")?.as_str()?.to_owned(),
                        contig.get("length")?.as_u64()?,
                    ))
                };
                contigs.iter().filter_map(of).collect()
            });
            Ok((name, contigs))
        };
        names.into_iter().map(read).collect()
    }

    /// What partition `index` is called in messages.
    pub fn place(&self, index: usize) -> String {
        format!("{} (partition {index})", self.store.name(&self.key(index)))
    }

    fn key(&self, index: usize) -> String {
        let name = self.rows.parts.get(index).map_or("", String::as_str);
        format!("{}/parts/{name}", self.metadata.rows)
    }

    fn size_of(&self, key: &str) -> Result<u64> {
        self.store.size(key)?.ok_or_else(|| {
            Error::input("a part of the table is missing")
                .help("copy the table again")
                .at(self.store.name(key))
        })
    }
}

fn component(bytes: &[u8]) -> Result<Component> {
    Component::parse(&metadata::read(bytes)?)
}

/// That a table and its rows are of one mind.
fn check(of: &TableMetadata, rows: &Component) -> Result<()> {
    if of.counts.len() != rows.parts.len() {
        return Err(Error::input("the metadata counts other partitions than it names")
            .expected(format!("{} counts", rows.parts.len()))
            .found(format!("{} counts", of.counts.len())));
    }
    for part in &rows.parts {
        validate_key(part).at(|| "_partFiles")?;
    }
    // The codec's type may have its fields in another order.
    let names = |of: &VType| {
        let mut names: Vec<String> = of.fields().iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    };
    if !matches!(rows.codec.of, VType::Struct(_)) || names(&of.of.row) != names(&rows.codec.of) {
        return Err(Error::input("the rows are not of the table's type")
            .expected(&of.of.row)
            .found(&rows.codec.of));
    }
    Ok(())
}

/// The fields of rows in Arrow.
pub(super) fn fields_of(of: &VType, encoded: &EType) -> Fields {
    match (of.data_type(encoded), &encoded.kind) {
        (DataType::Struct(fields), EKind::Struct(_)) => fields,
        _ => Fields::empty(),
    }
}

/// The genomes of the loci in a type.
fn genomes(of: &VType, into: &mut Vec<String>) {
    match of {
        VType::Locus(name) if !into.contains(name) => into.push(name.clone()),
        VType::Interval(item) | VType::Array(item) | VType::Set(item) | VType::NdArray(item, _) => {
            genomes(item, into);
        }
        VType::Dict(key, value) => {
            genomes(key, into);
            genomes(value, into);
        }
        VType::Struct(fields) => fields.iter().for_each(|(_, of)| genomes(of, into)),
        VType::Tuple(items) => items.iter().for_each(|of| genomes(of, into)),
        _ => {}
    }
}

/// A batch of columns, or of rows without any.
pub(super) fn batch_of(
    schema: SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch> {
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| {
        Error::corrupt("the columns of a partition do not go together")
            .caused_by(error)
            .at(Field::new("rows", DataType::Null, true).name())
    })
}

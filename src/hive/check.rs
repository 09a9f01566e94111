//! Whether an export is laid out so that engines skip what they need not read.
//!
//! Only footers are read: where the files are, how large they are, which positions each row group
//! has.

use std::collections::BTreeMap;

use parquet::basic::Encoding;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use serde::Serialize;

use super::manifest::Manifest;
use super::target::Target;
use crate::columnar::check_parquet_metadata;
use crate::error::{Context, Error, Result};
use crate::guard::guard;
use crate::pipeline::ordered;
use crate::store::{RangeRequest, Store};

/// Bytes at the end of a file that are fetched first.
const TAIL: u64 = 64 << 10;
/// The longest footer.
const MAX_FOOTER: u64 = 256 << 20;
/// The width of the query whose cost is told.
const QUERY: i64 = 1_000;

/// What to look at, and what is good enough.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Threads that read footers.
    pub threads: usize,
    /// The most bytes that a query of 1 kb may read on average.
    pub max_query_bytes: u64,
    /// How many times the median a file may be of.
    pub max_skew: u64,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { threads: 1, max_query_bytes: 8 << 20, max_skew: 50 }
    }
}

/// A row group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupCheck {
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The range of positions; `None` where there are no statistics.
    pub positions: Option<(i64, i64)>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileCheck {
    /// Its path below the folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// The size of its footer.
    pub footer: u64,
    /// Its row groups, in order.
    pub groups: Vec<GroupCheck>,
    #[serde(skip)]
    encodings: Vec<String>,
}

/// A contig's files.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ContigCheck {
    /// The name of its folder, without `contig=`.
    pub contig: String,
    /// How many files it has.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// Their row groups.
    pub row_groups: u64,
    /// The median file, in bytes.
    pub median_bytes: u64,
    /// The largest.
    pub largest_bytes: u64,
    /// The first and last position.
    pub positions: Option<(i64, i64)>,
    /// Pairs of neighbouring files that overlap by more than one position.
    pub overlapping_files: u64,
    /// Pairs of neighbouring row groups of a file that do.
    pub overlapping_groups: u64,
    /// Row groups without statistics of positions, which every query reads.
    pub blind_groups: u64,
    /// The mean width of a row group, in positions.
    pub mean_group_width: u64,
    /// Bytes of all footers, which an engine reads first.
    pub footer_bytes: u64,
    /// Bytes of row groups that a query of 1 kb reads on average.
    pub query_bytes: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Check {
    /// Contigs by the name of their folders.
    pub contigs: Vec<ContigCheck>,
    /// How many files there are.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Which encodings columns have, with the compression.
    pub encodings: BTreeMap<String, Vec<String>>,
    /// Whether there is a manifest.
    pub has_manifest: bool,
    /// What would make queries read more than they need, or is wrong.
    pub problems: Vec<String>,
    /// Every file.
    pub details: Vec<FileCheck>,
}

/// Looks at the footers of all files of `target`.
///
/// # Errors
///
/// Where there are no files, or one is no Parquet.
pub fn check(target: &Target, options: CheckOptions) -> Result<Check> {
    let store = target.files();
    let mut objects = store.list("")?;
    objects.retain(|object| object.key.ends_with(".parquet"));
    if objects.is_empty() {
        return Err(Error::not_found("there are no Parquet files").at(target.name()));
    }
    let mut next = objects.iter();
    let mut files = Vec::new();
    ordered(
        options.threads,
        options.threads.max(1) * 4,
        || Ok(next.next()),
        |object| look(store, &object.key, object.size).at(|| store.name(&object.key)),
        |file| {
            files.push(file);
            Ok(())
        },
    )?;
    let mut found = Check { files: files.len() as u64, ..Check::default() };
    let mut contigs: BTreeMap<String, Vec<FileCheck>> = BTreeMap::new();
    for file in files {
        found.rows += file.rows;
        found.bytes += file.bytes;
        for encoding in &file.encodings {
            let (column, encoding) = encoding.split_once(' ').unwrap_or((encoding, ""));
            let of = found.encodings.entry(column.to_owned()).or_default();
            if !of.iter().any(|known| known == encoding) {
                of.push(encoding.to_owned());
            }
        }
        match file.path.split('/').find_map(|part| part.strip_prefix("contig=")) {
            Some(contig) => contigs.entry(contig.to_owned()).or_default().push(file),
            None => found.problems.push(format!("{} is in no folder contig=…", file.path)),
        }
    }
    check_manifest(target, &contigs, &mut found)?;
    for (contig, mut files) in contigs {
        let start = |file: &FileCheck| file.groups.first().and_then(|group| group.positions);
        files.sort_by_key(|file| (start(file), file.path.clone()));
        // What keeps contigs from being read as numbers has no rows.
        if files.iter().any(|file| file.rows > 0) {
            let of = contig_of(contig, &files, options, &mut found.problems);
            found.contigs.push(of);
            found.details.extend(files);
        }
    }
    Ok(found)
}

/// Compares the files with those of the manifest.
fn check_manifest(
    target: &Target,
    contigs: &BTreeMap<String, Vec<FileCheck>>,
    found: &mut Check,
) -> Result<()> {
    let Some(bytes) = target.manifest()? else { return Ok(()) };
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| {
        Error::corrupt("the manifest cannot be read").caused_by(error).at(target.manifest_name())
    })?;
    found.has_manifest = true;
    let mut here: BTreeMap<&str, &FileCheck> =
        contigs.values().flatten().map(|file| (file.path.as_str(), file)).collect();
    for entry in &manifest.files {
        match here.remove(entry.path.as_str()) {
            None => found.problems.push(format!("{} is missing", entry.path)),
            Some(file) if file.bytes != entry.bytes || file.rows != entry.rows => {
                found.problems.push(format!("{} is not as the manifest has it", entry.path));
            }
            Some(_) => {}
        }
    }
    let strangers = here.keys().filter(|path| Some(**path) != manifest.placeholder.as_deref());
    found.problems.extend(strangers.map(|path| format!("{path} is not in the manifest")));
    Ok(())
}

fn contig_of(
    contig: String,
    files: &[FileCheck],
    options: CheckOptions,
    problems: &mut Vec<String>,
) -> ContigCheck {
    let mut of = ContigCheck { contig, ..ContigCheck::default() };
    let mut sizes: Vec<u64> = files.iter().map(|file| file.bytes).collect();
    sizes.sort_unstable();
    of.files = files.len() as u64;
    of.bytes = sizes.iter().sum();
    of.median_bytes = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    of.largest_bytes = sizes.last().copied().unwrap_or(0);
    let (mut last_of_files, mut widths, mut touched) = (None::<i64>, 0_u64, 0_u128);
    let mut always = 0_u64;
    for file in files {
        of.rows += file.rows;
        of.footer_bytes += file.footer;
        let mut last_of_groups = None::<i64>;
        let mut reach = None::<i64>;
        for (at, group) in file.groups.iter().enumerate() {
            of.row_groups += 1;
            let Some((first, last)) = group.positions else {
                of.blind_groups += 1;
                always += group.bytes;
                continue;
            };
            of.overlapping_groups += u64::from(last_of_groups.is_some_and(|before| first < before));
            last_of_groups = Some(last_of_groups.map_or(last, |before| before.max(last)));
            if at == 0 {
                of.overlapping_files +=
                    u64::from(last_of_files.is_some_and(|before| first < before));
            }
            reach = Some(reach.map_or(last, |before| before.max(last)));
            let width = last.abs_diff(first) + 1;
            widths += width;
            // A query begins anywhere from its own width before the first position to the last.
            touched += u128::from(width + QUERY as u64 - 1) * u128::from(group.bytes);
            of.positions = Some(match of.positions {
                None => (first, last),
                Some((a, b)) => (a.min(first), b.max(last)),
            });
        }
        last_of_files = last_of_files.max(reach);
    }
    of.mean_group_width = widths / (of.row_groups - of.blind_groups).max(1);
    let span = of.positions.map_or(1, |(first, last)| last.abs_diff(first) + 1);
    let touched = u64::try_from(touched / u128::from(span)).unwrap_or(u64::MAX);
    of.query_bytes = touched.saturating_add(always);
    judge(&of, options, problems);
    of
}

fn judge(of: &ContigCheck, options: CheckOptions, problems: &mut Vec<String>) {
    let name = &of.contig;
    if of.blind_groups > 0 {
        problems.push(format!(
            "{name}: {} of {} row groups have no statistics of positions: every query reads them",
            of.blind_groups, of.row_groups
        ));
    }
    if of.overlapping_files > 0 {
        problems.push(format!("{name}: {} files overlap the one before", of.overlapping_files));
    }
    if of.overlapping_groups > 0 {
        problems
            .push(format!("{name}: {} row groups overlap the one before", of.overlapping_groups));
    }
    if of.query_bytes > options.max_query_bytes {
        problems.push(format!(
            "{name}: a query of 1 kb reads {} bytes of row groups, more than {}",
            of.query_bytes, options.max_query_bytes
        ));
    }
    let skewed = of.largest_bytes > of.median_bytes.saturating_mul(options.max_skew);
    if skewed && of.largest_bytes > 64 << 20 {
        problems.push(format!(
            "{name}: the largest file has {} bytes, {} times the median",
            of.largest_bytes,
            of.largest_bytes / of.median_bytes.max(1)
        ));
    }
}

/// Reads a file's footer.
fn look(store: &Store, key: &str, size: u64) -> Result<FileCheck> {
    let fetch = |from: u64| -> Result<bytes::Bytes> {
        let ranges = store.get_ranges(&[RangeRequest::new(key, from..size)])?;
        ranges.into_iter().next().ok_or_else(|| Error::internal("a range without bytes"))
    };
    let none = || Error::input("this is no Parquet file").found(format!("{size} bytes"));
    let mut tail = fetch(size.saturating_sub(TAIL))?;
    let end = tail.len().checked_sub(8).ok_or_else(none)?;
    let (length, magic) =
        tail.get(end..).and_then(|end| end.split_at_checked(4)).ok_or_else(none)?;
    if magic != b"PAR1" {
        return Err(none());
    }
    let length = length.first_chunk::<4>().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    if length > MAX_FOOTER || length + 8 > size {
        return Err(none());
    }
    if length + 8 > tail.len() as u64 {
        tail = fetch(size - length - 8)?;
    }
    let end = tail.len().saturating_sub(8);
    let footer = tail.get(end.saturating_sub(length as usize)..end).ok_or_else(none)?;
    check_parquet_metadata(footer)?;
    let damaged = || Error::input("the metadata of a Parquet file");
    guard(damaged, || {
        let metadata = ParquetMetaDataReader::decode_metadata(footer)
            .map_err(|error| damaged().caused_by(error))?;
        describe(key, size, length, &metadata)
    })
}

fn describe(key: &str, size: u64, footer: u64, metadata: &ParquetMetaData) -> Result<FileCheck> {
    let schema = metadata.file_metadata().schema_descr();
    let position = (0..schema.num_columns())
        .find(|&at| schema.column(at).path().string() == "position")
        .ok_or_else(|| Error::input("the file has no column 'position'"))?;
    let groups = metadata.row_groups().iter().map(|group| GroupCheck {
        rows: u64::try_from(group.num_rows()).unwrap_or(0),
        bytes: u64::try_from(group.compressed_size()).unwrap_or(0),
        positions: range_of(group, position),
    });
    let groups: Vec<GroupCheck> = groups.collect();
    let columns = metadata.row_groups().first().map(|group| {
        let of = |column: &parquet::file::metadata::ColumnChunkMetaData| {
            let main: Vec<String> = column
                .encodings()
                .filter(|encoding| !matches!(encoding, Encoding::RLE))
                .map(|encoding| encoding.to_string())
                .collect();
            // The level is not in the file.
            let codec = column.compression().to_string();
            let codec = codec.split('(').next().unwrap_or_default();
            format!("{} {} {codec}", column.column_path().string(), main.join("+"))
        };
        group.columns().iter().map(of).collect()
    });
    Ok(FileCheck {
        path: key.to_owned(),
        bytes: size,
        rows: groups.iter().map(|group| group.rows).sum(),
        footer,
        groups,
        encodings: columns.unwrap_or_default(),
    })
}

fn range_of(group: &RowGroupMetaData, column: usize) -> Option<(i64, i64)> {
    match group.columns().get(column)?.statistics()? {
        Statistics::Int32(of) => Some((i64::from(*of.min_opt()?), i64::from(*of.max_opt()?))),
        Statistics::Int64(of) => Some((*of.min_opt()?, *of.max_opt()?)),
        _ => None,
    }
}

//! What stays of a version when records are added to it, or those of a contig are redone.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

use super::{Lines, WriteOptions};
use crate::columnar::PageCompression;
use crate::dataset::{Change, ChunkEntry, Dataset, InputInfo};
use crate::error::{Context, Error, Result};
use crate::vcs::group::{Exceptions, Group, Section};
use crate::vcs::index::{self, KINDS, LAYOUT, Layout, Part};
use crate::vcs::infer::{Declarations, Declared};
use crate::vcs::manifest::{Details, Statistics};
use crate::vcs::needs::Needs;
use crate::vcs::odd::{Checker, Found, Odd};
use crate::vcs::open::fetch_index;
use crate::vcs::order::{LineSource, place_of};
use crate::vcs::read::Parts;
use crate::vcs::schema::Schema;

/// A version that a change keeps something of.
pub(super) struct Base {
    dataset: Dataset,
    details: Details,
    schema: Schema,
    /// The contigs with variants, in the order of the parts.
    contigs: Vec<String>,
    /// The parts that stay, in order.
    parts: Vec<KeptPart>,
    /// The parts that do not.
    dropped: Vec<Part>,
    /// Their objects.
    dropped_objects: HashSet<String>,
    /// The contigs that are redone.
    redone: HashSet<String>,
}

/// A part that stays, with its pages of the indexes.
pub(super) struct KeptPart {
    pub(super) contig: String,
    pub(super) part: Part,
    pub(super) pages: Vec<Bytes>,
}

/// What a manifest says of the records that stay.
#[derive(Default)]
pub(super) struct Stays {
    pub(super) reference: Option<String>,
    /// Whether the order of the input, which was another, is kept.
    pub(super) reordered: bool,
    pub(super) statistics: Statistics,
    pub(super) exceptions: BTreeMap<String, u64>,
    pub(super) odd: BTreeMap<String, Found>,
}

impl Base {
    /// Fetches schema and indexes of the version that `change` is based on.
    pub(super) fn read(dataset: &Dataset, change: &Change) -> Result<Self> {
        let store = dataset.store();
        let details = Details::read(dataset.manifest()).at(|| store.name(""))?;
        let redone: HashSet<String> = match change {
            Change::Replace(names) => names.iter().cloned().collect(),
            _ => HashSet::new(),
        };
        if let Some(name) = redone.iter().find(|name| !details.chromosomes.contains(name)) {
            return Err(Error::usage(format!("the dataset has no variants on {name:?}"))
                .help("'info' tells its contigs; --append adds those of another"));
        }
        if !redone.is_empty() && details.keeps_input_order {
            return Err(Error::unsupported(
                "the dataset keeps the order of its input, in which a contig redone has no place",
            )
            .help("convert the whole, in order, with --overwrite"));
        }
        let (schema, _) = fetch_index(store, dataset.manifest(), &[])?;
        let mut base = Self {
            dataset: dataset.clone(),
            schema,
            contigs: Vec::new(),
            parts: Vec::new(),
            dropped: Vec::new(),
            dropped_objects: HashSet::new(),
            redone,
            details,
        };
        base.read_parts().at(|| store.name(""))?;
        Ok(base)
    }

    fn read_parts(&mut self) -> Result<()> {
        let mut objects = Vec::new();
        for kind in KINDS {
            let object = self.dataset.manifest().objects_of(kind).next();
            let object =
                object.ok_or_else(|| Error::corrupt(format!("the manifest lists no {kind}")))?;
            objects.push(self.dataset.read(object)?);
        }
        for part in self.details.index.read()? {
            let contig = self.details.chromosomes.get(part.contig as usize);
            let contig = contig
                .ok_or_else(|| Error::corrupt("a part of a contig that is not there"))?
                .clone();
            let mut pages = Vec::new();
            for (page, object) in part.pages.iter().zip(&objects) {
                let start = usize::try_from(page.offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(page.size as usize);
                if end > object.len() {
                    return Err(Error::corrupt("a page of the index is not there"));
                }
                let bytes = object.slice(start..end);
                index::check(page, &bytes)?;
                pages.push(bytes);
            }
            if self.contigs.last() != Some(&contig) {
                self.contigs.push(contig.clone());
            }
            if self.redone.contains(&contig) {
                let layout = pages.get(LAYOUT).map(|page| &page[..]).unwrap_or_default();
                let Layout { files, exact, .. } =
                    index::decode_layout(&part.pages[LAYOUT], layout)?;
                self.dropped_objects.extend(files.into_iter().map(|file| file.path));
                self.dropped_objects.insert(exact);
                self.dropped.push(part);
            } else {
                self.parts.push(KeptPart { contig, part, pages });
            }
        }
        Ok(())
    }

    /// The parts that stay.
    pub(super) fn parts(&self) -> &[KeptPart] {
        &self.parts
    }

    /// The contigs with variants, in order.
    pub(super) fn contigs(&self) -> Vec<&str> {
        self.contigs.iter().map(String::as_str).collect()
    }

    /// The options of a conversion that must be those of the dataset.
    pub(super) fn adopted(&self, options: &WriteOptions) -> Result<WriteOptions> {
        Ok(WriteOptions {
            row_group_rows: usize::try_from(self.details.row_group_rows).unwrap_or(usize::MAX),
            compression: PageCompression::of_name(&self.details.compression)?,
            ..options.clone()
        })
    }

    /// Makes sure that an input fits, and unites its header with that of the dataset; of contigs
    /// that are redone, where there are any, only their records are left.
    pub(super) fn admit(&self, input: Lines) -> Result<Lines> {
        let Lines { declarations, contigs, header_lines, source, .. } = input;
        let own = Lines::of_header(self.schema.header.clone());
        if declarations.samples != own.declarations.samples {
            let differing = declarations.samples.iter().zip(&own.declarations.samples);
            let differing = differing.into_iter().find(|(new, old)| new != old);
            let (found, expected) = match differing {
                Some((new, old)) => (format!("{new:?}"), format!("{old:?} in its place")),
                None => (
                    format!("{} samples", declarations.samples.len()),
                    format!("{} samples", own.declarations.samples.len()),
                ),
            };
            return Err(Error::input("the input has other samples than the dataset")
                .expected(expected)
                .found(found)
                .help("choose samples and their order with --samples"));
        }
        check_declared("INFO", &declarations.info, &own.declarations.info)?;
        check_declared("FORMAT", &declarations.format, &own.declarations.format)?;
        let mut all = own.contigs;
        let known: HashMap<String, u64> = all.iter().cloned().collect();
        for (name, length) in contigs {
            match known.get(&name) {
                None => all.push((name, length)),
                Some(&old) if old != length && old > 0 && length > 0 => {
                    return Err(Error::input(format!("contig {name:?} has another length"))
                        .expected(format!("{old} bases as in the dataset"))
                        .found(format!("{length} bases"))
                        .help("both must be called against one reference"));
                }
                Some(_) => {}
            }
        }
        let header = united(&self.schema.header, &declarations.header);
        let source: Box<dyn LineSource> = match self.redone.is_empty() {
            true => source,
            false => Box::new(OfContigs {
                source,
                wanted: self.redone.iter().map(|name| name.clone().into_bytes()).collect(),
                missing: self.redone.iter().map(|name| name.clone().into_bytes()).collect(),
                line: Vec::new(),
            }),
        };
        let declarations = Declarations { header, ..own.declarations };
        Ok(Lines { declarations, contigs: all, reference: None, header_lines, source })
    }

    /// Makes sure that nothing is lost of an input whose records were sorted.
    pub(super) fn check_order(&self, reordered: bool) -> Result<()> {
        if !reordered || self.schema.ordinal {
            return Ok(());
        }
        Err(Error::input(
            "the records of the input are out of order, which the dataset cannot keep",
        )
        .help("sort it first: bcftools sort"))
    }

    /// The number of the first new record, where the dataset has numbers.
    pub(super) fn first_ordinal(&self) -> Option<i64> {
        self.schema.ordinal.then_some(self.details.variant_count as i64)
    }

    /// The columns of the dataset, with a united header.
    pub(super) fn schema_for(&self, declarations: &Declarations) -> Schema {
        let mut schema = self.schema.clone();
        schema.header.clone_from(&declarations.header);
        schema
    }

    /// Whether the base's lists of chunks stay; else those of its chunks that do. Also all inputs.
    pub(super) fn with(&self, input: &InputInfo) -> (bool, Vec<ChunkEntry>, Vec<InputInfo>) {
        let mut inputs = self.dataset.manifest().inputs.clone();
        inputs.push(input.clone());
        if self.dropped.is_empty() {
            return (true, Vec::new(), inputs);
        }
        let stays = |entry: &&ChunkEntry| !self.dropped_objects.contains(&entry.path);
        // They were read when what stays was counted.
        let chunks = self.dataset.chunks().map(|all| all.iter().filter(stays).cloned().collect());
        (false, chunks.unwrap_or_default(), inputs)
    }

    /// What the manifest says, without what it says of the records that do not stay. Those are read
    /// and encoded again to count it.
    pub(super) fn what_stays(&self, checker: &Checker, threads: usize) -> Result<Stays> {
        let Details { reference, statistics, exceptions, odd, keeps_input_order, .. } =
            self.details.clone();
        let mut stays =
            Stays { reference, reordered: keeps_input_order, statistics, exceptions, odd };
        if self.dropped.is_empty() {
            return Ok(stays);
        }
        let mut gone = Statistics::default();
        for entry in self.dataset.chunks()?.iter() {
            if self.dropped_objects.contains(&entry.path) {
                let bytes = match entry.path.split('/').next() {
                    Some("data") => &mut gone.site_bytes,
                    Some("_calls") => &mut gone.call_bytes,
                    _ => &mut gone.exact_bytes,
                };
                *bytes += entry.size_bytes;
            }
        }
        let store = self.dataset.store();
        let (schema, parts) = fetch_index(store, self.dataset.manifest(), &self.dropped)?;
        let (mut exceptions, mut odd) = (Exceptions::default(), Odd::default());
        Parts::of(store, schema.clone(), parts).scan(
            &Needs::all(&schema),
            &|_| true,
            threads,
            None,
            |loaded| {
                let (mut section, mut line) = (Section::default(), Vec::new());
                for row in 0..loaded.total_rows {
                    line.clear();
                    loaded.push_line(row, &mut line)?;
                    let (first, last) = place_of(&line)?;
                    section.push(&line, first, last, None);
                }
                let chrom = section.bytes.split(|&byte| byte == b'\t').next().unwrap_or_default();
                section.chrom = chrom.to_vec();
                let exceptions = Group::encode(&schema, &section)?.exceptions;
                Ok((section.bytes.len() as u64, exceptions, checker.check(&section)))
            },
            |(text_bytes, of_group, odd_of_group)| {
                gone.text_bytes += text_bytes;
                exceptions.add(&of_group);
                odd.merge(odd_of_group, 0);
                Ok(())
            },
        )?;
        gone.rows_with_exceptions = exceptions.rows;
        gone.lines_kept_whole = exceptions.lines;
        stays.statistics.take_off(&gone);
        for (field, count) in exceptions.named(&schema) {
            if let Some(all) = stays.exceptions.get_mut(&field) {
                *all = all.saturating_sub(count);
            }
        }
        stays.exceptions.retain(|_, count| *count > 0);
        for (kind, found) in odd.named() {
            if let Some(all) = stays.odd.get_mut(&kind) {
                all.count = all.count.saturating_sub(found.count);
            }
        }
        stays.odd.retain(|_, found| found.count > 0);
        Ok(stays)
    }
}

/// Makes sure that fields are declared as in the dataset, whose columns were made for them.
fn check_declared(kind: &str, found: &[Declared], own: &[Declared]) -> Result<()> {
    for field in found {
        let known = own.iter().find(|known| known.id == field.id).ok_or_else(|| {
            Error::input(format!("the dataset has no column for {kind}/{}", field.id)).help(
                format!(
                    "leave the field out with --{}, or convert all files together",
                    kind.to_lowercase()
                ),
            )
        })?;
        if (&known.number, &known.kind) != (&field.number, &field.kind) {
            let text = |field: &Declared| format!("Number={},Type={}", field.number, field.kind);
            return Err(Error::input(format!("{kind}/{} is declared otherwise", field.id))
                .expected(text(known))
                .found(text(field))
                .help("correct the header with `bcftools reheader`"));
        }
    }
    Ok(())
}

/// The header of the dataset, with the lines of another that it lacks in front of the names of
/// columns. What is declared stays as it is.
fn united(own: &[u8], other: &[u8]) -> Vec<u8> {
    let lines = |text| <[u8]>::split_inclusive(text, |&byte: &u8| byte == b'\n');
    // `##INFO=<ID=DP` for a structured line, or all of it.
    let key = |line: &[u8]| -> Vec<u8> {
        let line = line.trim_ascii_end();
        let is_structured = memchr::memmem::find(line, b"=<ID=").is_some();
        let end = line.iter().position(|&byte| byte == b',' || byte == b'>');
        if is_structured { line[..end.unwrap_or(line.len())].to_vec() } else { line.to_vec() }
    };
    let known: HashSet<Vec<u8>> = lines(own).map(key).collect();
    let is_new = |line: &&[u8]| {
        line.starts_with(b"##")
            && !line.starts_with(b"##fileformat=")
            && !known.contains(&key(line))
    };
    let mut header = Vec::with_capacity(own.len());
    for line in lines(own) {
        if line.starts_with(b"#CHROM") {
            lines(other).filter(is_new).for_each(|line| header.extend_from_slice(line));
        }
        header.extend_from_slice(line);
    }
    header
}

/// The lines of some contigs, each of which must have one.
struct OfContigs {
    source: Box<dyn LineSource>,
    wanted: HashSet<Vec<u8>>,
    missing: HashSet<Vec<u8>>,
    line: Vec<u8>,
}

impl LineSource for OfContigs {
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        while let Some(line) = self.source.next_line()? {
            let chrom = line.split(|&byte| byte == b'\t').next().unwrap_or_default();
            if self.wanted.contains(chrom) {
                self.missing.remove(chrom);
                self.line.clear();
                self.line.extend_from_slice(line);
                return Ok(Some(&self.line));
            }
        }
        match self.missing.iter().min() {
            None => Ok(None),
            Some(name) => Err(Error::input(format!(
                "the input has no records on {}",
                String::from_utf8_lossy(name)
            ))
            .help("check the name of the contig")),
        }
    }

    fn ending(&self) -> &[u8] {
        self.source.ending()
    }

    fn place(&self, line: &[u8]) -> Result<(i64, i64)> {
        self.source.place(line)
    }
}

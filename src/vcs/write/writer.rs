//! Row groups become parts, and parts a dataset.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::base::{Base, KeptPart, Stays};
use super::{Encoded, Kinds, Summary, WriteOptions};
use crate::columnar::ParquetFile;
use crate::dataset::{Checksum, ChunkEntry, Counts, Draft, ObjectRef, Transaction, folders};
use crate::error::{Error, Result};
use crate::pipeline::Progress;
use crate::store::{Store, Uploader};
use crate::vcs::file;
use crate::vcs::group::Exceptions;
use crate::vcs::index::{
    self, Directory, FileLayout, KINDS, Layout, PageRef, Part, Quality, Spatial,
};
use crate::vcs::manifest::{self, ContigFields, Details, Statistics};
use crate::vcs::odd::{Found, Odd};
use crate::vcs::schema::Schema;

/// Bytes of a part, all its files together, from which on it ends.
const PART_BYTES: usize = 64 << 20;
/// Bytes of parts that may be on their way to the store.
const UPLOADS_IN_FLIGHT: usize = 96 << 20;

/// A part being gathered.
struct OpenPart {
    chrom: Vec<u8>,
    contig: u32,
    sites: ParquetFile,
    blocks: Vec<ParquetFile>,
    exact: Vec<u8>,
    layout: Layout,
    spatial: Vec<Spatial>,
    quality: Vec<Quality>,
}

impl OpenPart {
    fn len(&self) -> usize {
        self.sites.len()
            + self.blocks.iter().map(ParquetFile::len).sum::<usize>()
            + self.exact.len()
    }
}

/// The state of a conversion on the side where row groups come out in order.
pub(super) struct Writer<'a> {
    store: &'a Store,
    transaction: &'a Transaction,
    schema: &'a Schema,
    kinds: &'a Kinds,
    options: &'a WriteOptions,
    pub(super) uploader: Uploader,
    contigs: Vec<(String, u64)>,
    folders: Vec<String>,
    ordinals: HashMap<Vec<u8>, u32>,
    /// Parts of each contig so far, and its variants.
    counts: Vec<(u32, u64)>,
    open: Option<OpenPart>,
    parts: Vec<Part>,
    /// The index objects.
    pages: [Vec<u8>; 3],
    /// Layouts by part, for reading back.
    layouts: Vec<(Vec<Spatial>, Layout)>,
    chunks: Vec<ChunkEntry>,
    exceptions: Exceptions,
    pub(super) odd: Odd,
    /// Lines of the input before the first record.
    pub(super) header_lines: u64,
    statistics: Statistics,
    pub(super) summary: Summary,
    /// The last position of each contig of the base.
    last: HashMap<u32, i64>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        store: &'a Store,
        transaction: &'a Transaction,
        schema: &'a Schema,
        kinds: &'a Kinds,
        contigs: &[(String, u64)],
        options: &'a WriteOptions,
        progress: &Arc<Progress>,
    ) -> Self {
        let mut seen = HashSet::new();
        let contigs: Vec<(String, u64)> =
            contigs.iter().filter(|(name, _)| seen.insert(name.as_str())).cloned().collect();
        let names: Vec<&str> = contigs.iter().map(|(name, _)| name.as_str()).collect();
        let ordinals = (0..).zip(&names).map(|(ordinal, name)| (name.as_bytes().to_vec(), ordinal));
        Self {
            store,
            transaction,
            schema,
            kinds,
            options,
            uploader: Uploader::new(store.clone(), UPLOADS_IN_FLIGHT).count_into(progress.clone()),
            folders: folders(&names, &[]),
            ordinals: ordinals.collect(),
            counts: vec![(0, 0); contigs.len()],
            contigs,
            open: None,
            parts: Vec::new(),
            pages: Default::default(),
            layouts: Vec::new(),
            chunks: Vec::new(),
            exceptions: Exceptions::default(),
            odd: Odd::default(),
            header_lines: 0,
            statistics: Statistics::default(),
            last: HashMap::new(),
            summary: Summary { samples: schema.samples.len() as u64, ..Summary::default() },
        }
    }

    /// Takes over the parts of the base that stay.
    pub(super) fn keep(&mut self, base: &Base) -> Result<()> {
        for kept in base.parts() {
            let contig = match self.ordinals.get(kept.contig.as_bytes()) {
                Some(&contig) => contig,
                None => self.add_contig(kept.contig.as_bytes())?,
            };
            let (parts, variants) = &mut self.counts[contig as usize];
            *parts += 1;
            *variants += kept.part.rows;
            let last = self.last.entry(contig).or_insert(kept.part.last);
            *last = (*last).max(kept.part.last);
            let part = self.kept_part(kept, contig);
            self.parts.push(part);
        }
        Ok(())
    }

    /// A part of the base, with the places of its pages in the new objects.
    fn kept_part(&mut self, kept: &KeptPart, contig: u32) -> Part {
        let mut part = Part { contig, ..kept.part.clone() };
        for ((page, object), bytes) in part.pages.iter_mut().zip(&mut self.pages).zip(&kept.pages) {
            page.offset = object.len() as u64;
            object.extend_from_slice(bytes);
        }
        part
    }

    /// Makes sure that a row group comes after what the base has of its contig.
    fn check_place(&self, group: &Encoded) -> Result<()> {
        let last = self.ordinals.get(&group.chrom).and_then(|contig| self.last.get(contig));
        let Some(&last) = last.filter(|&&last| group.spatial.first < last) else { return Ok(()) };
        let contig = String::from_utf8_lossy(&group.chrom).into_owned();
        Err(Error::input("records would be added in front of others that are there already")
            .expected(format!("{contig}:{last} or later"))
            .found(format!("{contig}:{}", group.spatial.first))
            .help(format!("add '--replace {contig}' to redo the contig, or merge the files first")))
    }

    /// Adds the next row group.
    pub(super) fn take(&mut self, group: Encoded) -> Result<()> {
        self.check_place(&group)?;
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.chrom != group.chrom || open.len() >= PART_BYTES)
        {
            self.close_part()?;
        }
        let rows = u64::from(group.spatial.rows);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open_part(&group.chrom)?,
        };
        self.counts[open.contig as usize].1 += rows;
        open.sites.push(group.sites)?;
        for (file, columns) in open.blocks.iter_mut().zip(group.blocks) {
            file.push(columns)?;
        }
        let mut sections = Vec::new();
        for residual in group.residuals {
            sections.push(page_of(&residual, open.exact.len() as u64)?);
            open.exact.extend_from_slice(&residual);
        }
        open.layout.sections.push(sections);
        open.layout.digests.push(group.digest);
        open.spatial.push(group.spatial);
        open.quality.push(group.quality);
        self.open = Some(open);
        self.exceptions.add(&group.exceptions);
        // Where sorting moved lines, each has its number already.
        let before = if self.schema.ordinal { 0 } else { self.summary.variants };
        self.odd.merge(group.odd, self.header_lines + 1 + before);
        self.summary.variants += rows;
        self.summary.row_groups += 1;
        self.statistics.text_bytes += group.text_bytes;
        Ok(())
    }

    fn open_part(&mut self, chrom: &[u8]) -> Result<OpenPart> {
        let contig = match self.ordinals.get(chrom) {
            Some(&contig) => contig,
            None => self.add_contig(chrom)?,
        };
        Ok(OpenPart {
            chrom: chrom.to_vec(),
            contig,
            sites: ParquetFile::new(&self.kinds.sites)?,
            blocks: self.kinds.blocks.iter().map(ParquetFile::new).collect::<Result<_>>()?,
            exact: Vec::new(),
            layout: Layout::default(),
            spatial: Vec::new(),
            quality: Vec::new(),
        })
    }

    /// A contig that the header does not have.
    fn add_contig(&mut self, chrom: &[u8]) -> Result<u32> {
        let name = std::str::from_utf8(chrom).map_err(|_| {
            Error::unsupported("the name of a contig is no UTF-8")
                .found(format!("{:?}", String::from_utf8_lossy(chrom)))
        })?;
        let contig = u32::try_from(self.contigs.len())
            .map_err(|_| Error::unsupported("more contigs than 4,294,967,295"))?;
        self.contigs.push((name.to_owned(), 0));
        let names: Vec<&str> = self.contigs.iter().map(|(name, _)| name.as_str()).collect();
        self.folders.extend(folders(&names, &[]).pop());
        self.ordinals.insert(chrom.to_vec(), contig);
        self.counts.push((0, 0));
        Ok(contig)
    }

    /// Uploads the gathered row groups as a part.
    fn close_part(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let OpenPart { contig, sites, blocks, exact, mut layout, spatial, quality, .. } = open;
        let count = &mut self.counts[contig as usize].0;
        let stem = format!("part-{count:05}");
        *count += 1;
        let folder = format!("contig={}", self.folders[contig as usize]);
        let rows: u64 = spatial.iter().map(|group| u64::from(group.rows)).sum();
        let mut bytes = exact.len() as u64;

        let mut digest = Sha256::new();
        layout.digests.iter().for_each(|group| digest.update(group));
        let digest = Checksum::from_bytes(digest.finalize().into());
        for (number, file) in std::iter::once(sites).chain(blocks).enumerate() {
            let file = file::finish(file)?;
            let folder = match number {
                0 => format!("data/{folder}"),
                block => format!("_calls/block={:04}/{folder}", block - 1),
            };
            let path = self.transaction.path(&folder, &stem, "parquet")?;
            let footer = file.bytes.get(file.footer).unwrap_or_default().to_vec();
            layout.files.push(FileLayout { path: path.clone(), footer, checksums: file.checksums });
            let counts = match number {
                0 => Counts::from([(manifest::VARIANTS.to_owned(), rows)]),
                _ => Counts::new(),
            };
            bytes += file.bytes.len() as u64;
            match number {
                0 => self.statistics.site_bytes += file.bytes.len() as u64,
                _ => self.statistics.call_bytes += file.bytes.len() as u64,
            }
            let digest = (number == 0).then_some(digest);
            self.put_chunk(path, file.bytes, counts, digest)?;
        }
        let path = self.transaction.path(&format!("_exact/{folder}"), &stem, "bin")?;
        layout.exact = path.clone();
        self.statistics.exact_bytes += exact.len() as u64;
        self.put_chunk(path, exact, Counts::new(), None)?;

        let mut part = Part {
            contig,
            rows,
            groups: spatial.len() as u32,
            first: spatial.first().map_or(0, |group| group.first),
            last: spatial.last().map_or(0, |group| group.last),
            reach: spatial.iter().map(|group| group.reach).max().unwrap_or(0),
            bytes,
            pages: Default::default(),
        };
        let coded = [
            index::encode_spatial(&spatial),
            index::encode_quality(&quality),
            index::encode_layout(&layout),
        ];
        for ((page, object), bytes) in part.pages.iter_mut().zip(&mut self.pages).zip(coded) {
            *page = page_of(&bytes, object.len() as u64)?;
            object.extend_from_slice(&bytes);
        }
        self.parts.push(part);
        self.summary.parts += 1;
        self.summary.part_bytes += bytes;
        if self.options.verify {
            self.layouts.push((spatial, layout));
        }
        Ok(())
    }

    fn put_chunk(
        &mut self,
        path: String,
        bytes: Vec<u8>,
        counts: Counts,
        digest: Option<Checksum>,
    ) -> Result<()> {
        let mut entry = ChunkEntry::new(&path, &bytes, counts);
        entry.digest = digest;
        self.chunks.push(entry);
        self.put(&path, bytes)
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.summary.objects += 1;
        self.summary.total_bytes += bytes.len() as u64;
        if self.options.dry_run {
            return Ok(());
        }
        self.uploader.put(path, Bytes::from(bytes))
    }

    fn put_object(&mut self, kind: &str, path: String, bytes: Vec<u8>) -> Result<ObjectRef> {
        let (size_bytes, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
        self.put(&path, bytes)?;
        Ok(ObjectRef { kind: kind.to_owned(), path, size_bytes, checksum })
    }

    /// Uploads schema and index, verifies, and drafts the manifest.
    pub(super) fn finish(
        mut self,
        before: Stays,
        ending: String,
        base: Option<&Base>,
    ) -> Result<(Draft, Summary, Vec<u8>)> {
        self.close_part()?;
        self.order_parts(base);
        let json = self.schema.to_json()?;
        let mut objects = Vec::new();
        let path = self.transaction.path("", "_schema", "zst")?;
        objects.push(self.put_object(manifest::SCHEMA_KIND, path, Schema::pack(&json)?)?);
        for (at, kind) in KINDS.into_iter().enumerate() {
            let pages = std::mem::take(&mut self.pages[at]);
            let path = self.transaction.path("_index", kind, "idx")?;
            objects.push(self.put_object(kind, path, pages)?);
        }
        let path = self.transaction.path("_index", manifest::SAMPLE_KIND, "zst")?;
        let samples = Schema::pack(&sample_index(self.schema))?;
        objects.push(self.put_object(manifest::SAMPLE_KIND, path, samples)?);
        let uploader = std::mem::replace(&mut self.uploader, Uploader::new(self.store.clone(), 0));
        uploader.finish()?;
        if self.options.verify && !self.options.dry_run {
            crate::vcs::verify::read_back(
                self.store,
                self.schema,
                &self.layouts,
                &self.chunks,
                self.options.threads,
            )?;
            self.summary.verified = true;
        }
        self.summary.reordered = before.reordered;
        self.summary.text_bytes = self.statistics.text_bytes;
        self.summary.rows_with_exceptions = self.exceptions.rows;
        self.summary.lines_kept_whole = self.exceptions.lines;
        self.summary.exceptions = self.exceptions.named(self.schema);
        self.summary.odd = self.odd.named();
        // The manifest, its copy, and the copy of the schema.
        self.summary.objects += 3;
        let (keep_chunks, kept, inputs) = match base {
            Some(base) => base.with(&self.options.input),
            None => (false, Vec::new(), vec![self.options.input.clone()]),
        };
        let details = self.details(before, ending);
        let draft = Draft {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION.to_owned(),
            operation: self.options.change.operation(),
            keep_chunks,
            created: self.options.created.clone(),
            inputs,
            fields: details.to_fields()?,
            objects,
            chunks: kept.into_iter().chain(std::mem::take(&mut self.chunks)).collect(),
            required_features: Vec::new(),
        };
        Ok((draft, self.summary, json))
    }

    /// Puts the parts of each contig together: those of the base, then new ones.
    fn order_parts(&mut self, base: Option<&Base>) {
        let sequence = base.map(Base::contigs).unwrap_or_default();
        let first = sequence.iter().filter_map(|name| self.ordinals.get(name.as_bytes()).copied());
        let mut ranks: HashMap<u32, usize> = HashMap::new();
        for contig in first.chain(self.parts.iter().map(|part| part.contig)) {
            let next = ranks.len();
            ranks.entry(contig).or_insert(next);
        }
        self.parts.sort_by_key(|part| ranks.get(&part.contig).copied());
    }

    fn details(&self, before: Stays, ending: String) -> Details {
        let Stays { reference, reordered, mut statistics, mut exceptions, mut odd } = before;
        statistics.add(&self.statistics);
        statistics.rows_with_exceptions += self.exceptions.rows;
        statistics.lines_kept_whole += self.exceptions.lines;
        for (field, count) in &self.summary.exceptions {
            *exceptions.entry(field.clone()).or_default() += count;
        }
        for (kind, found) in &self.summary.odd {
            let known =
                odd.entry(kind.clone()).or_insert_with(|| Found { count: 0, ..found.clone() });
            known.count += found.count;
        }
        // Contigs without variants are in the header, which may list thousands.
        let used: Vec<usize> =
            (0..self.contigs.len()).filter(|&at| self.counts[at].1 > 0).collect();
        let mut parts = self.parts.clone();
        for part in &mut parts {
            let at = used.binary_search(&(part.contig as usize)).unwrap_or_default();
            part.contig = at as u32;
        }
        Details {
            sample_count: self.schema.samples.len() as u64,
            reference,
            chromosomes: used.iter().map(|&at| self.contigs[at].0.clone()).collect(),
            contigs: ContigFields {
                lengths: used.iter().map(|&at| self.contigs[at].1).collect(),
                variants: used.iter().map(|&at| self.counts[at].1).collect(),
            },
            variant_count: self.counts.iter().map(|(_, variants)| variants).sum(),
            row_group_rows: self.options.row_group_rows as u64,
            compression: self.options.compression.name(),
            block_samples: self.schema.block_samples as u64,
            keeps_input_order: reordered,
            ending,
            statistics,
            exceptions,
            odd,
            index: Directory::new(&parts),
        }
    }
}

fn page_of(bytes: &[u8], offset: u64) -> Result<PageRef> {
    let size = u32::try_from(bytes.len())
        .map_err(|_| Error::unsupported("a row group has more than 4 GiB of exceptions"))?;
    Ok(PageRef { offset, size, crc32c: crc32c::crc32c(bytes) })
}

/// Where each sample's values are: its block and bit, or its columns.
fn sample_index(schema: &Schema) -> Vec<u8> {
    let width = schema.format.len();
    let entries = schema.samples.iter().enumerate().map(|(at, name)| match schema.block_samples {
        0 => serde_json::json!({
            "sample": name,
            "columns": schema.sample_columns.get(at * width..(at + 1) * width).unwrap_or_default(),
        }),
        step => serde_json::json!({ "sample": name, "block": at / step, "index": at % step }),
    });
    let lines: Vec<String> = entries.map(|entry| entry.to_string()).collect();
    format!("[{}]\n", lines.join(",\n")).into_bytes()
}

impl Exceptions {
    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.lines += other.lines;
        self.qual += other.qual;
        for (all, more) in [(&mut self.info, &other.info), (&mut self.format, &other.format)] {
            all.resize(all.len().max(more.len()), 0);
            all.iter_mut().zip(more).for_each(|(total, count)| *total += count);
        }
    }

    /// By names of fields, as `INFO/AF`; keys without a column as `INFO/?`.
    pub(super) fn named(&self, schema: &Schema) -> BTreeMap<String, u64> {
        let info = schema.info.iter().map(|field| format!("INFO/{}", field.id));
        let format = schema.format.iter().map(|field| format!("FORMAT/{}", field.id));
        let info = info.chain(["INFO/?".to_owned()]).zip(&self.info);
        let format = format.chain(["FORMAT/?".to_owned()]).zip(&self.format);
        let all = info.chain(format).filter(|(_, count)| **count > 0);
        let mut named: BTreeMap<String, u64> = all.map(|(name, &count)| (name, count)).collect();
        if self.qual > 0 {
            named.insert("QUAL".to_owned(), self.qual);
        }
        named
    }
}

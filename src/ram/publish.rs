//! The end of every change: regions are written, then what lists them, and a draft of the version.

use std::sync::Arc;

use bytes::Bytes;

use super::grid::Grid;
use super::layer::{Sample, Samples};
use super::manifest::{self, Details, Layer};
use super::merge::{Destination, Merged, merge};
use super::spill::Spills;
use super::write::Summary;
use crate::dataset::{
    Checksum, ChunkEntry, Draft, InputInfo, ObjectRef, Operation, Transaction, folders,
};
use crate::error::Result;
use crate::genome::Contigs;
use crate::pipeline::Progress;
use crate::store::{Store, Uploader};

/// Bytes of chunks that may be on their way to the store.
const UPLOADS_IN_FLIGHT: usize = 96 << 20;
/// Most inputs that a manifest lists; the list of samples names all.
const MOST_INPUTS: usize = 64;

/// Where a layer goes, and how.
pub(super) struct Publisher<'a> {
    pub(super) store: &'a Store,
    pub(super) transaction: &'a Transaction,
    /// The time of the commit, in RFC 3339.
    pub(super) created: &'a str,
    pub(super) threads: usize,
    pub(super) dry_run: bool,
    pub(super) progress: &'a Arc<Progress>,
}

/// A layer to write.
pub(super) struct Content<'a> {
    /// What the manifest says, without this layer.
    pub(super) details: Details,
    pub(super) contigs: &'a Contigs,
    pub(super) grid: &'a Grid,
    pub(super) spills: Spills,
    pub(super) list: Samples,
    pub(super) headers: Vec<u8>,
    /// Samples that are looked at, at candidate sites of each group but that of all.
    pub(super) groups: Vec<Vec<u32>>,
    /// Where the layer goes among those of `details`; at the end for `None`.
    pub(super) position: Option<usize>,
    /// Objects of other layers that stay, and their chunks.
    pub(super) objects: Vec<ObjectRef>,
    pub(super) chunks: Vec<ChunkEntry>,
    /// An append keeps the layers of the base.
    pub(super) operation: Operation,
    pub(super) inputs: Vec<InputInfo>,
}

impl Publisher<'_> {
    pub(super) fn publish(&self, content: Content<'_>) -> Result<(Draft, Summary)> {
        let Content { mut details, contigs, grid, spills, list, headers, groups, .. } = content;
        let Content { position, objects: kept_objects, chunks: kept_chunks, .. } = content;
        let Content { operation, inputs, .. } = content;
        let contig_names: Vec<&str> = contigs.iter().map(|contig| contig.name.as_str()).collect();
        let mut keys = vec![-1; contigs.len()];
        for (key, &contig) in (0..).zip(&list.contigs) {
            keys[contig as usize] = key;
        }
        let names: Vec<&str> = list.contigs.iter().map(|&id| contig_names[id as usize]).collect();
        let samples: Vec<&str> = list.samples.iter().map(|sample| sample.name.as_str()).collect();
        let uploader =
            Uploader::new(self.store.clone(), UPLOADS_IN_FLIGHT).count_into(self.progress.clone());
        let put = |path: &str, bytes: Vec<u8>| match self.dry_run {
            true => Ok(()),
            false => uploader.put(path, Bytes::from(bytes)),
        };
        let destination = Destination {
            transaction: self.transaction,
            contigs,
            folders: &folders(&contig_names, &["unplaced"]),
            region_size: details.region_size,
            samples: &samples,
            keys: &keys,
            names: &names,
            exclude_flags: details.exclude_flags,
            groups: &groups,
            put: &put,
        };
        let Merged { regions, index, chunks, counts } =
            merge(spills, grid, &destination, self.threads)?;
        let mut objects = Vec::new();
        let mut total_bytes = counts.chunk_bytes;
        for (kind, folder, stem, extension, bytes) in [
            (manifest::SAMPLES_KIND, "", "_samples", "json.zst", list.to_bytes()?),
            (manifest::HEADERS_KIND, "", "_headers", "zst", headers),
            (manifest::INDEX_KIND, "_index", "regions", "idx", index),
        ] {
            let path = self.transaction.path(folder, stem, extension)?;
            let (size_bytes, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
            total_bytes += size_bytes;
            put(&path, bytes)?;
            objects.push(ObjectRef { kind: kind.to_owned(), path, size_bytes, checksum });
        }
        uploader.finish()?;
        let count_of = |is: fn(&Sample) -> bool| {
            list.samples.iter().filter(|sample| is(sample)).count() as u64
        };
        let summary = Summary {
            samples: list.samples.len() as u64,
            reads: list.samples.iter().map(|sample| sample.reads).sum(),
            rows: counts.rows,
            regions: counts.regions,
            sites: counts.sites,
            batches: counts.batches,
            chunk_bytes: counts.chunk_bytes,
            total_bytes,
            objects: chunks.len() as u64 + 5,
            reordered: count_of(|sample| sample.reordered),
            resumed: 0,
            dataset_version: 0,
        };
        let [of_samples, of_headers, of_index] = [0, 1, 2].map(|at| objects[at].path.clone());
        details.sample_count += summary.samples;
        details.read_count += counts.reads;
        details.chunk_bytes += counts.chunk_bytes;
        let position = position.unwrap_or(details.layers.len()).min(details.layers.len());
        let layer = Layer {
            samples: of_samples,
            headers: of_headers,
            index: of_index,
            sample_count: summary.samples,
            read_count: counts.reads,
            batch_count: counts.batches,
            has_sites: count_of(|sample| sample.has_sites) > 0,
            regions,
        };
        details.layers.insert(position, layer);
        let keep_chunks = operation == Operation::Append;
        if let Some(base) = self.transaction.base().filter(|_| keep_chunks) {
            let is_ours = |object: &&ObjectRef| manifest::KINDS.contains(&object.kind.as_str());
            objects.splice(0..0, base.manifest().objects.iter().filter(is_ours).cloned());
        }
        objects.splice(0..0, kept_objects);
        let draft = Draft {
            format: manifest::FORMAT.to_owned(),
            version: manifest::VERSION.to_owned(),
            operation,
            keep_chunks,
            created: self.created.to_owned(),
            inputs: inputs.into_iter().take(MOST_INPUTS).collect(),
            fields: details.to_fields()?,
            objects,
            chunks: [kept_chunks, chunks].concat(),
            required_features: Vec::new(),
        };
        Ok((draft, summary))
    }
}

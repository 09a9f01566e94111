//! Opening a dataset at some places: schema and pages of the index, in one round trip.

use std::sync::Arc;

use super::index::{self, Part};
use super::manifest::{self, Details};
use super::places::{Places, Selection};
use super::plan::OpenPart;
use super::schema::Schema;
use crate::dataset::{Checksum, Dataset, Manifest, ObjectRef};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::genome::{Contig, Contigs};
use crate::store::{RangeRequest, Store};

pub(super) type Planned = (Details, Contigs, Selection, Schema, Vec<Arc<OpenPart>>);

/// Fetches the schema and the pages of the parts that places may be in, all at once.
pub(super) fn fetch_plan(store: &Store, dataset: &Dataset, places: &Places) -> Result<Planned> {
    let details = Details::read(dataset.manifest()).at(|| store.name(""))?;
    let contigs = details.dictionary().at(|| store.name(""))?;
    let selection = match Selection::new(places, &contigs) {
        Ok(selection) => selection,
        // The header may have contigs that no variant lies on.
        Err(error) if error.kind() == ErrorKind::Usage => {
            let (schema, _) = fetch_index(store, dataset.manifest(), &[])?;
            Selection::new(places, &with_header(&contigs, &schema)?)?
        }
        Err(error) => return Err(error),
    };
    let parts = details.index.read().at(|| store.name(""))?;
    let parts: Vec<Part> =
        parts.into_iter().filter(|part| selection.may_be_in_part(part)).collect();
    let (schema, parts) = fetch_index(store, dataset.manifest(), &parts)?;
    Ok((details, contigs, selection, schema, parts))
}

/// The dictionary with the contigs of the header besides.
fn with_header(contigs: &Contigs, schema: &Schema) -> Result<Contigs> {
    let header = String::from_utf8_lossy(&schema.header);
    let declared = header.lines().filter_map(|line| {
        let fields = line.strip_prefix("##contig=<")?.trim_end_matches('>');
        fields.split(',').find_map(|field| field.strip_prefix("ID="))
    });
    let mut all: Vec<Contig> = contigs.iter().cloned().collect();
    for name in declared {
        if !all.iter().any(|contig| contig.name == name) {
            all.push(Contig { name: name.to_owned(), length: 0, md5: None });
        }
    }
    Contigs::new(all)
}

/// Fetches the schema and the pages of `parts`.
pub(super) fn fetch_index(
    store: &Store,
    manifest: &Manifest,
    parts: &[Part],
) -> Result<(Schema, Vec<Arc<OpenPart>>)> {
    let object = |kind: &str| -> Result<&ObjectRef> {
        let found = manifest.objects.iter().find(|object| object.kind == kind);
        found.ok_or_else(|| {
            Error::corrupt(format!("the manifest lists no {kind}")).at(store.name(""))
        })
    };
    let schema = object(manifest::SCHEMA_KIND)?;
    let mut requests = vec![RangeRequest::new(schema.path.clone(), 0..schema.size_bytes)];
    for (at, kind) in index::KINDS.into_iter().enumerate() {
        let object = object(kind)?;
        requests.extend(parts.iter().map(|part| {
            let page = part.pages[at];
            RangeRequest::new(
                object.path.clone(),
                page.offset..page.offset.saturating_add(u64::from(page.size)),
            )
        }));
    }
    let fetched = store.get_ranges(&requests)?;
    let (json, pages) =
        fetched.split_first().ok_or_else(|| Error::internal("nothing was fetched"))?;
    if Checksum::of(json) != schema.checksum {
        return Err(Error::corrupt("the object does not match its checksum")
            .expected(schema.checksum)
            .found(Checksum::of(json))
            .help("restore the object from a copy")
            .at(store.name(&schema.path)));
    }
    let (schema, _) = Schema::unpack(json).at(|| store.name(&schema.path))?;
    let mut open = Vec::with_capacity(parts.len());
    let page =
        |kind: usize, at: usize| pages.get(kind * parts.len() + at).map_or(&[][..], |bytes| bytes);
    let name = |kind: usize| {
        object(index::KINDS[kind]).map_or_else(|_| String::new(), |object| store.name(&object.path))
    };
    for (at, part) in parts.iter().enumerate() {
        let spatial = index::decode_spatial(&part.pages[index::SPATIAL], page(index::SPATIAL, at))
            .at(|| name(index::SPATIAL))?;
        let quality = index::decode_quality(&part.pages[index::QUALITY], page(index::QUALITY, at))
            .at(|| name(index::QUALITY))?;
        let layout = index::decode_layout(&part.pages[index::LAYOUT], page(index::LAYOUT, at))
            .at(|| name(index::LAYOUT))?;
        let part =
            OpenPart::new(part.contig, spatial, quality, layout).at(|| name(index::LAYOUT))?;
        open.push(Arc::new(part));
    }
    Ok((schema, open))
}

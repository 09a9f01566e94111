//! Which batches, and which of their columns, a query fetches.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::fetch::Task;
use super::{Filter, Selection};
use crate::dataset::{Checksum, ObjectRef};
use crate::error::{Context, Error, Result};
use crate::srf::batch::Fields;
use crate::srf::ids;
use crate::srf::index::{self, Buffers, ChunkRef, Extremes};
use crate::srf::manifest::{self, Details, Layout, Order, Page, View};
use crate::srf::plain::Shape;
use crate::store::{Pending, RangeRequest, Store};

/// What to fetch.
pub(super) struct Plan {
    pub(super) tasks: Vec<Task>,
    /// Batches that an index ruled out.
    pub(super) skipped: u64,
    /// The view that is read.
    pub(super) order: Order,
    pub(super) fields: Fields,
}

impl Plan {
    /// These fields of all reads of a view.
    pub(super) fn all(
        store: &Store,
        details: &Details,
        objects: &[ObjectRef],
        fields: Fields,
        order: Order,
    ) -> Result<Self> {
        let everything = (Selection::All, Filter::default());
        plan_view(store, details, objects, (&everything.0, &everything.1), fields, order)
    }

    /// What the manifest says of the view that is read.
    pub(super) fn view<'a>(&self, details: &'a Details) -> &'a View {
        view_of(details, self.order)
    }
}

fn view_of(details: &Details, order: Order) -> &View {
    match (order, &details.ordered) {
        (Order::None, _) | (_, None) => &details.input_order,
        (_, Some(ordered)) => ordered,
    }
}

fn object<'a>(objects: &'a [ObjectRef], kind: &str) -> Result<&'a ObjectRef> {
    objects
        .iter()
        .find(|object| object.kind == kind)
        .ok_or_else(|| Error::corrupt(format!("the manifest lists no object of kind {kind:?}")))
}

/// Where each page lies in its object.
fn ranges(pages: &[Page]) -> Vec<Range<u64>> {
    let mut end = 0;
    pages
        .iter()
        .map(|page| {
            let start = end;
            end += u64::from(page.size);
            start..end
        })
        .collect()
}

fn checked(bytes: Bytes, page: &Page) -> Result<Bytes> {
    if crc32c::crc32c(&bytes) == page.crc {
        return Ok(bytes);
    }
    Err(Error::corrupt("a page of an index is not as it was written")
        .expected(format!("CRC-32C {:08x}", page.crc))
        .found(format!("{:08x}", crc32c::crc32c(&bytes)))
        .help("restore the object from a copy, or convert the original again"))
}

/// Plans a query, on the view that makes it cheapest.
pub(super) fn plan(
    store: &Store,
    details: &Details,
    objects: &[ObjectRef],
    selection: &Selection,
    filter: &Filter,
    fields: Fields,
) -> Result<Plan> {
    let is_ordered_so = match details.order {
        Order::None => false,
        Order::Quality => filter.by_quality(),
        Order::Length => filter.by_length(),
    };
    let order = match selection {
        Selection::All if is_ordered_so => details.order,
        _ => Order::None,
    };
    plan_view(store, details, objects, (selection, filter), fields, order)
}

/// A page of the index of batches that is needed, and with it what precedes its chunk.
struct Wanted {
    page: Page,
    range: Range<u64>,
    /// Of the index of columns.
    columns: Option<(Page, Range<u64>)>,
    first_row: u64,
    first_batch: u64,
}

fn plan_view(
    store: &Store,
    details: &Details,
    objects: &[ObjectRef],
    (selection, filter): (&Selection, &Filter),
    fields: Fields,
    order: Order,
) -> Result<Plan> {
    let mates = details.reads_per_row as usize;
    let rows = rows_of(selection, details)?;
    let is_wanted = |first: u64, count: u64| {
        rows.as_ref().is_none_or(|rows| {
            rows.iter().any(|range| range.start < first + count && first < range.end)
        })
    };
    let view = view_of(details, order);
    // Without bases or without qualities, most of a batch is not needed.
    let by_columns = details.layout == Layout::Plain
        && !fields.has(Fields::BASES.and(Fields::QUALITIES))
        && view.columns.len() == view.batches.len();
    let wanted = wanted_pages(view, by_columns, is_wanted);
    let batches = object(objects, &manifest::kind_of(manifest::BATCHES_KIND, order))?;
    let requests = wanted.iter().map(|page| RangeRequest::new(&batches.path, page.range.clone()));
    let pages = store.start_get_ranges(&requests.collect::<Vec<_>>());
    let columns = match by_columns {
        true => Some(object(objects, &manifest::kind_of(manifest::COLUMNS_KIND, order))?),
        false => None,
    };
    let column_pages = columns.map(|object| {
        let ranges = wanted.iter().filter_map(|page| page.columns.as_ref());
        let requests = ranges.map(|(_, range)| RangeRequest::new(&object.path, range.clone()));
        store.start_get_ranges(&requests.collect::<Vec<_>>())
    });
    let named = match selection {
        Selection::Names(names) => Some(NamePages::start(store, details, objects, names)?),
        _ => None,
    };
    let extremes = ComingExtremes::start(store, objects, filter, order)?;
    let mut column_pages = match column_pages {
        Some(pages) => pages.wait()?,
        None => Vec::new(),
    }
    .into_iter();
    let mut tasks = Vec::new();
    let mut numbers = Vec::new();
    for (wanted, bytes) in wanted.into_iter().zip(pages.wait()?) {
        let place = || store.name(&batches.path);
        let bytes = checked(bytes, &wanted.page).at(place)?;
        let chunk = ChunkRef::parse(&bytes, mates).at(place)?;
        crate::store::validate_key(&chunk.path)?;
        let shape = Shape {
            styles: &details.styles,
            fixed: chunk.fixed,
            has_numbers: order != Order::None,
        };
        let columns = match (columns, &wanted.columns, column_pages.next()) {
            (Some(object), Some((page, _)), Some(bytes)) => {
                let parse = |bytes: Bytes| {
                    index::parse_columns(&bytes, chunk.batches.len(), shape.buffer_count())
                };
                let columns: Vec<Buffers> =
                    checked(bytes, page).and_then(parse).at(|| store.name(&object.path))?;
                Some(Arc::new(columns))
            }
            _ => None,
        };
        let needed: Arc<Vec<usize>> = Arc::new(shape.buffers_of(fields));
        let chunk = Arc::new(chunk);
        let mut row = wanted.first_row;
        for (number, entry) in chunk.batches.iter().enumerate() {
            if is_wanted(row, entry.rows.into()) {
                tasks.push(Task::new(chunk.clone(), columns.clone(), needed.clone(), number, row));
                numbers.push(wanted.first_batch + number as u64);
            }
            row += u64::from(entry.rows);
        }
    }
    let mut retain = |is_kept: &dyn Fn(u64) -> bool| {
        let mut of_task = numbers.iter();
        tasks.retain(|_| of_task.next().is_some_and(|&number| is_kept(number)));
        numbers.retain(|&number| is_kept(number));
        tasks.len()
    };
    let mut asked_for = retain(&|_| true);
    if let Some(named) = named {
        let found = named.wait(store, details)?;
        asked_for = retain(&|number| found.contains(&number));
    }
    let mut kept = asked_for;
    if let Some(extremes) = extremes.wait(store, view.batch_count)? {
        let of = |number: u64| usize::try_from(number).ok().and_then(|at| extremes.get(at));
        kept = retain(&|number| of(number).is_some_and(|extremes| filter.may_be_in(extremes)));
    }
    Ok(Plan { tasks, skipped: (asked_for - kept) as u64, order, fields })
}

/// The rows of a selection by number.
fn rows_of(selection: &Selection, details: &Details) -> Result<Option<Vec<Range<u64>>>> {
    let Selection::Numbers(ranges) = selection else { return Ok(None) };
    let mates = u64::from(details.reads_per_row);
    for range in ranges {
        if range.start >= details.total_reads {
            return Err(Error::usage("these reads are behind the last one")
                .expected(format!("numbers below {}", details.total_reads))
                .found(format!("{}-{}", range.start, range.end.saturating_sub(1))));
        }
    }
    Ok(Some(ranges.iter().map(|r| r.start / mates..r.end.div_ceil(mates)).collect()))
}

/// Pages of the index of batches; all of them for names, whose batches are not known yet.
fn wanted_pages(
    view: &View,
    by_columns: bool,
    is_wanted: impl Fn(u64, u64) -> bool,
) -> Vec<Wanted> {
    let (mut first_row, mut first_batch) = (0, 0);
    let mut columns = view.columns.iter().copied().zip(ranges(&view.columns));
    let mut wanted = Vec::new();
    for (page, range) in view.batches.iter().copied().zip(ranges(&view.batches)) {
        let columns = columns.next().filter(|_| by_columns);
        if is_wanted(first_row, page.rows) {
            wanted.push(Wanted { page, range, columns, first_row, first_batch });
        }
        first_row += page.rows;
        first_batch += u64::from(page.batches);
    }
    wanted
}

/// Pages of the index by name on their way.
struct NamePages<'a> {
    object: &'a ObjectRef,
    hashes: Vec<(u64, usize)>,
    pages: Vec<usize>,
    pending: Pending<Vec<Bytes>>,
}

impl<'a> NamePages<'a> {
    fn start(
        store: &Store,
        details: &Details,
        objects: &'a [ObjectRef],
        names: &[String],
    ) -> Result<Self> {
        let object = object(objects, manifest::IDS_KIND)?;
        let places = ranges(&details.read_ids);
        let hashes = names.iter().map(|name| ids::hash(name.as_bytes()));
        let hashes: Vec<(u64, usize)> =
            hashes.map(|hash| (hash, ids::page_of(hash, places.len()))).collect();
        let mut pages: Vec<usize> = hashes.iter().map(|&(_, page)| page).collect();
        pages.sort_unstable();
        pages.dedup();
        let get = |&page: &usize| {
            places.get(page).map(|range| RangeRequest::new(&object.path, range.clone()))
        };
        let requests: Option<Vec<RangeRequest>> = pages.iter().map(get).collect();
        let requests = requests.ok_or_else(|| Error::corrupt("the index by name has no pages"))?;
        let pending = store.start_get_ranges(&requests);
        Ok(Self { object, hashes, pages, pending })
    }

    /// The batches that may hold the names.
    fn wait(self, store: &Store, details: &Details) -> Result<HashSet<u64>> {
        let mut found = Vec::new();
        let count = details.read_ids.len();
        for (&page, bytes) in self.pages.iter().zip(self.pending.wait()?) {
            let place = || store.name(&self.object.path);
            let bytes = checked(bytes, &details.read_ids[page]).at(place)?;
            for (hash, _) in self.hashes.iter().filter(|(_, of)| *of == page) {
                ids::find(&bytes, count, *hash, &mut found).at(place)?;
            }
        }
        Ok(found.into_iter().map(u64::from).collect())
    }
}

/// Indexes by quality and length on their way.
struct ComingExtremes {
    objects: Vec<(ObjectRef, bool, Pending<Vec<Bytes>>)>,
}

impl ComingExtremes {
    fn start(store: &Store, objects: &[ObjectRef], filter: &Filter, order: Order) -> Result<Self> {
        let mut coming = Vec::new();
        for (is_needed, kind) in [
            (filter.by_quality(), manifest::QUALITY_KIND),
            (filter.by_length(), manifest::LENGTH_KIND),
        ] {
            if is_needed {
                let object = object(objects, &manifest::kind_of(kind, order))?.clone();
                let whole = RangeRequest::new(&object.path, 0..object.size_bytes);
                let pending = store.start_get_ranges(&[whole]);
                coming.push((object, kind == manifest::QUALITY_KIND, pending));
            }
        }
        Ok(Self { objects: coming })
    }

    fn wait(self, store: &Store, batches: u64) -> Result<Option<Vec<Extremes>>> {
        let mut extremes: Option<Vec<Extremes>> = None;
        for (object, is_quality, pending) in self.objects {
            let bytes = pending.wait()?.pop().unwrap_or_default();
            read_extremes(&object, is_quality, &bytes, batches, &mut extremes)
                .at(|| store.name(&object.path))?;
        }
        Ok(extremes)
    }
}

fn read_extremes(
    object: &ObjectRef,
    is_quality: bool,
    bytes: &Bytes,
    batches: u64,
    extremes: &mut Option<Vec<Extremes>>,
) -> Result<()> {
    if Checksum::of(bytes) != object.checksum {
        return Err(Error::corrupt("an index is not as it was written")
            .help("restore the object from a copy, or convert the original again"));
    }
    let width = if is_quality { 16 } else { 8 };
    let count = bytes.len() / width;
    if count as u64 != batches {
        return Err(Error::corrupt("an index has not one entry per batch"));
    }
    let into = extremes.get_or_insert_with(|| vec![Extremes::ANY; count]);
    match is_quality {
        true => index::read_quality(bytes, into),
        false => index::read_length(bytes, into),
    }
}

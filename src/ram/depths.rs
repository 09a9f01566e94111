//! Coverage of regions and samples, as text and tables.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch as Columns, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::coverage::{self, Window};
use super::file;
use super::grid::Place;
use super::read::{QueryStats, Reader, Selection, Task};
use super::seams::Seams;
use crate::error::{Error, Result};
use crate::genome::{ContigId, Interval};

/// Lines that are formatted together.
const LINES: usize = 65_536;

/// How coverage is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Contig, start, end (0-based, half-open), sample, and what was counted, between tabs.
    Bed,
    /// Contig, start, end and depth, of one sample or the sum of all.
    Bedgraph,
    /// An Arrow IPC stream; positions are 1-based and closed.
    Arrow,
    /// One JSON object a line; positions are 1-based and closed.
    Json,
}

/// What coverage is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How it is written.
    pub format: Format,
    /// Windows of so many bases, counted from the start of the contig; stretches of equal depth
    /// for none.
    pub window: Option<u64>,
    /// The sum of all samples, and not each.
    pub summed: bool,
}

/// The coverage of a stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// The contig.
    pub contig: ContigId,
    /// Which part of it.
    pub interval: Interval,
    /// The sample, of those asked for; `None` for their sum.
    pub sample: Option<usize>,
    /// The depths of all bases, summed up.
    pub sum: u64,
    /// The least depth.
    pub min: u64,
    /// The greatest depth.
    pub max: u64,
    /// How many bases have a depth above 0.
    pub covered: u64,
}

impl Stretch {
    /// The mean depth; of a stretch of equal depth, that depth.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.interval.len().max(1) as f64
    }
}

/// Runs of equal depth of one sample, in order.
type Runs = Vec<(u64, u64, u64)>;
/// Those of samples, on the part of a contig that is in a region.
type OfContig = BTreeMap<usize, Runs>;

/// Hands on the coverage that `reader` was opened for, region by region and sample by sample, in
/// order of position; bases without any read are there with depth 0.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) for more than `max_bytes`; what the store and `sink`
/// return.
pub fn stretches(
    reader: &Reader,
    options: &Options,
    threads: usize,
    max_bytes: Option<u64>,
    mut sink: impl FnMut(Stretch) -> Result<()>,
) -> Result<QueryStats> {
    let numbers = sample_numbers(reader);
    let count = reader.samples().len();
    let mut units = Units::new(reader, Seams::new(options.window, count));
    let mut gathered: BTreeMap<u32, OfContig> = BTreeMap::new();
    let mut current: Option<Place> = None;
    let work = |task: &Task, columns: Columns| {
        let numbers = &numbers[task.part];
        let wanted = |window: Window| {
            let sample = (*numbers.get(window.sample as usize)?)?;
            Some((sample, reader.contig_of(task, window.contig)?, window.row))
        };
        let wanted: Vec<_> = coverage::windows(&columns)?.into_iter().filter_map(wanted).collect();
        Ok((wanted.len() as u64, wanted))
    };
    let stats = reader.scan(&reader.tasks, threads, max_bytes, work, |task, rows| {
        // Of contigs that share a region, a later layer may have more.
        let is_same = |place: &Place| {
            (place.contig, place.ordinal) == (task.place.contig, task.place.ordinal)
        };
        if let Some(place) = current.filter(|place| !is_same(place)) {
            let done = std::mem::take(&mut gathered);
            units.emit_region(place, done, count, options, &mut sink)?;
        }
        current = current.filter(is_same).max(Some(task.place));
        for (sample, contig, row) in rows {
            let runs = gathered.entry(contig).or_default().entry(sample).or_default();
            let mut start = row.start;
            for (length, depth) in row.runs {
                let end = start + u64::from(length);
                runs.push((start, end, depth.into()));
                start = end;
            }
        }
        Ok(())
    })?;
    if let Some(place) = current {
        units.emit_region(place, gathered, count, options, &mut sink)?;
    }
    units.emit(None, &OfContig::new(), count, options, &mut sink)?;
    units.seams.finish(&mut sink)?;
    Ok(stats)
}

/// For each sample of each layer its number among those asked for.
pub(super) fn sample_numbers(reader: &Reader) -> Vec<Vec<Option<usize>>> {
    let mut next = 0;
    let mut number = |chosen: &bool| {
        let number = chosen.then_some(next);
        next += usize::from(*chosen);
        number
    };
    reader.parts.iter().map(|part| part.chosen.iter().map(&mut number).collect()).collect()
}

/// The parts of regions that are asked for, by contig and number of the region on it.
struct Units<'a> {
    reader: &'a Reader,
    list: BTreeMap<(u32, u32), Vec<Interval>>,
    seams: Seams,
}

impl<'a> Units<'a> {
    fn new(reader: &'a Reader, seams: Seams) -> Self {
        let mut units = Self { reader, list: BTreeMap::new(), seams };
        match &reader.selection {
            Selection::Some { spans, .. } => {
                spans.iter().for_each(|span| units.add(span.contig.0, span.interval));
            }
            Selection::All => {
                let places = reader.tasks.iter().map(|task| task.place);
                let mut used: Vec<u32> =
                    places.filter(|place| !place.is_shared()).map(|place| place.contig).collect();
                used.dedup();
                used.into_iter().for_each(|contig| units.add(contig, Interval::ALL));
            }
        }
        units
    }

    fn add(&mut self, contig: u32, interval: Interval) {
        let details = self.reader.details();
        let size = details.region_size;
        let length = details.lengths.get(contig as usize).copied().unwrap_or(0);
        let end = interval.end().min(length);
        let mut start = interval.start();
        while start < end {
            let stop = ((start / size + 1) * size).min(end);
            let unit = self.list.entry((contig, (start / size) as u32)).or_default();
            unit.push(Interval::new(start, stop));
            start = stop;
        }
    }

    /// Emits the contigs of a region. Where everything is asked for, those that share a region are
    /// known only now; contigs without any coverage are left out, as samtools depth -a does.
    fn emit_region(
        &mut self,
        place: Place,
        contigs: BTreeMap<u32, OfContig>,
        samples: usize,
        options: &Options,
        sink: &mut impl FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        let is_all = self.reader.selection == Selection::All;
        for (contig, runs) in contigs {
            if is_all && place.is_shared() {
                self.add(contig, Interval::ALL);
            }
            self.emit(Some((contig, place.ordinal)), &runs, samples, options, sink)?;
        }
        Ok(())
    }

    /// Emits everything up to `region`, whose runs are given; all that is left for `None`.
    fn emit(
        &mut self,
        region: Option<(u32, u32)>,
        runs: &OfContig,
        samples: usize,
        options: &Options,
        sink: &mut impl FnMut(Stretch) -> Result<()>,
    ) -> Result<()> {
        let none = Runs::new();
        while let Some(first) = self.list.first_entry() {
            if region.is_some_and(|region| *first.key() > region) {
                break;
            }
            let (unit, intervals) = first.remove_entry();
            let has_runs = Some(unit) == region;
            let of = |sample: usize| match runs.get(&sample) {
                Some(runs) if has_runs => runs,
                _ => &none,
            };
            for interval in intervals {
                self.seams.begin(ContigId(unit.0), interval, sink)?;
                let mut sink = |stretch| self.seams.push(stretch, sink);
                if options.summed {
                    let all = sum((0..samples).map(of), interval);
                    report(unit.0, interval, None, &all, options, &mut sink)?;
                    continue;
                }
                for sample in 0..samples {
                    report(unit.0, interval, Some(sample), of(sample), options, &mut sink)?;
                }
            }
        }
        Ok(())
    }
}

/// The sum of the depths of many samples.
fn sum<'a>(samples: impl Iterator<Item = &'a Runs>, interval: Interval) -> Runs {
    let mut changes: BTreeMap<u64, i64> = BTreeMap::new();
    for &(start, end, depth) in samples.flatten().filter(|run| run.2 > 0) {
        let (start, end) = (start.max(interval.start()), end.min(interval.end()));
        if start < end {
            *changes.entry(start).or_default() += depth as i64;
            *changes.entry(end).or_default() -= depth as i64;
        }
    }
    let (mut runs, mut at, mut depth) = (Runs::new(), 0, 0_i64);
    for (position, change) in changes.into_iter().filter(|(_, change)| *change != 0) {
        if depth > 0 {
            runs.push((at, position, depth.unsigned_abs()));
        }
        at = position;
        depth += change;
    }
    runs
}

/// Cuts runs to an interval, fills gaps with zeros, joins equals, and reports.
fn report(
    contig: u32,
    interval: Interval,
    sample: Option<usize>,
    runs: &Runs,
    options: &Options,
    sink: &mut impl FnMut(Stretch) -> Result<()>,
) -> Result<()> {
    let contig = ContigId(contig);
    let mut filled = Runs::new();
    let mut push = |start: u64, end: u64, depth: u64| match filled.last_mut() {
        _ if start >= end => {}
        Some(last) if last.2 == depth => last.1 = end,
        _ => filled.push((start, end, depth)),
    };
    let mut at = interval.start();
    let first = runs.partition_point(|run| run.1 <= interval.start());
    for &(start, end, depth) in &runs[first..] {
        let (start, end) = (start.max(at), end.min(interval.end()));
        if start >= interval.end() {
            break;
        }
        push(at, start, 0);
        push(start, end, depth);
        at = end.max(at);
    }
    push(at, interval.end(), 0);
    let Some(window) = options.window else {
        return filled.into_iter().try_for_each(|(start, end, depth)| {
            let interval = Interval::new(start, end);
            let covered = if depth > 0 { interval.len() } else { 0 };
            let sum = depth * interval.len();
            sink(Stretch { contig, interval, sample, sum, min: depth, max: depth, covered })
        });
    };
    let mut rest = filled.into_iter().peekable();
    let mut start = interval.start();
    while start < interval.end() {
        let end = ((start / window + 1) * window).min(interval.end());
        let (mut sum, mut covered, mut min, mut max) = (0_u64, 0, u64::MAX, 0);
        while let Some(&(from, to, depth)) = rest.peek() {
            if from >= end {
                break;
            }
            let length = to.min(end) - from.max(start);
            sum += length * depth;
            covered += if depth > 0 { length } else { 0 };
            (min, max) = (min.min(depth), max.max(depth));
            if to > end {
                break;
            }
            rest.next();
        }
        let interval = Interval::new(start, end);
        sink(Stretch { contig, interval, sample, sum, min, max, covered })?;
        start = end;
    }
    Ok(())
}

/// Writes coverage as bytes.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) for bedGraph of several samples that are not summed;
/// as [`stretches`].
pub fn write(
    reader: &Reader,
    options: &Options,
    threads: usize,
    max_bytes: Option<u64>,
    mut sink: impl FnMut(Vec<u8>) -> Result<()>,
) -> Result<QueryStats> {
    let samples = reader.samples();
    if options.format == Format::Bedgraph && !options.summed && samples.len() != 1 {
        return Err(Error::usage("bedGraph holds one value for each base")
            .found(format!("{} samples", samples.len()))
            .help("choose one with -s, add --sum, or choose -O bed"));
    }
    let table = Table { reader, options, samples };
    if options.format == Format::Arrow {
        let writer = StreamWriter::try_new(Vec::new(), &table.schema()).map_err(failed)?;
        sink(writer.get_ref().clone())?;
    }
    let mut gathered = Vec::new();
    let stats = stretches(reader, options, threads, max_bytes, |stretch| {
        gathered.push(stretch);
        if gathered.len() < LINES {
            return Ok(());
        }
        let full = std::mem::take(&mut gathered);
        sink(table.text(&full)?)
    })?;
    if !gathered.is_empty() {
        sink(table.text(&gathered)?)?;
    }
    if options.format == Format::Arrow {
        sink(vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])?;
    }
    Ok(stats)
}

fn failed(error: ArrowError) -> Error {
    Error::internal("writing an Arrow stream").caused_by(error)
}

struct Table<'a> {
    reader: &'a Reader,
    options: &'a Options,
    samples: Vec<&'a str>,
}

impl Table<'_> {
    fn contig(&self, stretch: &Stretch) -> &str {
        self.reader.contigs().get(stretch.contig).map_or("*", |contig| contig.name.as_str())
    }

    fn sample(&self, stretch: &Stretch) -> &str {
        stretch.sample.and_then(|at| self.samples.get(at)).copied().unwrap_or("*")
    }

    fn text(&self, stretches: &[Stretch]) -> Result<Vec<u8>> {
        if self.options.format == Format::Arrow {
            return self.arrow(stretches);
        }
        let mut out = Vec::new();
        for stretch in stretches {
            let (contig, sample) = (self.contig(stretch), self.sample(stretch));
            let (start, end) = (stretch.interval.start(), stretch.interval.end());
            let Stretch { min, max, covered, .. } = stretch;
            let mean = stretch.mean();
            let written = match (self.options.format, self.options.window) {
                (Format::Bedgraph, _) => writeln!(out, "{contig}\t{start}\t{end}\t{mean}"),
                (Format::Json, None) => writeln!(
                    out,
                    "{}",
                    serde_json::json!({
                        "contig": contig, "start": start + 1, "end": end, "sample_id": sample,
                        "depth": max,
                    })
                ),
                (Format::Json, Some(_)) => writeln!(
                    out,
                    "{}",
                    serde_json::json!({
                        "contig": contig, "start": start + 1, "end": end, "sample_id": sample,
                        "mean": mean, "min": min, "max": max, "covered": covered,
                    })
                ),
                (_, None) => writeln!(out, "{contig}\t{start}\t{end}\t{sample}\t{max}"),
                (_, Some(_)) => writeln!(
                    out,
                    "{contig}\t{start}\t{end}\t{sample}\t{mean}\t{min}\t{max}\t{covered}"
                ),
            };
            written.map_err(|error| Error::internal("writing into memory").caused_by(error))?;
        }
        Ok(out)
    }

    fn schema(&self) -> Schema {
        let mut fields = vec![
            Field::new("contig", DataType::Utf8, false),
            Field::new("start", DataType::Int64, false),
            Field::new("end", DataType::Int64, false),
            Field::new("sample_id", DataType::Utf8, false),
        ];
        match self.options.window {
            None => fields.push(Field::new("depth", DataType::Int64, false)),
            Some(_) => {
                fields.push(Field::new("mean", DataType::Float64, false));
                for name in ["min", "max", "covered"] {
                    fields.push(Field::new(name, DataType::Int64, false));
                }
            }
        }
        Schema::new(fields)
    }

    fn arrow(&self, stretches: &[Stretch]) -> Result<Vec<u8>> {
        let texts = |value: &dyn Fn(&Stretch) -> String| -> ArrayRef {
            Arc::new(stretches.iter().map(|of| Some(value(of))).collect::<StringArray>())
        };
        let numbers = |value: &dyn Fn(&Stretch) -> u64| -> ArrayRef {
            Arc::new(stretches.iter().map(|of| Some(value(of) as i64)).collect::<Int64Array>())
        };
        let mut columns = vec![
            texts(&|of| self.contig(of).to_owned()),
            numbers(&|of| of.interval.start() + 1),
            numbers(&|of| of.interval.end()),
            texts(&|of| self.sample(of).to_owned()),
        ];
        match self.options.window {
            None => columns.push(numbers(&|of| of.max)),
            Some(_) => {
                let means = stretches.iter().map(|of| Some(of.mean())).collect::<Float64Array>();
                columns.push(Arc::new(means));
                columns.push(numbers(&|of| of.min));
                columns.push(numbers(&|of| of.max));
                columns.push(numbers(&|of| of.covered));
            }
        }
        let batch = Columns::try_new(Arc::new(self.schema()), columns).map_err(failed)?;
        file::encode_plain(&batch)
    }
}

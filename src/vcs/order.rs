//! Lines in order of place, cut into row groups.

use std::collections::HashMap;

use super::group::Section;
use super::number;
use crate::error::{Context, Error, Result};
use crate::pipeline::{Progress, SortOptions, Sorted, Sorter};

/// Bytes of text after which a row group ends.
const GROUP_BYTES: usize = 32 << 20;
/// Bytes in front of a line in the sorter: its number in the input.
const ORDINAL_LEN: usize = 8;
/// Bits of a sort key that are a position; those above are the contig.
const POSITION_BITS: u32 = 40;

/// Records as lines of text, in the order of the input.
pub trait LineSource: Send {
    /// The next line, without its line feed; `None` at the end.
    ///
    /// # Errors
    ///
    /// What reading the input reports.
    fn next_line(&mut self) -> Result<Option<&[u8]>>;

    /// What follows the last line, once all have come: a line feed as a rule, nothing where the file
    /// ends without one, more where empty lines follow.
    fn ending(&self) -> &[u8];

    /// First and last base of a line, from 1; of the line that came last.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where the line has no position.
    fn place(&self, line: &[u8]) -> Result<(i64, i64)>;
}

/// Contigs in the order in which lines have them.
#[derive(Default)]
struct Ranks {
    by_name: HashMap<Vec<u8>, u32>,
}

impl Ranks {
    fn of(&mut self, chrom: &[u8]) -> u32 {
        if let Some(&rank) = self.by_name.get(chrom) {
            return rank;
        }
        let rank = self.by_name.len() as u32;
        self.by_name.insert(chrom.to_vec(), rank);
        rank
    }
}

/// Lines, in order, as sections.
pub(super) struct Sections<'a> {
    origin: Origin<'a>,
    rows: usize,
    /// The section being gathered.
    open: Option<Section>,
    ready: Option<Section>,
    done: bool,
    /// How many lines lie before the one in front of them, and the number of the first.
    moved: Option<(u64, u64)>,
    /// The number of the next line that comes in order, where numbers are kept all the same.
    numbered: Option<i64>,
}

enum Origin<'a> {
    /// In order as they come, or not: then [`Outcome::OutOfOrder`].
    Stream { source: &'a mut dyn LineSource, ranks: Ranks, last: (u32, i64) },
    /// Sorted; `keep_order` where the input had another order.
    Sorted { sorted: Sorted, source: &'a mut dyn LineSource, keep_order: bool },
}

/// What comes next.
pub(super) enum Outcome {
    /// The next row group.
    Section(Section),
    /// There is none.
    End,
    /// A line lies before the one in front of it: start again, and sort.
    OutOfOrder,
}

impl<'a> Sections<'a> {
    /// Lines that are believed to be in order.
    pub(super) fn streamed(source: &'a mut dyn LineSource, rows: usize) -> Self {
        let origin = Origin::Stream { source, ranks: Ranks::default(), last: (0, i64::MIN) };
        Self {
            origin,
            rows: rows.max(1),
            open: None,
            ready: None,
            done: false,
            moved: None,
            numbered: None,
        }
    }

    /// Reads all lines and sorts them; also whether that moved any.
    pub(super) fn sorted(
        source: &'a mut dyn LineSource,
        rows: usize,
        options: SortOptions,
        progress: &Progress,
    ) -> Result<(Self, bool)> {
        let mut sorter = Sorter::new(options);
        let mut ranks = Ranks::default();
        let mut prefixed = Vec::new();
        let (mut ordinal, mut moved, mut last) = (0_u64, None, (0, i64::MIN));
        while let Some(line) = source.next_line()? {
            prefixed.clear();
            prefixed.extend_from_slice(&ordinal.to_le_bytes());
            prefixed.extend_from_slice(line);
            let line = &prefixed[ORDINAL_LEN..];
            let (position, _) = source.place(line)?;
            let place = (ranks.of(chrom_of(line)), position);
            if place < last {
                let (count, _) = moved.get_or_insert((0, ordinal));
                *count += 1;
            }
            last = place;
            sorter.push(sort_key(place)?, &prefixed)?;
            ordinal += 1;
            progress.add_items(1);
        }
        let sorted = sorter.finish().at(|| "sorting the records")?;
        let reordered = moved.is_some();
        let origin = Origin::Sorted { sorted, source, keep_order: reordered };
        Ok((
            Self {
                origin,
                rows: rows.max(1),
                open: None,
                ready: None,
                done: false,
                moved,
                numbered: None,
            },
            reordered,
        ))
    }

    /// Numbers lines from here on, in the order of the input, where numbers are wanted; they are
    /// taken off otherwise.
    pub(super) fn number_from(&mut self, first: Option<i64>) {
        self.numbered = first;
        if let Origin::Sorted { keep_order, .. } = &mut self.origin {
            *keep_order = first.is_some();
        }
    }

    /// How many lines lay before the one in front of them, and the number of the first, from 0.
    pub(super) fn moved(&self) -> Option<(u64, u64)> {
        self.moved
    }

    /// What followed the last line.
    pub(super) fn ending(&self) -> &[u8] {
        match &self.origin {
            Origin::Stream { source, .. } | Origin::Sorted { source, .. } => source.ending(),
        }
    }

    /// Puts a section back, to come next.
    pub(super) fn put_back(&mut self, section: Section) {
        self.ready = Some(section);
    }

    /// The next section.
    pub(super) fn next(&mut self) -> Result<Outcome> {
        if let Some(section) = self.ready.take() {
            return Ok(Outcome::Section(section));
        }
        if self.done {
            return Ok(match self.open.take() {
                Some(section) => Outcome::Section(section),
                None => Outcome::End,
            });
        }
        loop {
            let (line, place, ordinal) = match &mut self.origin {
                Origin::Stream { source, ranks, last } => {
                    // The borrow of the line ends before the source is asked for its place.
                    let Some(line) = source.next_line()?.map(<[u8]>::to_vec) else { break };
                    let place = source.place(&line)?;
                    let next = (ranks.of(chrom_of(&line)), place.0);
                    if next < *last {
                        return Ok(Outcome::OutOfOrder);
                    }
                    *last = next;
                    let ordinal = self.numbered;
                    self.numbered = ordinal.map(|ordinal| ordinal + 1);
                    (line, place, ordinal)
                }
                Origin::Sorted { sorted, source, keep_order } => {
                    let Some((_, bytes)) = sorted.next()? else { break };
                    let (ordinal, line) = bytes
                        .split_first_chunk::<ORDINAL_LEN>()
                        .ok_or_else(|| Error::internal("the sorter changed a line"))?;
                    let ordinal = u64::from_le_bytes(*ordinal) as i64;
                    let ordinal = keep_order.then(|| self.numbered.unwrap_or(0) + ordinal);
                    let line = line.to_vec();
                    let place = source.place(&line)?;
                    (line, place, ordinal)
                }
            };
            let full = self.push(&line, place, ordinal);
            if let Some(section) = full {
                return Ok(Outcome::Section(section));
            }
        }
        self.done = true;
        Ok(match self.open.take() {
            Some(section) => Outcome::Section(section),
            None => Outcome::End,
        })
    }

    /// Adds a line; returns the section before, where the line begins another.
    fn push(&mut self, line: &[u8], place: (i64, i64), ordinal: Option<i64>) -> Option<Section> {
        let chrom = chrom_of(line);
        let ends = self.open.as_ref().is_some_and(|open| {
            open.chrom != chrom
                || open.len() >= self.rows
                || open.bytes.len() + line.len() > GROUP_BYTES
        });
        let before = if ends { self.open.take() } else { None };
        let open = self
            .open
            .get_or_insert_with(|| Section { chrom: chrom.to_vec(), ..Section::default() });
        open.push(line, place.0, place.1, ordinal);
        before
    }
}

fn chrom_of(line: &[u8]) -> &[u8] {
    &line[..memchr::memchr(b'\t', line).unwrap_or(line.len())]
}

fn sort_key((rank, position): (u32, i64)) -> Result<u64> {
    let position = u64::try_from(position).unwrap_or(0);
    if position >> POSITION_BITS != 0 || rank >> (64 - POSITION_BITS) != 0 {
        return Err(Error::unsupported("a position or a number of contigs too large to sort by"));
    }
    Ok(u64::from(rank) << POSITION_BITS | position)
}

/// First and last base of a line, from 1, as bcftools has them: INFO/END where it is an integer not
/// before POS, else the end of REF.
///
/// # Errors
///
/// [`Input`](crate::error::ErrorKind::Input) where POS is no integer.
pub(super) fn place_of(line: &[u8]) -> Result<(i64, i64)> {
    let mut fields = line.splitn(9, |&byte| byte == b'\t');
    let chrom = fields.next().unwrap_or_default();
    if chrom.is_empty() || std::str::from_utf8(chrom).is_err() {
        return Err(Error::input("CHROM is no name of a contig")
            .expected("text in UTF-8")
            .found(format!("{:?}", String::from_utf8_lossy(chrom)))
            .at("column 1"));
    }
    let position = fields.next().unwrap_or_default();
    let first = number::parse_integer(position).or_else(|| lenient(position)).ok_or_else(|| {
        Error::input("POS is no position")
            .expected("an integer")
            .found(format!("{:?}", String::from_utf8_lossy(position)))
            .at("column 2")
    })?;
    let reference = fields.nth(1).map_or(1, <[u8]>::len).max(1) as i64;
    let info = fields.nth(3).unwrap_or_default();
    let mut last = first.saturating_add(reference - 1);
    if memchr::memmem::find(info, b"END=").is_some() {
        let end = info.split(|&byte| byte == b';').find_map(|entry| entry.strip_prefix(b"END="));
        if let Some(end) = end.and_then(number::parse_integer).filter(|&end| end >= first) {
            last = end;
        }
    }
    Ok((first, last))
}

fn lenient(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

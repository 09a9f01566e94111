//! Alignments out of nothing: for examples, tests and measurements.
//!
//! [`Alignments`] makes sorted records as they come from an Illumina instrument through `bwa mem`,
//! `samtools fixmate -m`, `sort` and a duplicate marker: pairs of reads of a person whose genome
//! differs from the reference, with names, qualities that run like real ones, sequencing errors,
//! insertions and deletions, clipped ends, duplicates, mates that are unmapped or far away, split
//! reads, and at the end pairs without a place. The reference itself exists only as a function of
//! the seed.
//!
//! The same options give the same bytes on every platform. Memory does not grow with the number of
//! reads: templates are made in the order of their places, and a record waits only until no later
//! template can come before it.

mod genome;
mod options;
mod qualities;
mod random;
mod read;
mod record;
pub mod vrs;
mod waiting;

use crate::error::{Error, Result};
use crate::records::alignments::record::flags;
use crate::records::alignments::{Header, Limit, RecordBatch, Source, Validation};

use genome::Genome;
pub use options::{ReadKind, Shares, SimulateOptions, human_like};
use qualities::QualityModel;
pub use qualities::QualityProfile;
use random::{Chance, Random, mix};
use read::{HARD_CLIP, Origin, Read, Reader};
use record::{Alignment, Mate};
use waiting::Waiting;

/// Templates are made in the order of a place from which they start up to so many bases later.
const JITTER: u32 = 2_000;
/// How far mates and parts of split reads may be away on the same contig.
const MAX_DISTANCE: u32 = 50_000;

/// A stream of records in coordinate order, those without a place last.
///
/// ```
/// use genomic_objects::records::alignments::{Limit, RecordBatch, Source};
/// use genomic_objects::simulate::{Alignments, SimulateOptions};
///
/// let mut alignments = Alignments::new(SimulateOptions { reads: 100, ..Default::default() })?;
/// assert!(alignments.header().text().starts_with(b"@HD\tVN:1.6\tSO:coordinate\n"));
/// let mut batch = RecordBatch::new();
/// while alignments.read(&mut batch, Limit::default())? {
///     assert!(batch.iter().all(|record| record.sequence_len() <= 150));
/// }
/// # Ok::<(), genomic_objects::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Alignments {
    options: SimulateOptions,
    chances: Chances,
    header: Header,
    random: Random,
    reader: Reader,
    qualities: QualityModel,
    flowcell: String,
    /// How many templates start on each contig.
    templates: Vec<u64>,
    /// The contig and the ordinal on it of the next template.
    next: (usize, u64),
    unplaced: u64,
    /// The last template that can have duplicates.
    original: Option<Template>,
    waiting: Waiting,
    tile: (u32, u32),
}

#[derive(Clone, Copy, Debug)]
struct Chances {
    duplicate: Chance,
    mate_unmapped: Chance,
    distant_mate: Chance,
    soft_clip: Chance,
    supplementary: Chance,
    secondary: Chance,
    /// Of 256.
    error_scale: u32,
}

/// Where the two reads of a template lie, the left one first.
#[derive(Clone, Copy, Debug)]
struct Template {
    contigs: [usize; 2],
    starts: [u64; 2],
    is_reverse: [bool; 2],
    copy: u8,
    /// Which of the two was read first.
    first: usize,
    is_proper: bool,
}

impl Alignments {
    /// A stream that has not made anything yet.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) when the read length is out of range, a contig
    /// longer than BAM allows, or no contig long enough; [`Input`](crate::error::ErrorKind::Input)
    /// when a contig's name is not one that SAM allows.
    pub fn new(options: SimulateOptions) -> Result<Self> {
        if let ReadKind::Paired(length) = options.kind
            && !(50..=500).contains(&length)
        {
            return Err(Error::usage("paired reads of this length cannot be simulated")
                .expected("50 to 500 bases")
                .found(length));
        }
        if let Some(contig) = options.contigs.iter().find(|contig| contig.length > 1 << 31) {
            return Err(Error::usage(format!("contig {} is too long for BAM", contig.name))
                .expected("at most 2,147,483,648 bases")
                .found(contig.length));
        }
        let mut reader = Reader::new(Genome::new(options.seed));
        if options.kind == ReadKind::Long {
            reader.bases_per_slip = 700;
        }
        let reads_per_template = if options.kind == ReadKind::Long { 1 } else { 2 };
        let all = options.reads / reads_per_template;
        let unplaced = (all as f64 * options.shares.unplaced.clamp(0.0, 1.0)) as u64;
        let mut alignments = Self {
            chances: Chances {
                duplicate: Chance::new(options.shares.duplicates),
                mate_unmapped: Chance::new(options.shares.mate_unmapped),
                distant_mate: Chance::new(options.shares.distant_mates),
                soft_clip: Chance::new(options.shares.soft_clipped),
                supplementary: Chance::new(options.shares.supplementary),
                secondary: Chance::new(options.shares.secondary),
                error_scale: (options.error_rate.clamp(0.0, 4.0) * 256.0) as u32,
            },
            header: Header::parse_sam_text(header_text(&options).as_bytes(), Validation::Strict)?,
            random: Random::new(options.seed),
            qualities: QualityModel::new(options.qualities),
            flowcell: flowcell(options.seed, options.kind),
            templates: Vec::new(),
            next: (0, 0),
            unplaced,
            original: None,
            waiting: Waiting::default(),
            tile: (1, 1_101),
            reader,
            options,
        };
        alignments.templates = alignments.spread(all - unplaced)?;
        Ok(alignments)
    }

    /// The contig and position before which no further record can come; none at the end.
    fn horizon(&mut self) -> Option<(usize, u64)> {
        while self.templates.get(self.next.0).is_some_and(|&count| self.next.1 == count) {
            self.next = (self.next.0 + 1, 0);
        }
        let (contig, ordinal) = self.next;
        let count = *self.templates.get(contig)?;
        Some((
            contig,
            (u128::from(ordinal) * u128::from(self.room(contig)) / u128::from(count)) as u64,
        ))
    }

    /// How many bases of a contig templates can start from, before jitter.
    fn room(&self, contig: usize) -> u64 {
        let length = self.options.contigs.get(contig).map_or(0, |contig| contig.length);
        length.saturating_sub(u64::from(JITTER + self.max_extent()))
    }

    /// How far a template can reach.
    fn max_extent(&self) -> u32 {
        match self.options.kind {
            ReadKind::Paired(length) => 4 * length + 400 + self.reader.reach(length),
            ReadKind::Long => self.reader.reach(20_000),
        }
    }

    /// Shares templates out to contigs by their room; the mitochondrion gets 20 times its part.
    fn spread(&self, templates: u64) -> Result<Vec<u64>> {
        let weights: Vec<u128> = (0..self.options.contigs.len())
            .map(|at| {
                let is_mitochondrion = matches!(&*self.options.contigs[at].name, "chrM" | "MT");
                u128::from(self.room(at)) * if is_mitochondrion { 20 } else { 1 }
            })
            .collect();
        let total: u128 = weights.iter().sum();
        if total == 0 && templates > 0 {
            return Err(Error::usage("no contig is long enough to simulate reads from")
                .expected(format!("one of more than {} bases", JITTER + self.max_extent())));
        }
        let mut cumulated = 0;
        let up_to = |weight: u128| (u128::from(templates) * weight / total.max(1)) as u64;
        Ok(weights
            .iter()
            .map(|weight| {
                let before = up_to(cumulated);
                cumulated += weight;
                up_to(cumulated) - before
            })
            .collect())
    }

    fn make_template(&mut self) {
        let Some((contig, earliest)) = self.horizon() else { return };
        self.next.1 += 1;
        let start = earliest + u64::from(self.random.below(JITTER));
        match self.options.kind {
            ReadKind::Long => self.make_long(contig, start),
            ReadKind::Paired(length) => {
                let original = self.original.filter(|original| {
                    original.contigs[0] == contig && original.starts[0] >= earliest
                });
                match original {
                    Some(original) if self.random.happens(self.chances.duplicate) => {
                        self.make_pair(original, length, true);
                    }
                    _ => {
                        let template = self.place_pair(contig, start, length);
                        self.original = Some(template).filter(|template| template.is_proper);
                        self.make_pair(template, length, false);
                    }
                }
            }
        }
    }

    fn place_pair(&mut self, contig: usize, start: u64, length: u32) -> Template {
        let insert = self.random.bell(length * 2 + 100, length / 2);
        let insert = insert.clamp(length + 10, 4 * length + 400);
        let mut template = Template {
            contigs: [contig; 2],
            starts: [start, start + u64::from(insert - length)],
            is_reverse: [false, true],
            copy: (self.random.next() >> 63) as u8,
            first: (self.random.next() >> 63) as usize,
            is_proper: true,
        };
        if self.random.happens(self.chances.distant_mate) {
            template.is_proper = false;
            template.is_reverse = [self.random.next() >> 63 == 0, self.random.next() >> 63 == 0];
            let other = contig + 1 + self.random.below(4) as usize;
            let end = self.room(contig) + u64::from(JITTER);
            if self.random.below(10) == 0 && self.room(other) > 0 && self.waiting.has_room_for_far()
            {
                template.contigs[1] = other;
                template.starts[1] = u64::from(self.random.below(self.room(other) as u32));
            } else {
                let apart = u64::from(self.random.between(2 * length, MAX_DISTANCE));
                template.starts[1] = (start + apart).min(end).max(start);
            }
        }
        template
    }

    fn make_pair(&mut self, template: Template, length: u32, is_duplicate: bool) {
        self.move_on();
        let name = self.name();
        let is_half_mapped = self.random.happens(self.chances.mate_unmapped);
        let unmapped = is_half_mapped.then(|| (self.random.next() >> 63) as usize);
        let mut tails = Vec::new();
        let mut ends = [0, 1].map(|end| {
            let mut alignment = Alignment {
                contig: template.contigs[end] as i32,
                position: template.starts[end] as i32,
                ..Alignment::default()
            };
            let is_second = end != template.first;
            if unmapped == Some(end) {
                alignment.flags = flags::UNMAPPED;
                alignment.read.make_unmapped(&mut self.random, length);
                self.qualities.fill(
                    &mut self.random,
                    is_second,
                    length as usize,
                    &mut alignment.qualities,
                );
            } else {
                if template.is_reverse[end] {
                    alignment.flags = flags::REVERSE;
                }
                let origin = Origin {
                    contig: template.contigs[end] as u32,
                    start: template.starts[end],
                    copy: template.copy,
                };
                tails.extend(
                    self.sequence(&mut alignment, origin, length, is_second).map(|t| (end, t)),
                );
            }
            alignment
        });
        if let Some(lost) = unmapped {
            // An unmapped read stands where its mate is.
            let kept = &ends[1 - lost];
            (ends[lost].contig, ends[lost].position) = (kept.contig, kept.position);
        }
        let mates = [ends[1].as_mate(), ends[0].as_mate()];
        for (end, alignment) in ends.iter_mut().enumerate() {
            let of_pair = if end == template.first { flags::READ1 } else { flags::READ2 };
            alignment.flags |= flags::PAIRED | of_pair;
            if template.is_proper && unmapped.is_none() {
                alignment.flags |= flags::PROPER_PAIR;
            }
            if is_duplicate {
                alignment.flags |= flags::DUPLICATE;
            }
        }
        for (end, mut tail) in tails {
            self.split(&mut ends[end], &mut tail);
            tail.flags |= ends[end].flags & !flags::PROPER_PAIR;
            self.emit(&name, &tail, Some(&mates[end]));
        }
        for (end, alignment) in ends.iter().enumerate() {
            self.emit(&name, alignment, Some(&mates[end]));
            let is_mapped = alignment.flags & flags::UNMAPPED == 0;
            if is_mapped && self.random.happens(self.chances.secondary) {
                self.emit_secondary(&name, alignment, &mates[end]);
            }
        }
    }

    /// Sequences a mapped read; returns the other part of a read that is split.
    fn sequence(
        &mut self,
        alignment: &mut Alignment,
        origin: Origin,
        length: u32,
        is_second: bool,
    ) -> Option<Alignment> {
        let clipped = if self.random.happens(self.chances.soft_clip) {
            self.random.between(3, length / 3)
        } else {
            0
        };
        let limit = self.room(origin.contig as usize) + u64::from(JITTER);
        let is_split = clipped == 0 && self.random.happens(self.chances.supplementary);
        let tail_len = if is_split { self.random.between(length / 5, length / 2) } else { 0 };
        self.reader.read(
            &mut self.random,
            origin,
            length - clipped - tail_len,
            &mut alignment.read,
        );
        if clipped > 0 {
            let bases: Vec<u8> = (0..clipped).map(|_| (self.random.next() >> 62) as u8).collect();
            alignment.read.clip(self.random.next() >> 63 == 0, &bases);
        }
        let tail = (tail_len > 0).then(|| {
            let apart = u64::from(self.random.between(1_000, MAX_DISTANCE));
            let start = (origin.start + apart).min(limit).max(origin.start);
            let mut tail = Alignment {
                contig: alignment.contig,
                position: start as i32,
                flags: alignment.flags | flags::SUPPLEMENTARY,
                ..Alignment::default()
            };
            let origin = Origin { start, ..origin };
            self.reader.read(&mut self.random, origin, tail_len, &mut tail.read);
            alignment.read.clip(false, &tail.read.bases);
            tail
        });
        let qualities = &mut alignment.qualities;
        self.qualities.fill(&mut self.random, is_second, length as usize, qualities);
        if alignment.flags & flags::REVERSE != 0 {
            qualities.reverse();
        }
        alignment.read.add_errors(&mut self.random, qualities, self.chances.error_scale);
        self.judge(alignment);
        tail
    }

    /// Sets what an aligner says of an alignment: mapping quality and the best other score.
    fn judge(&mut self, alignment: &mut Alignment) {
        alignment.measure();
        let score = alignment.score;
        (alignment.mapping_quality, alignment.other_score) = match self.random.below(100) {
            0..92 => (60, self.random.between(0, 30).saturating_sub(10).min(score)),
            92..96 => (0, score),
            _ => {
                let quality = self.random.between(1, 60);
                (quality as u8, score.saturating_sub(quality / 4 + 1))
            }
        };
    }

    /// Makes `tail` the supplementary alignment of `head`, and lets each name the other.
    fn split(&mut self, head: &mut Alignment, tail: &mut Alignment) {
        tail.read.take_tail(&head.read);
        let clipped = head.read.bases.len() - tail.read.bases.len();
        tail.qualities = head.qualities[clipped..].to_vec();
        self.judge(tail);
        let names = &self.options.contigs;
        let contig = |of: &Alignment| names[of.contig.max(0) as usize].name.as_bytes();
        // Each tells the other's CIGAR with soft clips, whatever its own record has.
        tail.read.cigar.insert(0, (clipped as u32) << 4 | read::SOFT_CLIP);
        head.split_into = tail.as_split(contig(tail));
        tail.split_into = head.as_split(contig(head));
        tail.read.cigar[0] = (clipped as u32) << 4 | HARD_CLIP;
    }

    fn emit_secondary(&mut self, name: &[u8], of: &Alignment, mate: &Mate) {
        let limit = self.room(of.contig.max(0) as usize) as i64 + i64::from(JITTER);
        let apart = i64::from(self.random.between(500, 20_000));
        let position = (i64::from(of.position) + apart).min(limit).max(of.position.into());
        let length = of.read.bases.len() as u32;
        let distance = self.random.between(1, 6);
        let alignment = Alignment {
            contig: of.contig,
            position: position as i32,
            flags: of.flags & !flags::PROPER_PAIR | flags::SECONDARY,
            read: Read::without_bases(length),
            distance,
            score: length.saturating_sub(5 * distance),
            ..Alignment::default()
        };
        self.emit(name, &alignment, Some(mate));
    }

    fn make_long(&mut self, contig: usize, start: u64) {
        self.move_on();
        let name = self.name();
        let length = self.random.between(10_000, 20_000);
        let mut alignment = Alignment {
            contig: contig as i32,
            position: start as i32,
            flags: if self.random.next() >> 63 == 0 { flags::REVERSE } else { 0 },
            ..Alignment::default()
        };
        let copy = (self.random.next() >> 63) as u8;
        let origin = Origin { contig: contig as u32, start, copy };
        self.reader.read(&mut self.random, origin, length, &mut alignment.read);
        let qualities = &mut alignment.qualities;
        self.qualities.fill(&mut self.random, false, length as usize, qualities);
        alignment.read.add_errors(&mut self.random, qualities, self.chances.error_scale);
        self.judge(&mut alignment);
        self.emit(&name, &alignment, None);
    }

    fn make_unplaced(&mut self) {
        self.move_on();
        let name = self.name();
        let (lengths, bits): (&[u32], &[u16]) = match self.options.kind {
            ReadKind::Paired(length) => (&[length; 2], &[69, 133]),
            ReadKind::Long => (&[10_000], &[4]),
        };
        let ends: Vec<_> = lengths
            .iter()
            .zip(bits)
            .map(|(&length, &bits)| {
                let mut alignment =
                    Alignment { contig: -1, position: -1, flags: bits, ..Alignment::default() };
                alignment.read.make_unmapped(&mut self.random, length);
                let qualities = &mut alignment.qualities;
                self.qualities.fill(&mut self.random, true, length as usize, qualities);
                alignment
            })
            .collect();
        for (end, alignment) in ends.iter().enumerate() {
            let mate = ends.get(1 - end).map(Alignment::as_mate);
            self.emit(&name, alignment, mate.as_ref());
        }
    }

    fn emit(&mut self, name: &[u8], alignment: &Alignment, mate: Option<&Mate>) {
        let read_group = (self.options.sample.as_str(), self.tile.0);
        let far = alignment.contig >= 0 && alignment.contig as usize > self.next.0;
        self.waiting.push(alignment, far, |out| alignment.write(out, name, mate, read_group));
    }

    /// Instruments report tile by tile; sorted reads come from all of them.
    fn move_on(&mut self) {
        let tile = 1_000 * self.random.between(1, 3) + 100 * self.random.between(1, 7);
        self.tile = (self.random.between(1, 5), tile + self.random.between(1, 79));
    }

    fn name(&mut self) -> Vec<u8> {
        let mut name = Vec::with_capacity(48);
        name.extend_from_slice(self.flowcell.as_bytes());
        let numbers = match self.options.kind {
            ReadKind::Paired(_) => {
                let (lane, tile) = self.tile;
                let (x, y) =
                    (self.random.between(1_000, 32_900), self.random.between(1_000, 37_060));
                vec![lane, tile, x, y]
            }
            ReadKind::Long => vec![self.random.below(180_000_000)],
        };
        for (at, number) in numbers.into_iter().enumerate() {
            if at > 0 {
                name.push(b':');
            }
            read::push_number(&mut name, number);
        }
        if self.options.kind == ReadKind::Long {
            name.extend_from_slice(b"/ccs");
        }
        name
    }
}

impl Source for Alignments {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, batch: &mut RecordBatch, limit: Limit) -> Result<bool> {
        batch.clear();
        while batch.len() < limit.records && batch.byte_len() < limit.bytes {
            let horizon = self.horizon();
            if let Some(record) = self.waiting.pop_before(horizon) {
                batch.push_trusted(record);
            } else if horizon.is_some() {
                self.make_template();
            } else if self.unplaced > 0 {
                self.unplaced -= 1;
                self.make_unplaced();
            } else {
                break;
            }
        }
        Ok(!batch.is_empty())
    }
}

/// The instrument's part of the names.
fn flowcell(seed: u64, kind: ReadKind) -> String {
    let bits = mix(seed);
    match kind {
        ReadKind::Paired(_) => {
            let letters: String =
                (0..4).map(|at| char::from(b'A' + (bits >> (8 + 6 * at)) as u8 % 26)).collect();
            format!("A{:05}:{}:H{letters}DSXX:", bits % 1_500, 20 + (bits >> 40) % 400)
        }
        ReadKind::Long => format!("m64{:03}_2001{:02}_120000/", bits % 300, 1 + (bits >> 40) % 28),
    }
}

fn header_text(options: &SimulateOptions) -> String {
    let mut text = "@HD\tVN:1.6\tSO:coordinate\n".to_owned();
    for contig in &options.contigs {
        text += &format!("@SQ\tSN:{}\tLN:{}\n", contig.name, contig.length);
    }
    let sample = &options.sample;
    let platform = match options.kind {
        ReadKind::Paired(_) => "ILLUMINA",
        ReadKind::Long => "PACBIO",
    };
    for lane in 1..=4 {
        text +=
            &format!("@RG\tID:{sample}.L{lane}\tSM:{sample}\tLB:{sample}.lib1\tPL:{platform}\n");
    }
    text + &format!("@PG\tID:simulate\tPN:simulate\tDS:seed {}\n", options.seed)
}

#[cfg(test)]
mod tests;

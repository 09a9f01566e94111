//! From a fragment of DNA to the two BAM records of its reads.

use std::fmt::Write;

use super::genome::{Copy, Genome, Variant};
use super::random::Random;
use super::{Qualities, READ_LEN};
use crate::records::alignments::record::{flags, reg2bin};

/// The codes of `A`, `C`, `G`, `T` in a record.
const CODES: [u8; 4] = [1, 2, 4, 8];
const LETTERS: [u8; 4] = *b"ACGT";
const CODE_N: u8 = 15;
const READ_GROUP: &[u8] = b"run1.1";
/// Indels are only shown where this many bases of the read lie on both sides.
const ANCHOR: usize = 10;

/// A piece of DNA, read from both ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    contig: Option<u32>,
    pub(super) start: u64,
    length: u64,
    copy: u8,
    is_duplicate: bool,
}

impl Fragment {
    pub(super) fn draw(contig: u32, start: u64, random: &mut Random) -> Self {
        let length = random.around(420, 90).clamp(READ_LEN as u64, 1_000);
        let copy = (random.next() & 1) as u8;
        Self { contig: Some(contig), start, length, copy, is_duplicate: false }
    }

    pub(super) fn unplaced() -> Self {
        Self { contig: None, start: 0, length: 0, copy: 0, is_duplicate: false }
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { is_duplicate: true, ..*self }
    }

    /// A number in the order of places: no read of this or a later fragment lies before it.
    pub(super) fn place(&self) -> u64 {
        self.contig.map_or(u64::MAX, |contig| place(contig, self.start))
    }
}

fn place(contig: u32, position: u64) -> u64 {
    u64::from(contig) << 40 | position
}

/// One read before it becomes a record.
#[derive(Debug, Default)]
struct Read {
    /// 0-based leftmost base; only for an aligned read.
    start: u64,
    end: u64,
    cigar: Vec<u32>,
    /// Base codes in the reference's direction.
    bases: Vec<u8>,
    qualities: Vec<u8>,
    md: String,
    differences: u8,
    score: u8,
}

/// Reads fragments.
#[derive(Debug)]
pub(super) struct Sequencer {
    genome: Genome,
    qualities: Qualities,
    /// For each quality, the chance of an error in 2³².
    errors: [u32; 64],
}

impl Sequencer {
    pub(super) fn new(genome: Genome, qualities: Qualities) -> Self {
        // 10^(-0.1) per step, by multiplication alone: powers differ between machines.
        let mut chance = 1.0_f64;
        let errors = std::array::from_fn(|_| {
            let of_two_to_32 = (chance * 4_294_967_295.0) as u32;
            chance *= 0.794_328_234_724_281_5;
            of_two_to_32
        });
        Self { genome, qualities, errors }
    }

    /// The two records of a fragment, each with its place.
    pub(super) fn pair(
        &self,
        fragment: &Fragment,
        serial: u64,
        random: &mut Random,
    ) -> [(u64, Vec<u8>); 2] {
        let name = name(serial);
        let Some(contig) = fragment.contig else {
            let record = |flag, random: &mut Random| {
                let read = self.stray(random);
                let bits = flags::PAIRED | flags::UNMAPPED | flags::MATE_UNMAPPED | flag;
                (u64::MAX, encode(&name, &read, &Fields::unplaced(bits)))
            };
            return [record(flags::READ1, random), record(flags::READ2, random)];
        };

        let mut walk = self.genome.copy(contig, fragment.copy);
        let right_start = fragment.start + fragment.length - READ_LEN as u64;
        let left = self.aligned(&mut walk, fragment.start, false, random);
        // A second read that does not align stands where its mate does (SAM specification, 1.4).
        let right = if random.one_in(150) {
            Read { start: left.start, ..self.stray(random) }
        } else {
            self.aligned(&mut walk, right_start, true, random)
        };

        let (mut left_flags, mut right_flags) = (flags::PAIRED, flags::PAIRED);
        let (first, second) = (flags::READ1, flags::READ2);
        let turned = random.next() & 1 == 1;
        left_flags |= if turned { second } else { first };
        right_flags |= if turned { first } else { second };
        if right.cigar.is_empty() {
            left_flags |= flags::MATE_UNMAPPED;
            right_flags |= flags::UNMAPPED;
        } else {
            left_flags |= flags::PROPER_PAIR | flags::MATE_REVERSE;
            right_flags |= flags::PROPER_PAIR | flags::REVERSE;
        }
        if fragment.is_duplicate {
            left_flags |= flags::DUPLICATE;
            right_flags |= flags::DUPLICATE;
        }
        let template = match right.cigar.is_empty() {
            true => 0,
            false => (right.end.max(left.end) - left.start.min(right.start)) as i32,
        };
        let quality = mapping_quality(random);
        let record = |own: &Read, mate: &Read, flag: u16, template_length: i32| {
            let fields = Fields {
                flags: flag,
                contig: contig as i32,
                position: own.start as i32,
                mapping_quality: if own.cigar.is_empty() { 0 } else { quality },
                mate_position: mate.start as i32,
                template_length,
                mate_cigar: &mate.cigar,
            };
            (place(contig, own.start), encode(&name, own, &fields))
        };
        // The mate that stands further left has the positive length.
        let sign = if right.start < left.start { -1 } else { 1 };
        [
            record(&left, &right, left_flags, sign * template),
            record(&right, &left, right_flags, -sign * template),
        ]
    }

    /// A record without mate and place.
    pub(super) fn odd_one(&self, serial: u64, random: &mut Random) -> Vec<u8> {
        encode(&name(serial), &self.stray(random), &Fields::unplaced(flags::UNMAPPED))
    }

    /// A read of something else.
    fn stray(&self, random: &mut Random) -> Read {
        let qualities = self.draw_qualities(random);
        let bases = (0..READ_LEN).map(|_| CODES[(random.next() & 3) as usize]).collect();
        Read { bases, qualities, ..Read::default() }
    }

    /// A read that aligns at `start`, or a little behind it where its front is clipped.
    fn aligned(&self, walk: &mut Copy, start: u64, reverse: bool, random: &mut Random) -> Read {
        let mut qualities = self.draw_qualities(random);
        if reverse {
            qualities.reverse();
        }
        let clip = if random.one_in(40) { 3 + random.below(40) as usize } else { 0 };
        let (front, back) = if random.next() & 1 == 0 { (clip, 0) } else { (0, clip) };
        let mut read = Read { start: start + front as u64, qualities, ..Read::default() };
        let foreign = |random: &mut Random, count| {
            (0..count).map(|_| CODES[(random.next() & 3) as usize]).collect()
        };
        read.bases = foreign(random, front);
        self.walk(walk, &mut read, READ_LEN - back, random);
        let clipped: Vec<u8> = foreign(random, back);
        read.bases.extend(clipped);
        if front > 0 {
            read.cigar.insert(0, (front as u32) << 4 | 4);
        }
        if back > 0 {
            read.cigar.push((back as u32) << 4 | 4);
        }
        read.score = read.score.saturating_sub(read.differences.saturating_mul(5));
        read
    }

    /// Follows the sample's copy until the read has `until` bases, noting every difference.
    fn walk(&self, walk: &mut Copy, read: &mut Read, until: usize, random: &mut Random) {
        let front = read.bases.len();
        let mut position = read.start;
        let mut same = 0_u32;
        while read.bases.len() < until {
            let at = read.bases.len();
            let anchored = at >= front + ANCHOR && at + ANCHOR + 8 <= until;
            let reference = walk.reference(position);
            let mut base = reference;
            match walk.variant(position) {
                Some(Variant::Base(other)) => base = other,
                Some(Variant::Insertion(length, seed)) if anchored => {
                    let inserted = (0..length).map(|i| CODES[(seed >> (2 * i) & 3) as usize]);
                    read.bases.extend(inserted);
                    extend(&mut read.cigar, 1, length);
                    read.differences = read.differences.saturating_add(length as u8);
                }
                Some(Variant::Deletion(length)) if anchored => {
                    let _ = write!(read.md, "{same}^");
                    same = 0;
                    for _ in 0..length {
                        read.md.push(char::from(LETTERS[usize::from(walk.reference(position))]));
                        position += 1;
                    }
                    extend(&mut read.cigar, 2, length);
                    read.differences = read.differences.saturating_add(length as u8);
                    continue;
                }
                _ => {}
            }
            // An insertion may have moved on.
            let quality = read.qualities[read.bases.len()];
            let mut code = CODES[usize::from(base)];
            let chance = random.next();
            if (chance as u32) < self.errors[usize::from(quality)] / 2 {
                let other = (base + 1 + ((chance >> 32) % 3) as u8) & 3;
                code = if quality <= 2 && chance >> 40 & 7 == 0 {
                    CODE_N
                } else {
                    CODES[usize::from(other)]
                };
            }
            if code == CODES[usize::from(reference)] {
                same += 1;
            } else {
                let letter = char::from(LETTERS[usize::from(reference)]);
                let _ = write!(read.md, "{same}{letter}");
                same = 0;
                read.differences = read.differences.saturating_add(1);
            }
            read.bases.push(code);
            extend(&mut read.cigar, 0, 1);
            position += 1;
        }
        read.md += &same.to_string();
        read.end = position;
        read.score = (until - front) as u8;
    }

    /// Qualities in the order of sequencing: high, drifting, falling towards the end, with dips.
    fn draw_qualities(&self, random: &mut Random) -> Vec<u8> {
        let badness = match random.below(10) {
            0 => random.below(14),
            _ => random.below(4),
        };
        let tail = if random.one_in(16) { READ_LEN as u64 - random.below(60) } else { u64::MAX };
        let mut last = 34;
        let mut qualities = Vec::with_capacity(READ_LEN);
        for cycle in 0..READ_LEN as u64 {
            let fall = cycle * cycle * (6 + badness) / (READ_LEN * READ_LEN) as u64;
            let level = (40 - badness / 2 - fall) as i64;
            let draw = random.next();
            let small = (draw >> 16 & 7) as i64;
            let quality = match draw & 0xff {
                _ if cycle >= tail => 2,
                _ if cycle < 5 => 31 + small % 4,
                0..=127 => last,
                128..=229 => level - small % 4 + (draw >> 24 & 1) as i64,
                230..=249 => level - 4 - small * 2,
                _ => 2 + small * 2,
            };
            last = quality.clamp(2, 41);
            qualities.push(last as u8);
        }
        if self.qualities == Qualities::Binned {
            for quality in &mut qualities {
                *quality = match *quality {
                    0..=4 => 2,
                    5..=17 => 12,
                    18..=28 => 23,
                    _ => 37,
                };
            }
        }
        qualities
    }
}

/// Lengthens the last operation, or begins another.
fn extend(cigar: &mut Vec<u32>, code: u32, length: u32) {
    match cigar.last_mut() {
        Some(last) if *last & 0xf == code => *last += length << 4,
        _ => cigar.push(length << 4 | code),
    }
}

fn mapping_quality(random: &mut Random) -> u8 {
    match random.below(100) {
        0..=1 => 0,
        2..=5 => 20 + random.below(40) as u8,
        _ => 60,
    }
}

/// A name as the instrument gives it: run, flow cell, lane, tile, and the place on the tile.
/// Neighbours on a chromosome lie anywhere on the flow cell, and no two have one place.
fn name(serial: u64) -> String {
    // Odd factors and shifts map the 2^41 numbers onto themselves, so that names differ.
    const MASK: u64 = (1 << 41) - 1;
    let mut spot = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) & MASK;
    spot ^= spot >> 20;
    spot = spot.wrapping_mul(0xd6e8_feb8_6659_fd93) & MASK;
    spot ^= spot >> 21;
    let mut take = |count: u64| {
        let value = spot % count;
        spot /= count;
        value
    };
    let (y, x, tile, swath, side) =
        (1_000 + take(36_000), 1_000 + take(31_000), 1 + take(78), take(4), take(2));
    let lane = 1 + take(4);
    format!("A00431:68:HGKV3DSXY:{lane}:{}{}{tile:02}:{x}:{y}", 1 + side, 1 + swath)
}

/// The fields of a record that its read does not know.
struct Fields<'a> {
    flags: u16,
    contig: i32,
    position: i32,
    mapping_quality: u8,
    mate_position: i32,
    template_length: i32,
    mate_cigar: &'a [u32],
}

impl Fields<'_> {
    fn unplaced(flags: u16) -> Self {
        Self {
            flags,
            contig: -1,
            position: -1,
            mapping_quality: 0,
            mate_position: -1,
            template_length: 0,
            mate_cigar: &[],
        }
    }
}

/// Writes a record in BAM's layout, with the tags that `bwa mem` writes.
fn encode(name: &str, read: &Read, fields: &Fields<'_>) -> Vec<u8> {
    let end = if read.cigar.is_empty() { i64::from(fields.position) + 1 } else { read.end as i64 };
    let mut bytes = Vec::with_capacity(400);
    let mut put = |part: &[u8]| bytes.extend_from_slice(part);
    put(&fields.contig.to_le_bytes());
    put(&fields.position.to_le_bytes());
    put(&[name.len() as u8 + 1, fields.mapping_quality]);
    put(&reg2bin(i64::from(fields.position), end).to_le_bytes());
    put(&(read.cigar.len() as u16).to_le_bytes());
    put(&fields.flags.to_le_bytes());
    put(&(read.bases.len() as u32).to_le_bytes());
    put(&fields.contig.to_le_bytes());
    put(&fields.mate_position.to_le_bytes());
    put(&fields.template_length.to_le_bytes());
    put(name.as_bytes());
    put(&[0]);
    for op in &read.cigar {
        put(&op.to_le_bytes());
    }
    for pair in read.bases.chunks(2) {
        put(&[pair[0] << 4 | pair.get(1).copied().unwrap_or(0)]);
    }
    put(&read.qualities);
    if !read.cigar.is_empty() {
        put(&[b'N', b'M', b'C', read.differences]);
        put(b"MDZ");
        put(read.md.as_bytes());
        put(&[0]);
    }
    if !fields.mate_cigar.is_empty() {
        put(b"MCZ");
        for op in fields.mate_cigar {
            put(format!("{}{}", op >> 4, char::from(b"MIDNS"[(op & 7) as usize % 5])).as_bytes());
        }
        put(&[0]);
    }
    if !read.cigar.is_empty() {
        put(&[b'A', b'S', b'C', read.score]);
        let second_best =
            if fields.mapping_quality < 60 { read.score - read.score / 8 } else { 19 };
        put(&[b'X', b'S', b'C', second_best]);
    }
    put(b"RGZ");
    put(READ_GROUP);
    put(&[0]);
    bytes
}

//! Alignments as BAM records, with the tags that bwa mem and samtools fixmate write.

use super::read::{Read, push_cigar, push_number};
use crate::records::alignments::record::{flags, reg2bin};

/// Qualities below this do not count in the `ms` tag.
const MIN_SCORED_QUALITY: u8 = 15;

/// One alignment of a read.
#[derive(Clone, Debug, Default)]
pub(super) struct Alignment {
    /// -1 for none.
    pub(super) contig: i32,
    pub(super) position: i32,
    pub(super) flags: u16,
    pub(super) mapping_quality: u8,
    pub(super) read: Read,
    pub(super) qualities: Vec<u8>,
    /// `NM`, `MD`, `AS`, `XS`.
    pub(super) distance: u32,
    pub(super) mismatches: Vec<u8>,
    pub(super) score: u32,
    pub(super) other_score: u32,
    /// `SA`, where the read is split.
    pub(super) split_into: Vec<u8>,
}

/// What a record says of the other read of its pair.
#[derive(Clone, Debug)]
pub(super) struct Mate {
    contig: i32,
    position: i32,
    /// The base at which sequencing began, 0-based.
    five_prime: i64,
    flags: u16,
    mapping_quality: u8,
    cigar: Vec<u8>,
    quality_sum: u32,
}

impl Alignment {
    fn is_mapped(&self) -> bool {
        self.flags & flags::UNMAPPED == 0
    }

    /// Sets the tags that follow from the read.
    pub(super) fn measure(&mut self) {
        self.distance = self.read.compare(&mut self.mismatches);
        self.score = self.read.score(self.distance);
    }

    fn five_prime(&self) -> i64 {
        let is_reverse = self.flags & flags::REVERSE != 0;
        i64::from(self.position) + if is_reverse { i64::from(self.read.span) } else { 0 }
    }

    /// This alignment as the other read sees it.
    pub(super) fn as_mate(&self) -> Mate {
        let mut cigar = Vec::new();
        push_cigar(&mut cigar, &self.read.cigar);
        if cigar.is_empty() {
            cigar.push(b'*');
        }
        let scored = self.qualities.iter().filter(|&&quality| quality >= MIN_SCORED_QUALITY);
        Mate {
            contig: self.contig,
            position: self.position,
            five_prime: self.five_prime(),
            flags: self.flags,
            mapping_quality: self.mapping_quality,
            cigar,
            quality_sum: scored.map(|&quality| u32::from(quality)).sum(),
        }
    }

    /// This alignment as an entry of `SA`.
    pub(super) fn as_split(&self, contig: &[u8]) -> Vec<u8> {
        let mut entry = contig.to_vec();
        entry.push(b',');
        push_number(&mut entry, (self.position + 1) as u32);
        entry.extend_from_slice(if self.flags & flags::REVERSE == 0 { b",+," } else { b",-," });
        push_cigar(&mut entry, &self.read.cigar);
        entry.push(b',');
        push_number(&mut entry, self.mapping_quality.into());
        entry.push(b',');
        push_number(&mut entry, self.distance);
        entry.push(b';');
        entry
    }

    /// Appends the record in BAM's layout, without `block_size`.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        name: &[u8],
        mate: Option<&Mate>,
        read_group: (&str, u32),
    ) {
        let mut bits = self.flags;
        let (mut mate_contig, mut mate_position, mut template_length) = (-1, -1, 0);
        if let Some(mate) = mate {
            (mate_contig, mate_position) = (mate.contig, mate.position);
            if mate.flags & flags::UNMAPPED != 0 {
                bits |= flags::MATE_UNMAPPED;
            }
            if mate.flags & flags::REVERSE != 0 {
                bits |= flags::MATE_REVERSE;
            }
            let both = self.is_mapped() && mate.flags & flags::UNMAPPED == 0;
            let is_primary = self.flags & (flags::SECONDARY | flags::SUPPLEMENTARY) == 0;
            if both && is_primary && mate.contig == self.contig {
                template_length = (mate.five_prime - self.five_prime()) as i32;
            }
        }
        let start = i64::from(self.position);
        let bin = reg2bin(start, start + i64::from(self.read.span.max(1)));
        out.extend(self.contig.to_le_bytes());
        out.extend(self.position.to_le_bytes());
        out.extend([name.len() as u8 + 1, self.mapping_quality]);
        out.extend(bin.to_le_bytes());
        out.extend((self.read.cigar.len() as u16).to_le_bytes());
        out.extend(bits.to_le_bytes());
        out.extend((self.read.bases.len() as u32).to_le_bytes());
        out.extend(mate_contig.to_le_bytes());
        out.extend(mate_position.to_le_bytes());
        out.extend(template_length.to_le_bytes());
        out.extend_from_slice(name);
        out.push(0);
        for op in &self.read.cigar {
            out.extend(op.to_le_bytes());
        }
        pack(&self.read.bases, out);
        out.extend_from_slice(&self.qualities);
        self.write_tags(out, mate, read_group);
    }

    fn write_tags(&self, out: &mut Vec<u8>, mate: Option<&Mate>, (sample, lane): (&str, u32)) {
        if self.is_mapped() {
            push_int(out, b"NM", self.distance);
        }
        if !self.mismatches.is_empty() {
            push_text(out, b"MD", &[&self.mismatches]);
        }
        push_int(out, b"AS", self.score);
        if self.flags & flags::SECONDARY == 0 {
            push_int(out, b"XS", self.other_score);
        }
        push_text(out, b"RG", &[sample.as_bytes(), b".L", &[b'0' + lane as u8]]);
        if !self.split_into.is_empty() {
            push_text(out, b"SA", &[&self.split_into]);
        }
        let is_primary = self.flags & (flags::SECONDARY | flags::SUPPLEMENTARY) == 0;
        if let Some(mate) = mate.filter(|_| is_primary) {
            if mate.flags & flags::UNMAPPED == 0 {
                push_int(out, b"MQ", mate.mapping_quality.into());
            }
            if mate.contig >= 0 {
                push_text(out, b"MC", &[&mate.cigar]);
            }
            push_int(out, b"ms", mate.quality_sum);
        }
    }
}

/// Appends bases in BAM's 4-bit codes, two to a byte.
fn pack(bases: &[u8], out: &mut Vec<u8>) {
    const CODES: [u8; 8] = [1, 2, 4, 8, 15, 15, 15, 15];
    let code = |base: u8| CODES[usize::from(base & 7)];
    out.extend(bases.chunks(2).map(|pair| match *pair {
        [high, low] => code(high) << 4 | code(low),
        [high] => code(high) << 4,
        _ => 0,
    }));
}

/// Appends an integer tag of the narrowest type, as samtools makes it from text.
fn push_int(out: &mut Vec<u8>, name: &[u8; 2], value: u32) {
    out.extend_from_slice(name);
    match value {
        0..=0xff => out.extend([b'C', value as u8]),
        0x100..=0xffff => {
            out.push(b'S');
            out.extend((value as u16).to_le_bytes());
        }
        _ => {
            out.push(b'I');
            out.extend(value.to_le_bytes());
        }
    }
}

fn push_text(out: &mut Vec<u8>, name: &[u8; 2], parts: &[&[u8]]) {
    out.extend_from_slice(name);
    out.push(b'Z');
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(0);
}

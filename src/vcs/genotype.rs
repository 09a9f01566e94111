//! Genotypes of a block of samples as bit planes.
//!
//! Sample `i` of a block is bit `i` of each plane, counted from the most significant bit of the
//! first byte, as SQL's `get_bit` and NumPy's `unpackbits` count.
//!
//! | plane | bit is set where |
//! |---|---|
//! | `GT_ALT1` | the first allele is not the reference |
//! | `GT_ALT2` | the second allele is not the reference |
//! | `GT_MISSING` | an allele is missing |
//! | `GT_PHASED` | the separator is `|` |
//! | `GT_HAPLOID` | there is one allele only |
//!
//! `GT_OTHER` lists the genotypes that these do not tell whole (alleles from 2 on, three alleles,
//! one of two missing), as `sample=genotype` separated by commas, samples counted from 0.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray};
use arrow_buffer::{Buffer, NullBuffer};

use super::column::{Builder, Physical, View};
use super::number;
use crate::error::{Error, Result};

/// The planes, in the order of their columns.
pub(super) const PLANES: [&str; 5] =
    ["GT_ALT1", "GT_ALT2", "GT_MISSING", "GT_PHASED", "GT_HAPLOID"];
/// The column of all that planes do not tell.
pub(super) const OTHER: &str = "GT_OTHER";

const ALT1: usize = 0;
const ALT2: usize = 1;
const MISSING: usize = 2;
const PHASED: usize = 3;
const HAPLOID: usize = 4;

/// Planes that grow by rows.
#[derive(Debug)]
pub(super) struct PlaneBuilder {
    width: usize,
    planes: [Vec<u8>; 5],
    present: Vec<bool>,
    other: Builder,
    other_text: Vec<u8>,
}

impl PlaneBuilder {
    pub(super) fn new(samples: usize) -> Self {
        Self {
            width: samples.div_ceil(8),
            planes: Default::default(),
            present: Vec::new(),
            other: Builder::new(Physical::String, false, false),
            other_text: Vec::new(),
        }
    }

    /// Begins a row.
    pub(super) fn open_row(&mut self, present: bool) {
        self.present.push(present);
        for plane in &mut self.planes {
            plane.resize(plane.len() + self.width, 0);
        }
    }

    /// Sets a sample's genotype in the row; `false` where the text can be stored nowhere here.
    pub(super) fn set(&mut self, sample: usize, text: &[u8]) -> bool {
        match *text {
            [a, separator @ (b'|' | b'/'), b] if is_allele(a) && is_allele(b) => {
                self.put(ALT1, sample, a != b'0' && a != b'.');
                self.put(ALT2, sample, b != b'0' && b != b'.');
                self.put(MISSING, sample, a == b'.' || b == b'.');
                self.put(PHASED, sample, separator == b'|');
                let is_told = a <= b'1' && b <= b'1' && (a == b'.') == (b == b'.');
                is_told || self.push_other(sample, text)
            }
            [a] if is_allele(a) => {
                self.put(ALT1, sample, a != b'0' && a != b'.');
                self.put(MISSING, sample, a == b'.');
                self.put(HAPLOID, sample, true);
                a <= b'1' || self.push_other(sample, text)
            }
            _ => self.set_odd(sample, text),
        }
    }

    fn set_odd(&mut self, sample: usize, text: &[u8]) -> bool {
        let is_genotype = |&byte: &u8| byte.is_ascii_digit() || b"|/.".contains(&byte);
        if text.is_empty() || !text.iter().all(is_genotype) {
            return false;
        }
        let prefix = matches!(text[0], b'|' | b'/');
        let alleles = text[usize::from(prefix)..].split(|byte| matches!(byte, b'|' | b'/'));
        let mut count = 0;
        for allele in alleles {
            let is_alternate = allele != b"." && allele.iter().any(|&digit| digit != b'0');
            match count {
                0 => self.put(ALT1, sample, is_alternate),
                _ if is_alternate => self.put(ALT2, sample, true),
                _ => {}
            }
            if allele == b"." {
                self.put(MISSING, sample, true);
            }
            count += 1;
        }
        self.put(HAPLOID, sample, count == 1);
        self.put(PHASED, sample, text[usize::from(prefix)..].contains(&b'|'));
        self.push_other(sample, text)
    }

    fn push_other(&mut self, sample: usize, text: &[u8]) -> bool {
        if !self.other_text.is_empty() {
            self.other_text.push(b',');
        }
        number::push_integer(sample as i64, &mut self.other_text);
        self.other_text.push(b'=');
        self.other_text.extend_from_slice(text);
        true
    }

    #[inline]
    fn put(&mut self, plane: usize, sample: usize, set: bool) {
        let row = self.planes[plane].len() - self.width;
        self.planes[plane][row + sample / 8] |= u8::from(set) << (7 - sample % 8);
    }

    /// Takes `samples` genotypes of four bytes each (`0|1` and a tab), as most lines have them, as
    /// long as they come; returns how many came.
    pub(super) fn set_regular(&mut self, cells: &[u8], samples: usize) -> usize {
        let start = self.planes[ALT1].len() - self.width;
        let mut taken = 0;
        for eight in cells.as_chunks::<32>().0.iter().take(samples / 8) {
            let Some([first, second, phased]) = regular_eight(eight) else { break };
            let byte = start + taken / 8;
            self.planes[ALT1][byte] = first;
            self.planes[ALT2][byte] = second;
            self.planes[PHASED][byte] = phased;
            taken += 8;
        }
        let rest = cells.get(4 * taken..).unwrap_or_default();
        for cell in rest.chunks(4).take(samples - taken) {
            let &[a, separator, b, ref tab @ ..] = cell else { break };
            let is_regular = matches!(a, b'0' | b'1')
                && matches!(b, b'0' | b'1')
                && matches!(separator, b'|' | b'/')
                && matches!(tab, [] | [b'\t']);
            if !is_regular {
                break;
            }
            let (byte, shift) = (start + taken / 8, 7 - taken % 8);
            self.planes[ALT1][byte] |= (a & 1) << shift;
            self.planes[ALT2][byte] |= (b & 1) << shift;
            self.planes[PHASED][byte] |= u8::from(separator == b'|') << shift;
            taken += 1;
        }
        taken
    }

    /// Ends a row.
    pub(super) fn close_row(&mut self) {
        if self.other_text.is_empty() {
            self.other.push_null();
        } else {
            self.other.push_plain(&self.other_text);
            self.other_text.clear();
        }
    }

    /// The planes and the column of what they do not tell.
    pub(super) fn finish(self) -> Result<Vec<ArrayRef>> {
        let failed = |error| Error::internal("building a plane").caused_by(error);
        let nulls = (!self.present.iter().all(|&present| present))
            .then(|| NullBuffer::from(self.present.clone()));
        let width = i32::try_from(self.width).unwrap_or(i32::MAX);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(6);
        for plane in self.planes {
            let array =
                FixedSizeBinaryArray::try_new(width, Buffer::from_vec(plane), nulls.clone());
            arrays.push(Arc::new(array.map_err(failed)?));
        }
        arrays.push(self.other.finish()?);
        Ok(arrays)
    }
}

/// The bits of eight genotypes such as `0|1`, each with a tab behind it: of the first alleles, the
/// second, and the separators; none where any is another.
#[inline]
fn regular_eight(cells: &[u8; 32]) -> Option<[u8; 3]> {
    let (mut first, mut second, mut phased) = (0, 0, 0);
    let mut are_regular = true;
    for cell in cells.as_chunks::<4>().0 {
        let [allele, separator, other, tab] = *cell;
        let is_phased = separator == b'|';
        are_regular &= allele | 1 == b'1'
            && other | 1 == b'1'
            && tab == b'\t'
            && (is_phased || separator == b'/');
        first = first << 1 | allele & 1;
        second = second << 1 | other & 1;
        phased = phased << 1 | u8::from(is_phased);
    }
    are_regular.then_some([first, second, phased])
}

fn is_allele(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

/// Planes that were read.
pub(super) struct PlaneView<'v> {
    planes: [&'v View; 5],
    other: &'v View,
}

/// The genotypes of a row.
pub(super) struct PlaneRow<'v> {
    planes: [&'v [u8]; 5],
    /// What the planes do not tell, by sample.
    other: Vec<(usize, &'v str)>,
}

impl<'v> PlaneView<'v> {
    /// Of the planes' columns and the one after.
    pub(super) fn new(columns: &'v [Option<View>]) -> Option<Self> {
        let plane = |at: usize| columns.get(at).and_then(Option::as_ref);
        Some(Self {
            planes: [plane(0)?, plane(1)?, plane(2)?, plane(3)?, plane(4)?],
            other: plane(5)?,
        })
    }

    /// Whether row `row` has genotypes.
    pub(super) fn has_row(&self, row: usize) -> bool {
        self.planes[ALT1].plane(row).is_some()
    }

    /// The genotypes of row `row`.
    pub(super) fn row(&self, row: usize) -> Result<PlaneRow<'v>> {
        let missing = || Error::corrupt("a row has no genotypes where its FORMAT has");
        let mut planes = [&[][..]; 5];
        for (plane, view) in planes.iter_mut().zip(&self.planes) {
            *plane = view.plane(row).ok_or_else(missing)?;
        }
        let mut other = Vec::new();
        for entry in self.other.text(row).into_iter().flat_map(|text| text.split(',')) {
            let parsed =
                entry.split_once('=').and_then(|(at, text)| Some((at.parse().ok()?, text)));
            other.push(parsed.ok_or_else(|| {
                Error::corrupt("GT_OTHER is not as specified").expected("sample=genotype")
            })?);
        }
        Ok(PlaneRow { planes, other })
    }
}

impl PlaneRow<'_> {
    /// Appends the genotype of a sample.
    #[inline]
    pub(super) fn push_text(&self, sample: usize, out: &mut Vec<u8>) {
        if !self.other.is_empty()
            && let Ok(found) = self.other.binary_search_by_key(&sample, |(at, _)| *at)
        {
            out.extend_from_slice(self.other[found].1.as_bytes());
            return;
        }
        let bit = |plane: usize| self.byte(plane, sample / 8) >> (7 - sample % 8) & 1;
        let is_missing = bit(MISSING) == 1;
        let allele = |plane| if is_missing { b'.' } else { b'0' + bit(plane) };
        if bit(HAPLOID) == 1 {
            out.push(allele(ALT1));
        } else {
            let separator = if bit(PHASED) == 1 { b'|' } else { b'/' };
            out.extend_from_slice(&[allele(ALT1), separator, allele(ALT2)]);
        }
    }

    /// Appends the genotypes of the first `samples` samples, each after a tab.
    pub(super) fn push_all(&self, samples: usize, out: &mut Vec<u8>) {
        let mut others = self.other.iter().map(|(sample, _)| sample / 8).peekable();
        for (at, start) in (0..samples).step_by(8).enumerate() {
            let is_told = others.next_if(|&other| other <= at).is_none();
            while others.next_if(|&other| other <= at).is_some() {}
            let is_diploid = self.byte(MISSING, at) | self.byte(HAPLOID, at) == 0;
            if is_told && is_diploid && start + 8 <= samples {
                out.extend_from_slice(&self.eight(at));
                continue;
            }
            for sample in start..samples.min(start + 8) {
                out.push(b'\t');
                self.push_text(sample, out);
            }
        }
    }

    /// Eight diploid genotypes without a missing allele: those of byte `at` of the planes.
    #[inline]
    fn eight(&self, at: usize) -> [u8; 32] {
        let [first, second, phased] = [ALT1, ALT2, PHASED].map(|plane| self.byte(plane, at));
        let mut text = [b'\t'; 32];
        for (place, cell) in text.chunks_exact_mut(4).enumerate() {
            let bit = |byte: u8| byte >> (7 - place) & 1;
            cell[1] = b'0' + bit(first);
            cell[2] = b'/' + bit(phased) * (b'|' - b'/');
            cell[3] = b'0' + bit(second);
        }
        text
    }

    #[inline]
    fn byte(&self, plane: usize, at: usize) -> u8 {
        self.planes[plane].get(at).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_planes_give_genotypes_again() {
        let texts = [
            "0|0", "0/1", "1|1", "./.", ".|.", ".", "0", "1", "2", "1|2", "0/1/1", "./1", "|0/1",
            "10|0", "0|", "/1", "0/0/0/1",
        ];
        let mut planes = PlaneBuilder::new(texts.len());
        planes.open_row(true);
        for (sample, text) in texts.iter().enumerate() {
            assert!(planes.set(sample, text.as_bytes()), "{text}");
        }
        assert!(!planes.set(0, b"0,1"));
        planes.close_row();
        let views: Vec<Option<View>> =
            planes.finish().unwrap().iter().map(|array| View::new(array, 0).ok()).collect();
        let row = PlaneView::new(&views).unwrap().row(0).unwrap();
        for (sample, text) in texts.iter().enumerate() {
            let mut out = Vec::new();
            row.push_text(sample, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn test_all_genotypes_of_a_row_are_those_of_each_sample() {
        let texts: Vec<String> = (0..261)
            .map(|sample| match sample {
                100 => "./.".to_owned(),
                130 => "1".to_owned(),
                77 | 78 | 260 => "2|0".to_owned(),
                _ => format!("{}{}{}", sample & 1, ["/", "|"][sample >> 1 & 1], sample >> 2 & 1),
            })
            .collect();
        for count in [1, 7, 8, 64, 104, 256, 261] {
            let mut planes = PlaneBuilder::new(count);
            planes.open_row(true);
            for (sample, text) in texts[..count].iter().enumerate() {
                assert!(planes.set(sample, text.as_bytes()), "{text}");
            }
            planes.close_row();
            let views: Vec<Option<View>> =
                planes.finish().unwrap().iter().map(|array| View::new(array, 0).ok()).collect();
            let row = PlaneView::new(&views).unwrap().row(0).unwrap();
            let mut out = Vec::new();
            row.push_all(count, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("\t{}", texts[..count].join("\t")));
        }
    }
}

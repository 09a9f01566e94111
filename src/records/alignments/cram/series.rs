//! The compression header of a container (CRAM specification §8.4): what is kept, and how each data
//! series is encoded.

use std::collections::HashMap;

use super::bytes::{Bytes, Numbers};
use super::encoding::{Arrays, Bind, Slot, Values};
use crate::error::{Error, Result};

/// The encodings of all data series; bound to a slice, they refer to its streams.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    pub(super) bam_flags: Option<Values>,
    pub(super) cram_flags: Option<Values>,
    pub(super) ref_id: Option<Values>,
    pub(super) read_length: Option<Values>,
    pub(super) position: Option<Values>,
    pub(super) read_group: Option<Values>,
    pub(super) name: Option<Arrays>,
    pub(super) mate_flags: Option<Values>,
    pub(super) mate_ref_id: Option<Values>,
    pub(super) mate_position: Option<Values>,
    pub(super) template_length: Option<Values>,
    pub(super) mate_distance: Option<Values>,
    pub(super) tag_line: Option<Values>,
    pub(super) feature_count: Option<Values>,
    pub(super) feature_code: Option<Values>,
    pub(super) feature_position: Option<Values>,
    pub(super) deletion_length: Option<Values>,
    pub(super) bases: Option<Arrays>,
    pub(super) qualities: Option<Arrays>,
    pub(super) substitution: Option<Values>,
    pub(super) insertion: Option<Arrays>,
    pub(super) skip_length: Option<Values>,
    pub(super) padding: Option<Values>,
    pub(super) hard_clip: Option<Values>,
    pub(super) soft_clip: Option<Arrays>,
    pub(super) mapping_quality: Option<Values>,
    pub(super) base: Option<Values>,
    pub(super) quality: Option<Values>,
    /// By tag name and type.
    pub(super) tags: HashMap<[u8; 3], Option<Arrays>>,
}

impl Series {
    fn parse(bytes: &mut Bytes<'_>) -> Result<Self> {
        let mut series = Self::default();
        let (mut map, count) = map(bytes)?;
        for _ in 0..count {
            let key = map.take(2)?;
            let m = &mut map;
            match key {
                b"BF" => series.bam_flags = Values::parse(m)?,
                b"CF" => series.cram_flags = Values::parse(m)?,
                b"RI" => series.ref_id = Values::parse(m)?,
                b"RL" => series.read_length = Values::parse(m)?,
                b"AP" => series.position = Values::parse(m)?,
                b"RG" => series.read_group = Values::parse(m)?,
                b"RN" => series.name = Arrays::parse(m)?,
                b"MF" => series.mate_flags = Values::parse(m)?,
                b"NS" => series.mate_ref_id = Values::parse(m)?,
                b"NP" => series.mate_position = Values::parse(m)?,
                b"TS" => series.template_length = Values::parse(m)?,
                b"NF" => series.mate_distance = Values::parse(m)?,
                b"TL" => series.tag_line = Values::parse(m)?,
                b"FN" => series.feature_count = Values::parse(m)?,
                b"FC" => series.feature_code = Values::parse(m)?,
                b"FP" => series.feature_position = Values::parse(m)?,
                b"DL" => series.deletion_length = Values::parse(m)?,
                b"BB" => series.bases = Arrays::parse(m)?,
                b"QQ" => series.qualities = Arrays::parse(m)?,
                b"BS" => series.substitution = Values::parse(m)?,
                b"IN" => series.insertion = Arrays::parse(m)?,
                b"RS" => series.skip_length = Values::parse(m)?,
                b"PD" => series.padding = Values::parse(m)?,
                b"HC" => series.hard_clip = Values::parse(m)?,
                b"SC" => series.soft_clip = Arrays::parse(m)?,
                b"MQ" => series.mapping_quality = Values::parse(m)?,
                b"BA" => series.base = Values::parse(m)?,
                b"QS" => series.quality = Values::parse(m)?,
                // TC and TN are remnants of CRAM 1.0.
                _ => {
                    m.itf8()?;
                    let len = m.length()?;
                    m.take(len)?;
                }
            }
        }
        Ok(series)
    }

    /// The encodings as they apply to a slice whose blocks have these slots.
    pub(super) fn bind(&self, slots: &HashMap<i32, Slot>, missing: Slot) -> Self {
        macro_rules! bind {
            ($($field:ident)*) => {
                Self {
                    $($field: self.$field.bound(slots, missing),)*
                    tags: self
                        .tags
                        .iter()
                        .map(|(key, encoding)| (*key, encoding.bound(slots, missing)))
                        .collect(),
                }
            };
        }
        bind! {
            bam_flags cram_flags ref_id read_length position read_group name mate_flags mate_ref_id
            mate_position template_length mate_distance tag_line feature_count feature_code
            feature_position deletion_length bases qualities substitution insertion skip_length
            padding hard_clip soft_clip mapping_quality base quality
        }
    }
}

/// The compression header.
#[derive(Clone, Debug)]
pub(super) struct CompressionHeader {
    /// Names are stored for all records, not only where a mate is elsewhere.
    pub(super) has_names: bool,
    /// Positions are differences.
    pub(super) has_position_deltas: bool,
    /// Bases are differences from a reference.
    pub(super) needs_reference: bool,
    /// Qualities are in the order of SEQ, not in that of the sequencer.
    pub(super) qualities_in_order: bool,
    /// For each of A, C, G, T and N of the reference, the bases of the codes 0 to 3.
    pub(super) substitutions: [[u8; 4]; 5],
    /// For each number in the series TL, the names and types of a record's tags.
    pub(super) tag_lines: Vec<Vec<[u8; 3]>>,
    pub(super) series: Series,
}

impl CompressionHeader {
    pub(super) fn parse(data: &[u8]) -> Result<Self> {
        let mut bytes = Bytes(data);
        let mut header = Self {
            has_names: true,
            has_position_deltas: true,
            needs_reference: true,
            qualities_in_order: true,
            substitutions: substitutions([0x1b; 5]),
            tag_lines: Vec::new(),
            series: Series::default(),
        };
        let (mut preserved, count) = map(&mut bytes)?;
        for _ in 0..count {
            match preserved.take(2)? {
                b"RN" => header.has_names = preserved.u8()? != 0,
                b"AP" => header.has_position_deltas = preserved.u8()? != 0,
                b"RR" => header.needs_reference = preserved.u8()? != 0,
                b"QO" => header.qualities_in_order = preserved.u8()? != 0,
                b"SM" => {
                    let matrix = preserved.take(5)?;
                    header.substitutions =
                        substitutions([matrix[0], matrix[1], matrix[2], matrix[3], matrix[4]]);
                }
                b"TD" => {
                    let len = preserved.length()?;
                    header.tag_lines = tag_lines(preserved.take(len)?);
                }
                key => {
                    return Err(Error::unsupported(
                        "an entry of the preservation map is not known",
                    )
                    .found(String::from_utf8_lossy(key))
                    .help("convert the file with `samtools view -O cram,version=3.0`"));
                }
            }
        }
        header.series = Series::parse(&mut bytes)?;
        let (mut tags, count) = map(&mut bytes)?;
        for _ in 0..count {
            let [_, key @ ..] = tags.itf8()?.to_be_bytes();
            header.series.tags.insert(key, Arrays::parse(&mut tags)?);
        }
        Ok(header)
    }
}

/// The bytes of a map and its number of entries.
fn map<'a>(bytes: &mut Bytes<'a>) -> Result<(Bytes<'a>, usize)> {
    let len = bytes.length()?;
    let mut map = Bytes(bytes.take(len)?);
    let count = map.length()?;
    Ok((map, count))
}

/// Five bytes, each with the codes of the other four bases in the order A, C, G, T, N.
fn substitutions(matrix: [u8; 5]) -> [[u8; 4]; 5] {
    let mut table = [[b'N'; 4]; 5];
    for (reference, codes) in matrix.into_iter().enumerate() {
        let others = (0..5).filter(|base| *base != reference);
        for (index, base) in others.enumerate() {
            let code = codes >> (6 - 2 * index) & 3;
            table[reference][usize::from(code)] = b"ACGTN"[base];
        }
    }
    table
}

fn tag_lines(dictionary: &[u8]) -> Vec<Vec<[u8; 3]>> {
    let dictionary = dictionary.strip_suffix(&[0]).unwrap_or(dictionary);
    dictionary
        .split(|byte| *byte == 0)
        .map(|line| line.chunks_exact(3).map(|tag| [tag[0], tag[1], tag[2]]).collect())
        .collect()
}

//! Hail Tables of made-up VRS annotations, of any size: as Hail writes them, without Hail.
//!
//! Each partition follows from the seed and its number alone, so that a table of thousands is made
//! in the memory of one.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::random::Random;
use crate::codec::varint;
use crate::error::{Error, Result};
use crate::pipeline::ordered;
use crate::store::Store;

/// Inflated bytes of a block.
const BLOCK: usize = 64 << 10;

/// Contigs of GRCh38 and their lengths in megabases, which share the rows.
const CONTIGS: [(&str, u64); 24] = [
    ("chr1", 248),
    ("chr2", 242),
    ("chr3", 198),
    ("chr4", 190),
    ("chr5", 181),
    ("chr6", 170),
    ("chr7", 159),
    ("chr8", 145),
    ("chr9", 138),
    ("chr10", 133),
    ("chr11", 135),
    ("chr12", 133),
    ("chr13", 114),
    ("chr14", 107),
    ("chr15", 101),
    ("chr16", 90),
    ("chr17", 83),
    ("chr18", 80),
    ("chr19", 58),
    ("chr20", 64),
    ("chr21", 46),
    ("chr22", 50),
    ("chrX", 156),
    ("chrY", 57),
];

/// A table to make.
#[derive(Clone, Copy, Debug)]
pub struct VrsTable {
    /// How many partitions.
    pub partitions: u64,
    /// Rows of each.
    pub rows: u64,
    /// The seed of its values.
    pub seed: u64,
    /// Written as by 0.2.139 (format 1.8), else as by 0.2.137 (1.7).
    pub newest: bool,
}

/// Where a row lies.
struct Row {
    contig: &'static str,
    position: u64,
    reference: &'static str,
    alternate: &'static str,
}

impl VrsTable {
    /// Writes the table to `store` on so many threads.
    ///
    /// # Errors
    ///
    /// When the store cannot be written to.
    pub fn write(&self, store: &Store, threads: usize) -> Result<()> {
        let mut next = 0..self.partitions;
        ordered(
            threads,
            threads * 2,
            || Ok(next.next()),
            |partition| {
                let bytes = self.part(partition)?;
                store.put(&format!("rows/parts/{}", name_of(partition)), Bytes::from(bytes))
            },
            |()| Ok(()),
        )?;
        let mut globals = Packer::new(self.newest);
        globals.byte(1)?;
        globals.byte(0)?;
        store.put("globals/parts/part-0", Bytes::from(globals.finish()?))?;
        put_json(store, "globals/metadata.json.gz", &self.globals())?;
        put_json(store, "rows/metadata.json.gz", &self.rows_metadata())?;
        put_json(store, "metadata.json.gz", &self.metadata())?;
        store.put("_SUCCESS", Bytes::new())
    }

    /// How many rows it has.
    pub fn len(&self) -> u64 {
        self.partitions * self.rows
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `at` of the table. One in ten is another allele of the locus before it.
    fn row(&self, at: u64) -> Row {
        let total: u64 = CONTIGS.iter().map(|(_, length)| length).sum();
        let (mut before, mut start) = (0, 0);
        let mut found = ("chrY", 57, 0, self.len());
        for (contig, length) in CONTIGS {
            before += length;
            let end = self.len() * before / total;
            if at < end {
                found = (contig, length, start, end);
                break;
            }
            start = end;
        }
        let (contig, length, start, end) = found;
        let at = at - start;
        let is_other_allele = at % 10 == 9;
        let locus = at - u64::from(is_other_allele);
        let gap = ((length * 1_000_000 - 20_000) / (end - start).max(1)).max(1);
        let mut random = Random::new(self.seed ^ (start + locus).wrapping_mul(0x9e37_79b9));
        // Alternates in order, so that those of one locus ascend.
        let (reference, alternates) = match random.below(4) {
            0 => ("A", ["AC", "C", "G", "GTTTA", "T"]),
            1 => ("C", ["A", "AAG", "G", "GA", "T"]),
            2 => ("G", ["A", "C", "CTT", "T", "TGGGA"]),
            _ => ("T", ["A", "C", "CCAG", "G", "GTG"]),
        };
        let (first, other) = alternates.split_at(3);
        let choice = random.below(6) as usize;
        let alternate = if is_other_allele { other[choice % 2] } else { first[choice % 3] };
        Row { contig, position: 10_000 + locus * gap, reference, alternate }
    }

    fn part(&self, partition: u64) -> Result<Vec<u8>> {
        let mut out = Packer::new(self.newest);
        let mut random = Random::new(self.seed.wrapping_add(partition).wrapping_mul(0x2545_f491));
        for at in partition * self.rows..(partition + 1) * self.rows {
            let row = self.row(at);
            out.byte(1)?;
            out.text(row.contig)?;
            out.number(row.position)?;
            out.number(2)?;
            out.text(row.reference)?;
            out.text(row.alternate)?;
            // One row in a thousand has an error and nothing else.
            if random.below(1_000) == 0 {
                out.byte(0b111_1101)?;
                out.number(1)?;
                out.byte(0)?;
                out.text("Reference mismatch")?;
                continue;
            }
            out.byte(0b000_0010)?;
            out.number(2)?;
            out.byte(0)?;
            for _ in 0..2 {
                out.id(&mut random)?;
            }
            let start = row.position - 1;
            let ends = [start, start + row.reference.len() as u64];
            for end in ends {
                out.number(2)?;
                out.byte(0)?;
                out.number(end)?;
                out.number(end)?;
            }
            out.number(2)?;
            out.byte(0)?;
            out.text(row.reference)?;
            out.text(row.alternate)?;
            for _ in 0..2 {
                out.number(2)?;
                let is_substitution = row.alternate.len() == row.reference.len();
                out.byte(if is_substitution { 0b10 } else { 0 })?;
                out.number(1)?;
                if !is_substitution {
                    out.number(row.alternate.len() as u64)?;
                }
            }
        }
        out.byte(0)?;
        out.finish()
    }

    fn codec(&self, encoded: &str, of: &str) -> Value {
        let blocks = |stream: &str| {
            json!({
                "name": "BlockingBufferSpec",
                "blockSize": BLOCK,
                "child": {
                    "name": "ZstdBlockBufferSpec",
                    "blockSize": BLOCK,
                    "child": { "name": stream },
                },
            })
        };
        let (encoded, buffers) = if self.newest {
            let names = [("EBinary", "EBinary2"), ("EArray", "EArray2"), ("EInt32", "EVarint")];
            let renamed = names.iter().fold(encoded.to_owned(), |text, (a, b)| text.replace(a, b));
            (renamed, blocks("StreamBlockBufferSpec2"))
        } else {
            let child = blocks("StreamBlockBufferSpec");
            (encoded.to_owned(), json!({ "name": "LEB128BufferSpec", "child": child }))
        };
        json!({ "name": "TypedCodecSpec", "_eType": encoded, "_vType": of, "_bufferSpec": buffers })
    }

    fn globals(&self) -> Value {
        json!({
            "name": "OrderedRVDSpec2",
            "_key": [],
            "_codecSpec": self.codec("+EBaseStruct{}", "Struct{}"),
            "_partFiles": ["part-0"],
            "_jRangeBounds": [{ "start": {}, "end": {}, "includeStart": true, "includeEnd": true }],
            "_attrs": {},
        })
    }

    fn rows_metadata(&self) -> Value {
        let key = |at: u64| {
            let row = self.row(at);
            json!({
                "locus": { "contig": row.contig, "position": row.position },
                "alleles": [row.reference, row.alternate],
            })
        };
        let bounds = |partition: u64| {
            let (first, last) = (partition * self.rows, (partition + 1) * self.rows);
            json!({
                "start": key(first),
                "end": key(last.saturating_sub(1).max(first)),
                "includeStart": true,
                "includeEnd": true,
            })
        };
        json!({
            "name": "OrderedRVDSpec2",
            "_key": ["locus", "alleles"],
            "_codecSpec": self.codec(ENCODED, ROW),
            "_partFiles": (0..self.partitions).map(name_of).collect::<Vec<_>>(),
            "_jRangeBounds": (0..self.partitions).map(bounds).collect::<Vec<_>>(),
            "_attrs": {},
        })
    }

    fn metadata(&self) -> Value {
        let (version, hail) = if self.newest { (67_584, "0.2.139") } else { (67_328, "0.2.137") };
        json!({
            "name": "TableSpec",
            "file_version": version,
            "hail_version": hail,
            "references_rel_path": "references",
            "table_type": format!("Table{{global:Struct{{}},key:[locus,alleles],row:{ROW}}}"),
            "components": {
                "globals": { "name": "RVDComponentSpec", "rel_path": "globals" },
                "rows": { "name": "RVDComponentSpec", "rel_path": "rows" },
                "partition_counts": {
                    "name": "PartitionCountsComponentSpec",
                    "counts": vec![self.rows; self.partitions as usize],
                },
            },
        })
    }
}

const ROW: &str = "Struct{locus:Locus(GRCh38),alleles:Array[String],info:Struct{\
    VRS_Allele_IDs:Array[String],VRS_Error:Array[String],VRS_Starts:Array[Int32],\
    VRS_Ends:Array[Int32],VRS_States:Array[String],VRS_Lengths:Array[Int32],\
    VRS_RepeatSubunitLengths:Array[Int32]}}";

const ENCODED: &str = "+EBaseStruct{locus:+EBaseStruct{contig:+EBinary,position:+EInt32},\
    alleles:+EArray[+EBinary],info:+EBaseStruct{VRS_Allele_IDs:EArray[EBinary],\
    VRS_Error:EArray[EBinary],VRS_Starts:EArray[EInt32],VRS_Ends:EArray[EInt32],\
    VRS_States:EArray[EBinary],VRS_Lengths:EArray[EInt32],VRS_RepeatSubunitLengths:EArray[EInt32]}}";

fn name_of(partition: u64) -> String {
    format!("part-{partition:05}")
}

fn put_json(store: &Store, key: &str, json: &Value) -> Result<()> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Error::internal("compressing metadata").caused_by(error);
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(json.to_string().as_bytes()).map_err(failed)?;
    store.put(key, Bytes::from(out.finish().map_err(failed)?))
}

/// Values on their way into blocks.
struct Packer {
    newest: bool,
    block: Vec<u8>,
    out: Vec<u8>,
}

impl Packer {
    fn new(newest: bool) -> Self {
        Self { newest, block: Vec::with_capacity(BLOCK), out: Vec::new() }
    }

    fn byte(&mut self, byte: u8) -> Result<()> {
        if self.block.len() == BLOCK {
            self.flush()?;
        }
        self.block.push(byte);
        Ok(())
    }

    fn number(&mut self, value: u64) -> Result<()> {
        let mut bytes = Vec::with_capacity(varint::MAX_LEN);
        varint::put(&mut bytes, value);
        bytes.into_iter().try_for_each(|byte| self.byte(byte))
    }

    fn text(&mut self, text: &str) -> Result<()> {
        self.number(text.len() as u64)?;
        text.bytes().try_for_each(|byte| self.byte(byte))
    }

    /// `ga4gh:VA.` and 32 characters.
    fn id(&mut self, random: &mut Random) -> Result<()> {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.number(41)?;
        b"ga4gh:VA.".iter().try_for_each(|&byte| self.byte(byte))?;
        for _ in 0..32 {
            self.byte(LETTERS[random.below(64) as usize])?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let frame = zstd::bulk::compress(&self.block, 3)
            .map_err(|error| Error::internal("compressing a block").caused_by(error))?;
        let size = frame.len() + 4;
        if self.newest {
            varint::put(&mut self.out, size as u64);
        } else {
            self.out.extend_from_slice(&(size as u32).to_le_bytes());
        }
        self.out.extend_from_slice(&(self.block.len() as u32).to_le_bytes());
        self.out.extend_from_slice(&frame);
        self.block.clear();
        Ok(())
    }

    /// The last block, and the empty one that Hail ends with.
    fn finish(mut self) -> Result<Vec<u8>> {
        self.flush()?;
        self.flush()?;
        Ok(self.out)
    }
}

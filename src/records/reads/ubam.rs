//! Unaligned BAM as FASTQ text.

use std::io::{self, Read};

use crate::error::{Error, Result};
use crate::records::alignments::record::flags::{READ1, READ2, UNMAPPED};
use crate::records::alignments::{self, Limit, RecordBatch, Source, SourceOptions, sam};

/// Reads of an unaligned BAM, in the text that `samtools fastq -T '*'` makes of them: the tags
/// follow the name, and names of pairs that come by turns stay as they are.
pub(super) struct BamText {
    source: Box<dyn Source>,
    name: String,
    batch: RecordBatch,
    text: Vec<u8>,
    at: usize,
    records: u64,
}

impl BamText {
    pub(super) fn open(name: &str, reader: Box<dyn Read + Send>, threads: usize) -> Result<Self> {
        let options = SourceOptions { threads, ..SourceOptions::default() };
        let source = alignments::open(name, reader, &options)?;
        Ok(Self {
            source,
            name: name.to_owned(),
            batch: RecordBatch::new(),
            text: Vec::new(),
            at: 0,
            records: 0,
        })
    }

    fn fill(&mut self) -> Result<bool> {
        self.text.clear();
        self.at = 0;
        if !self.source.read(&mut self.batch, Limit::default())? {
            return Ok(false);
        }
        let contigs = self.source.header().contigs();
        let mut line = Vec::new();
        for record in self.batch.iter() {
            self.records += 1;
            if record.flags() & UNMAPPED == 0 {
                return Err(Error::unsupported("the BAM holds aligned reads")
                    .help("convert it with bam-to-paf, or take its reads with samtools fastq")
                    .at(format!("record {}", self.records))
                    .at(&self.name));
            }
            line.clear();
            sam::write_record(&mut line, &record, contigs);
            let line = line.trim_ascii_end();
            let fields: Vec<&[u8]> = line.splitn(12, |&byte| byte == b'\t').collect();
            let [name, _, _, _, _, _, _, _, _, bases, qualities, tags @ ..] = fields.as_slice()
            else {
                return Err(Error::internal("a record without eleven fields"));
            };
            let bases: &[u8] = if *bases == b"*" { b"" } else { bases };
            self.text.push(b'@');
            self.text.extend_from_slice(name);
            match record.flags() & (READ1 | READ2) {
                READ1 => self.text.extend_from_slice(b"/1"),
                READ2 => self.text.extend_from_slice(b"/2"),
                _ => {}
            }
            for tags in tags {
                self.text.push(b'\t');
                self.text.extend_from_slice(tags);
            }
            self.text.push(b'\n');
            self.text.extend_from_slice(bases);
            self.text.extend_from_slice(b"\n+\n");
            match record.qualities() {
                // Absent, for which FASTQ has no form; samtools fastq writes B.
                [0xff, ..] | [] => self.text.resize(self.text.len() + bases.len(), b'B'),
                _ => self.text.extend_from_slice(qualities),
            }
            self.text.push(b'\n');
        }
        Ok(true)
    }
}

impl Read for BamText {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            if !self.fill().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.text.len() - self.at);
        buffer[..count].copy_from_slice(&self.text[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

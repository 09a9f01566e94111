//! The samples of a layer: names, headers, and contigs as their files count them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{Error, Result};
use crate::genome::{Contig, Contigs};
use crate::records::alignments::{Header, Validation};

/// The largest list of samples or header that is read, in bytes.
const MOST: usize = 1 << 30;

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) name: String,
    /// The input file, without folders.
    pub(super) input: String,
    pub(super) reads: u64,
    /// Whether its reads had to be put in order.
    pub(super) reordered: bool,
    /// Whether candidate sites were looked for in it.
    pub(super) has_sites: bool,
    /// Where its header lies in the object of headers, its size there, and the CRC-32C of that.
    pub(super) header: (u64, u64, u32),
    /// BLAKE3 of its header and its records in the order of the input.
    pub(super) digest: String,
}

/// What an object of samples says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Samples {
    pub(super) samples: Vec<Sample>,
    /// The contigs that keys of dictionaries in this layer's files stand for.
    pub(super) contigs: Vec<u32>,
}

impl Samples {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::internal("listing samples").caused_by(error))?;
        compress(&json)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let json = decompress(bytes)?;
        serde_json::from_slice(&json)
            .map_err(|error| Error::corrupt("the list of samples").caused_by(error))
    }
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, 12).map_err(|error| Error::internal("compressing").caused_by(error))
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>> {
    let damaged = |error: std::io::Error| Error::corrupt("decompressing").caused_by(error);
    let mut decoder = zstd::stream::read::Decoder::new(bytes).map_err(damaged)?;
    read_bounded(&mut decoder, bytes.len())
}

/// What comes out of `coded` bytes.
fn read_bounded(reader: &mut dyn std::io::Read, coded: usize) -> Result<Vec<u8>> {
    let most = codec::most_expanded(coded).min(MOST as u64);
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(reader, most + 1), &mut text)
        .map_err(|error| Error::corrupt("decompressing").caused_by(error))?;
    if text.len() as u64 > most {
        return Err(Error::corrupt(format!("{coded} bytes inflate to more than {most}")));
    }
    Ok(text)
}

/// Headers of many samples, which resemble the first.
#[derive(Debug, Default)]
pub(super) struct Headers {
    first: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl Headers {
    /// Adds a header as a BAM file begins, and says where it lies.
    pub(super) fn push(&mut self, header: &[u8]) -> Result<(u64, u64, u32)> {
        let failed = |error| Error::internal("compressing a header").caused_by(error);
        let frame = if self.bytes.is_empty() {
            self.first = header.to_vec();
            compress(header)?
        } else {
            let compressor = zstd::bulk::Compressor::with_dictionary(12, &self.first);
            compressor.and_then(|mut c| c.compress(header)).map_err(failed)?
        };
        let place = (self.bytes.len() as u64, frame.len() as u64, crc32c::crc32c(&frame));
        self.bytes.extend_from_slice(&frame);
        Ok(place)
    }
}

/// Reads a header that lies in `frame`; `first` is the frame of the first sample.
pub(super) fn read_header(frame: &[u8], first: Option<&[u8]>) -> Result<Header> {
    let damaged = |error: std::io::Error| Error::corrupt("decompressing").caused_by(error);
    let bytes = match first {
        None => decompress(frame)?,
        Some(first) => {
            let dictionary = decompress(first)?;
            let decoder = zstd::stream::read::Decoder::with_dictionary(frame, &dictionary);
            read_bounded(&mut decoder.map_err(damaged)?, frame.len())?
        }
    };
    parse_header(&bytes)
}

/// Reads what [`Header::to_bam_bytes`] makes.
pub(super) fn parse_header(bytes: &[u8]) -> Result<Header> {
    let damaged = || Error::corrupt("a sample's header is damaged");
    let rest = &mut bytes.strip_prefix(b"BAM\x01").ok_or_else(damaged)?;
    let take = |rest: &mut &[u8], length: usize| {
        let (taken, tail) = rest.split_at_checked(length).ok_or_else(damaged)?;
        *rest = tail;
        Ok::<_, Error>(taken.to_vec())
    };
    let number = |rest: &mut &[u8]| {
        let (value, tail) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        *rest = tail;
        Ok::<_, Error>(u32::from_le_bytes(*value))
    };
    let length = number(rest)? as usize;
    let text = take(rest, length)?;
    let mut contigs = Vec::new();
    for _ in 0..number(rest)? {
        let length = number(rest)? as usize;
        let mut name = take(rest, length)?;
        name.pop();
        let name = String::from_utf8(name).map_err(|_| damaged())?;
        contigs.push((name, u64::from(number(rest)?)));
    }
    Header::from_bam(&text, contigs, Validation::Lenient)
}

/// The contigs of a dataset, growing as files are opened.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    list: Vec<Contig>,
    by_name: HashMap<String, u32>,
    /// Mappings that were made before, for files with equal dictionaries.
    known: Vec<(Vec<Contig>, Arc<Vec<i32>>)>,
}

impl Dictionary {
    pub(super) fn new(contigs: &Contigs) -> Self {
        let list: Vec<Contig> = contigs.iter().cloned().collect();
        let by_name = (0..).zip(&list).map(|(id, contig)| (contig.name.clone(), id)).collect();
        Self { list, by_name, known: Vec::new() }
    }

    /// The number in the dataset of each contig of a file, by its name. Contigs that are new are
    /// added at the end.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where a contig has another length or MD5 here.
    pub(super) fn map(&mut self, contigs: &Contigs) -> Result<Arc<Vec<i32>>> {
        let list: Vec<Contig> = contigs.iter().cloned().collect();
        if let Some((_, mapping)) = self.known.iter().find(|(known, _)| *known == list) {
            return Ok(mapping.clone());
        }
        let mut mapping = Vec::with_capacity(list.len());
        for contig in &list {
            let id = match self.by_name.get(&contig.name) {
                Some(&id) => {
                    let known = &mut self.list[id as usize];
                    check(known, contig)?;
                    if known.md5.is_none() {
                        known.md5.clone_from(&contig.md5);
                    }
                    id
                }
                None => {
                    let id = self.list.len() as u32;
                    self.list.push(contig.clone());
                    self.by_name.insert(contig.name.clone(), id);
                    id
                }
            };
            mapping.push(id as i32);
        }
        let mapping = Arc::new(mapping);
        self.known.push((list, mapping.clone()));
        Ok(mapping)
    }

    pub(super) fn contigs(self) -> Result<Contigs> {
        Contigs::new(self.list)
    }
}

fn check(known: &Contig, contig: &Contig) -> Result<()> {
    let name = &contig.name;
    let help = "the file was aligned to another reference: align it again, or leave it out";
    if known.length != contig.length {
        return Err(Error::input(format!(
            "contig {name:?} has another length than in other files"
        ))
        .expected(format!("{} bases", known.length))
        .found(format!("{} bases", contig.length))
        .help(help));
    }
    match (&known.md5, &contig.md5) {
        (Some(known), Some(found)) if known != found => {
            Err(Error::input(format!("contig {name:?} has another MD5 than in other files"))
                .expected(known)
                .found(found)
                .help(help))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contig(name: &str, length: u64, md5: Option<&str>) -> Contig {
        Contig { name: name.into(), length, md5: md5.map(str::to_owned) }
    }

    #[test]
    fn test_dictionary_maps_by_name_and_refuses_contradictions() {
        let list = |list: &[Contig]| Contigs::new(list.to_vec()).unwrap();
        let mut dictionary = Dictionary::default();
        let (a, b) = (contig("a", 5, None), contig("b", 6, Some("x")));
        assert_eq!(*dictionary.map(&list(&[a.clone(), b.clone()])).unwrap(), [0, 1]);
        let c = contig("c", 7, None);
        assert_eq!(*dictionary.map(&list(&[b, c, contig("a", 5, Some("y"))])).unwrap(), [1, 2, 0]);
        for (bad, what) in [
            (contig("a", 6, None), "another length"),
            (contig("b", 6, Some("z")), "another MD5"),
            (contig("a", 5, Some("z")), "another MD5"),
        ] {
            let error = dictionary.map(&list(&[bad])).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn test_headers_read_back() {
        let text =
            |sample: &str| format!("@HD\tVN:1.6\n@SQ\tSN:chr1\tLN:1000\n@RG\tID:a\tSM:{sample}\n");
        let mut headers = Headers::default();
        let mut places = Vec::new();
        for sample in ["one", "two", "three"] {
            let header = Header::parse_sam_text(text(sample).as_bytes(), Validation::Strict);
            places.push(headers.push(&header.unwrap().to_bam_bytes().unwrap()).unwrap());
        }
        let frame = |(start, size, _): (u64, u64, u32)| {
            &headers.bytes[start as usize..(start + size) as usize]
        };
        assert_eq!(read_header(frame(places[0]), None).unwrap().text(), text("one").as_bytes());
        let third = read_header(frame(places[2]), Some(frame(places[0]))).unwrap();
        assert_eq!(third.text(), text("three").as_bytes());
        assert_eq!(third.contigs().len(), 1);
    }
}

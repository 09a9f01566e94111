//! The header of alignments: its text, word for word, and what the crate needs to know of it.
//!
//! A BAM file states its contigs twice: in `@SQ` lines and in a binary list. The list rules, since
//! records refer to it by number; the text may lack `@SQ` lines altogether. In SAM and CRAM the
//! text is all there is.

mod rules;
mod unite;

use std::collections::HashMap;

use self::rules::Line;
pub use self::unite::Renamed;
use super::Validation;
use crate::error::{Context, Error, Result};
use crate::genome::{Contig, Contigs};

/// The longest contig that BAM's binary records can address, in bases.
const MAX_CONTIG_LENGTH: u64 = i32::MAX as u64;

/// The order of records that a header declares (`@HD SO`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// Nothing is said, or `unknown`, or a value that the specification does not have.
    #[default]
    Unknown,
    /// Explicitly in no order.
    Unsorted,
    /// By read name.
    QueryName,
    /// By contig in the order of the dictionary, then by position; unplaced reads last.
    Coordinate,
}

/// One `@RG` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadGroup {
    /// `ID`, to which the `RG` tags of records refer.
    pub id: Vec<u8>,
    /// `SM`: the sample.
    pub sample: Option<Vec<u8>>,
    /// `LB`: the library.
    pub sequencing_library: Option<Vec<u8>>,
}

/// The header of an alignment file.
#[derive(Clone, Debug, Default)]
pub struct Header {
    text: Vec<u8>,
    contigs: Contigs,
    text_names_contigs: bool,
    read_groups: Vec<ReadGroup>,
    sort_order: SortOrder,
}

impl Header {
    /// Reads the header of a SAM or CRAM file, whose `@SQ` lines are the contigs.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) naming the line that breaks the rules of the SAM
    /// specification §1.3; leniently, only what makes the contigs unusable is refused.
    ///
    /// ```
    /// use genomic_objects::records::alignments::{Header, Validation};
    ///
    /// let text = b"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:1000\n@RG\tID:a\tSM:NA12878\n";
    /// let header = Header::parse_sam_text(text, Validation::Strict)?;
    /// assert_eq!(header.contigs().len(), 1);
    /// assert_eq!(header.sample(), Some("NA12878"));
    ///
    /// let error = Header::parse_sam_text(b"@SQ\tSN:chr1\n", Validation::Strict).unwrap_err();
    /// assert!(error.to_string().starts_with("header line 1: the @SQ line has no LN"));
    /// # Ok::<(), genomic_objects::Error>(())
    /// ```
    pub fn parse_sam_text(text: &[u8], validation: Validation) -> Result<Self> {
        Self::parse(text, None, validation)
    }

    /// Reads the two parts of a BAM header: its text without NUL padding, and its contigs as names
    /// and lengths.
    ///
    /// # Errors
    ///
    /// As [`parse_sam_text`](Self::parse_sam_text); strictly, also when the text has `@SQ` lines
    /// that contradict the list.
    pub fn from_bam(
        text: &[u8],
        contigs: Vec<(String, u64)>,
        validation: Validation,
    ) -> Result<Self> {
        Self::parse(text, Some(contigs), validation)
    }

    fn parse(
        text: &[u8],
        binary: Option<Vec<(String, u64)>>,
        validation: Validation,
    ) -> Result<Self> {
        let lines = rules::lines(text, validation)?;
        let declared = declared_contigs(&lines, binary.is_none())?;
        let contigs = match binary {
            None => declared.clone(),
            Some(list) => {
                if validation == Validation::Strict {
                    check_agreement(&declared, &list)?;
                }
                with_md5(list, &declared)
            }
        };
        Ok(Self {
            text: text.to_vec(),
            contigs: Contigs::new(contigs)?,
            text_names_contigs: !declared.is_empty(),
            read_groups: lines.iter().filter_map(read_group).collect(),
            sort_order: lines.iter().find(|line| line.kind == *b"HD").map_or_else(
                SortOrder::default,
                |line| match line.value(b"SO") {
                    Some(b"unsorted") => SortOrder::Unsorted,
                    Some(b"queryname") => SortOrder::QueryName,
                    Some(b"coordinate") => SortOrder::Coordinate,
                    _ => SortOrder::Unknown,
                },
            ),
        })
    }

    /// The text as it is in the file. Lines of a SAM file end in LF here even where CR LF ended
    /// them there; the text of a BAM or CRAM file is untouched but for NUL padding at its end.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The contigs that records refer to.
    pub fn contigs(&self) -> &Contigs {
        &self.contigs
    }

    /// The read groups in order.
    pub fn read_groups(&self) -> &[ReadGroup] {
        &self.read_groups
    }

    /// The order that the header declares, true or not.
    pub fn sort_order(&self) -> SortOrder {
        self.sort_order
    }

    /// The sample, if all read groups that name one name the same.
    pub fn sample(&self) -> Option<&str> {
        let mut samples = self.read_groups.iter().filter_map(|group| group.sample.as_deref());
        let first = samples.next()?;
        samples.all(|sample| sample == first).then(|| std::str::from_utf8(first).ok()).flatten()
    }

    /// What `samtools view -H` prints: the text, and `@SQ` lines at its end where it has none but
    /// there are contigs.
    pub fn to_sam_text(&self) -> Vec<u8> {
        let mut text = self.text.clone();
        if !self.text_names_contigs && !self.contigs.is_empty() {
            if text.last().is_some_and(|last| *last != b'\n') {
                text.push(b'\n');
            }
            for contig in self.contigs.iter() {
                text.extend_from_slice(b"@SQ\tSN:");
                text.extend_from_slice(contig.name.as_bytes());
                text.extend_from_slice(format!("\tLN:{}\n", contig.length).as_bytes());
            }
        }
        text
    }

    /// The header of a BAM file, decompressed, from its magic to the last contig (SAM
    /// specification §4.2).
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) when text or list pass 2 GiB.
    pub fn to_bam_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = b"BAM\x01".to_vec();
        bytes.extend_from_slice(&bam_length(self.text.len())?);
        bytes.extend_from_slice(&self.text);
        bytes.extend_from_slice(&bam_length(self.contigs.len())?);
        for contig in self.contigs.iter() {
            bytes.extend_from_slice(&bam_length(contig.name.len() + 1)?);
            bytes.extend_from_slice(contig.name.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(&(contig.length as u32).to_le_bytes());
        }
        Ok(bytes)
    }

    /// The same header with one more `@PG` line, chained to the last one there is.
    ///
    /// # Errors
    ///
    /// As [`parse_sam_text`](Self::parse_sam_text), which can only be for a name or command line
    /// with control characters.
    pub fn with_program(&self, name: &str, version: &str, command_line: &str) -> Result<Self> {
        let lines = rules::lines(&self.text, Validation::Lenient)?;
        let programs = lines.iter().filter(|line| line.kind == *b"PG");
        let ids: Vec<&[u8]> = programs.filter_map(|line| line.value(b"ID")).collect();
        let mut id = name.to_owned();
        let mut copy = 0;
        while ids.contains(&id.as_bytes()) {
            copy += 1;
            id = format!("{name}.{copy}");
        }
        let mut text = self.text.clone();
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        text.extend_from_slice(format!("@PG\tID:{id}\tPN:{name}").as_bytes());
        if let Some(previous) = ids.last() {
            text.extend_from_slice(b"\tPP:");
            text.extend_from_slice(previous);
        }
        text.extend_from_slice(format!("\tVN:{version}\tCL:{command_line}\n").as_bytes());
        rules::lines(&text[self.text.len()..], Validation::Lenient)?;
        Ok(Self { text, ..self.clone() })
    }
}

fn bam_length(length: usize) -> Result<[u8; 4]> {
    i32::try_from(length).map(i32::to_le_bytes).map_err(|_| {
        Error::unsupported("the header is longer than the 2,147,483,647 bytes that BAM can hold")
            .help("shorten its @PG and @CO lines")
    })
}

/// The contigs of the `@SQ` lines; where they are only a copy, unusable lines are passed over.
fn declared_contigs(lines: &[Line<'_>], required: bool) -> Result<Vec<Contig>> {
    let mut contigs = Vec::new();
    for line in lines.iter().filter(|line| line.kind == *b"SQ") {
        match declared_contig(line).at(|| format!("header line {}", line.number)) {
            Ok(contig) => contigs.push(contig),
            Err(error) if required => return Err(error),
            Err(_) => {}
        }
    }
    Ok(contigs)
}

fn declared_contig(line: &Line<'_>) -> Result<Contig> {
    let name = line.required(b"SN")?;
    let length = line.required(b"LN")?;
    Ok(Contig {
        name: contig_name(name)?,
        length: std::str::from_utf8(length)
            .ok()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| rules::bad_value(b"LN", length).expected("a whole number"))
            .and_then(contig_length)?,
        md5: line.value(b"M5").map(|md5| String::from_utf8_lossy(md5).to_lowercase()),
    })
}

/// Checks the name of a contig as far as the crate depends on it.
pub(super) fn contig_name(name: &[u8]) -> Result<String> {
    String::from_utf8(name.to_vec()).map_err(|error| {
        Error::input("a contig's name is not UTF-8")
            .found(format!("{:?}", String::from_utf8_lossy(error.as_bytes())))
            .help("rename the contig with `samtools reheader`")
    })
}

fn contig_length(length: u64) -> Result<u64> {
    if length <= MAX_CONTIG_LENGTH {
        return Ok(length);
    }
    Err(Error::unsupported("a contig is longer than alignment records can address")
        .expected(format!("at most {MAX_CONTIG_LENGTH} bases"))
        .found(format!("{length} bases"))
        .help("split the contig into pieces, and align to those"))
}

/// Compares the `@SQ` lines, where there are any, with the binary list.
fn check_agreement(declared: &[Contig], list: &[(String, u64)]) -> Result<()> {
    if declared.is_empty() {
        return Ok(());
    }
    let help = "rewrite the header with `samtools reheader`";
    if declared.len() != list.len() {
        return Err(Error::input("the header's @SQ lines and BAM's own list of contigs differ")
            .expected(format!("{} contigs as in the list", list.len()))
            .found(format!("{} @SQ lines", declared.len()))
            .help(help));
    }
    let differing = declared
        .iter()
        .zip(list)
        .find(|(contig, (name, length))| contig.name != *name || contig.length != *length);
    let Some((contig, (name, length))) = differing else { return Ok(()) };
    Err(Error::input("the header's @SQ lines and BAM's own list of contigs differ")
        .expected(format!("{name:?} of {length} bases as in the list"))
        .found(format!("@SQ of {:?} with {} bases", contig.name, contig.length))
        .help(help))
}

fn with_md5(list: Vec<(String, u64)>, declared: &[Contig]) -> Vec<Contig> {
    let md5s: HashMap<&str, &String> = declared
        .iter()
        .filter_map(|contig| Some((contig.name.as_str(), contig.md5.as_ref()?)))
        .collect();
    list.into_iter()
        .map(|(name, length)| {
            let md5 = md5s.get(name.as_str()).map(|md5| (*md5).clone());
            Contig { name, length, md5 }
        })
        .collect()
}

fn read_group(line: &Line<'_>) -> Option<ReadGroup> {
    if line.kind != *b"RG" {
        return None;
    }
    Some(ReadGroup {
        id: line.value(b"ID")?.to_vec(),
        sample: line.value(b"SM").map(<[u8]>::to_vec),
        sequencing_library: line.value(b"LB").map(<[u8]>::to_vec),
    })
}

#[cfg(test)]
mod tests;

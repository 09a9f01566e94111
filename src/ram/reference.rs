//! The reference that candidate sites differ from.

use std::io::{BufRead, BufReader, Read};

use md5::{Digest as _, Md5};

use crate::error::{Error, Result};
use crate::genome::Contigs;

/// The sequences of a dataset's contigs, in memory: a byte a base.
#[derive(Debug, Default)]
pub(super) struct Reference {
    /// Bases as 0 to 3 for A, C, G, T, and 4 for all else, by contig of the dataset.
    contigs: Vec<Option<Vec<u8>>>,
}

impl Reference {
    /// Reads FASTA, plain or gzip; sequences that `contigs` does not name are passed over.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) for what is no FASTA, a sequence of another length
    /// or MD5 than its contig, and where no contig has a sequence.
    pub(super) fn read(
        name: &str,
        reader: Box<dyn Read + Send>,
        contigs: &Contigs,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::store("reading the reference failed").caused_by(error).at(name)
        };
        let mut reader = BufReader::new(reader);
        let is_gzip = reader.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let mut reader: Box<dyn BufRead> = match is_gzip {
            true => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(reader))),
            false => Box::new(reader),
        };
        let mut found: Vec<Option<Vec<u8>>> = vec![None; contigs.len()];
        let mut current: Option<(usize, Vec<u8>)> = None;
        let (mut line, mut is_first) = (Vec::new(), true);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(failed)?;
            let is_header = line.first() == Some(&b'>');
            if length > 0 && is_first && !is_header {
                return Err(Error::input("this is no FASTA: it does not begin with >").at(name));
            }
            is_first = false;
            if length == 0 || is_header {
                if let Some((id, bases)) = current.take() {
                    found[id] = Some(checked(contigs, id, bases).map_err(|e| e.at(name))?);
                }
                let text = String::from_utf8_lossy(line.get(1..).unwrap_or_default()).into_owned();
                let id = text.split_whitespace().next().and_then(|name| contigs.id(name));
                current = id.map(|id| (id.0 as usize, Vec::new()));
            } else if let Some((_, bases)) = &mut current {
                bases.extend(line.iter().filter(|byte| byte.is_ascii_graphic()));
            }
            if length == 0 {
                break;
            }
        }
        if found.iter().all(Option::is_none) {
            return Err(Error::input("the reference has none of the contigs of the alignments")
                .help("name the FASTA file that the reads were aligned to")
                .at(name));
        }
        Ok(Self { contigs: found })
    }

    /// The bases of a contig, 0 to 3, or 4.
    pub(super) fn bases(&self, contig: i32) -> Option<&[u8]> {
        self.contigs.get(usize::try_from(contig).ok()?)?.as_deref()
    }
}

fn checked(contigs: &Contigs, id: usize, mut bases: Vec<u8>) -> Result<Vec<u8>> {
    let Some(contig) = contigs.iter().nth(id) else { return Ok(bases) };
    bases.make_ascii_uppercase();
    let help = "name the FASTA file that the reads were aligned to";
    if bases.len() as u64 != contig.length {
        return Err(Error::input(format!("sequence {:?} has another length", contig.name))
            .expected(format!("{} bases", contig.length))
            .found(format!("{} bases", bases.len()))
            .help(help));
    }
    if let Some(md5) = &contig.md5 {
        let digest = Md5::digest(&bases);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if *md5 != hex {
            return Err(Error::input(format!("sequence {:?} has another MD5", contig.name))
                .expected(md5)
                .found(hex)
                .help(help));
        }
    }
    for base in &mut bases {
        *base = match base {
            b'A' => 0,
            b'C' => 1,
            b'G' => 2,
            b'T' => 3,
            _ => 4,
        };
    }
    Ok(bases)
}

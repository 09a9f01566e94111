//! What the headers of all inputs say: whatever can be told from them is told before any work.

use std::collections::HashMap;
use std::sync::Arc;

use super::ingest::Open;
use super::layer::{Dictionary, Headers};
use super::manifest::Details;
use super::write::SampleInput;
use crate::error::{Context, Error, Result};
use crate::genome::Contigs;
use crate::pipeline::ordered;
use crate::records::alignments::Header;

/// One input as its header tells.
pub(super) struct Input {
    pub(super) name: String,
    /// Where its header lies among all.
    pub(super) header: (u64, u64, u32),
    /// The number in the dataset of each of its contigs.
    pub(super) mapping: Arc<Vec<i32>>,
    /// What tells its state from any other.
    pub(super) state: Option<String>,
}

/// All inputs.
pub(super) struct Prepared {
    pub(super) inputs: Vec<Input>,
    pub(super) headers: Headers,
    pub(super) contigs: Contigs,
}

/// Opens every input, several at a time; `names` are those of samples that the dataset has.
pub(super) fn prepare(
    inputs: &[SampleInput],
    open: &Open<'_>,
    details: &Details,
    names: &[String],
    threads: usize,
) -> Result<Prepared> {
    let mut dictionary = Dictionary::new(&details.dictionary()?);
    let of_dataset = names.iter().map(|name| (name.clone(), "the dataset".to_owned()));
    let mut taken: HashMap<String, String> = of_dataset.collect();
    let (mut prepared, mut headers) = (Vec::with_capacity(inputs.len()), Headers::default());
    let mut rest = inputs.iter().enumerate();
    ordered(
        threads,
        2 * threads,
        || Ok(rest.next()),
        |(number, input)| {
            let opened = open(number)?;
            let header = opened.header();
            let name = match &input.name {
                Some(name) => name.clone(),
                None => name_of(header).at(|| &input.info.name)?,
            };
            Ok((input, name, header.contigs().clone(), header.to_bam_bytes()?, opened.state()))
        },
        |(input, name, contigs, header, state)| {
            let file = &input.info.name;
            if name.is_empty() || name.contains(|letter: char| letter.is_control()) {
                return Err(Error::input(
                    "the name of a sample is empty, or has control characters",
                )
                .found(format!("{name:?}"))
                .at(file));
            }
            if let Some(other) = taken.insert(name.clone(), file.clone()) {
                return Err(Error::input(format!("sample {name:?} is there twice"))
                    .found(format!("{other} and {file}"))
                    .help(
                        "merge the files of a sample with `samtools merge`, or name them apart by \
                         --samples",
                    )
                    .at(file));
            }
            let mapping = dictionary.map(&contigs).at(|| file)?;
            let header = headers.push(&header)?;
            prepared.push(Input { name, header, mapping, state });
            Ok(())
        },
    )?;
    Ok(Prepared { inputs: prepared, headers, contigs: dictionary.contigs()? })
}

/// The sample that a header names.
fn name_of(header: &Header) -> Result<String> {
    if let Some(name) = header.sample() {
        return Ok(name.to_owned());
    }
    let mut named: Vec<String> = header
        .read_groups()
        .iter()
        .filter_map(|group| Some(String::from_utf8_lossy(group.sample.as_deref()?).into_owned()))
        .collect();
    named.sort_unstable();
    named.dedup();
    Err(match named.len() {
        0 => Error::input("no @RG line of the header names a sample (SM)"),
        _ => Error::input("the header's read groups name several samples").found(named.join(", ")),
    }
    .help("name the sample by --samples, or correct the header with `samtools addreplacerg`"))
}

//! Candidate sites of regions and samples as VCF.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow_array::RecordBatch as Columns;

use super::calls::{self, Call};
use super::depths::sample_numbers;
use super::read::{Part, QueryStats, Reader, Selection, Task};
use crate::error::{Error, Result};
use crate::genome::ContigId;

/// What comes before all sites.
fn head(reader: &Reader) -> String {
    let mut text = "##fileformat=VCFv4.3\n".to_owned();
    text += concat!("##source=genomic-objects ", env!("CARGO_PKG_VERSION"), " candidate_sites\n");
    text += "##candidate_sites=single bases only; samples judged one by one; research, not for \
             clinical use\n";
    for contig in reader.contigs().iter() {
        let _ = writeln!(text, "##contig=<ID={},length={}>", contig.name, contig.length);
    }
    text += "\
##FILTER=<ID=DepthCap,Description=\"A sample has more reads than were counted\">\n\
##INFO=<ID=NS,Number=1,Type=Integer,Description=\"Samples with a genotype\">\n\
##INFO=<ID=DP,Number=1,Type=Integer,Description=\"Reads counted, of all samples\">\n\
##INFO=<ID=AC,Number=A,Type=Integer,Description=\"Alleles in genotypes\">\n\
##INFO=<ID=AN,Number=1,Type=Integer,Description=\"All alleles in genotypes\">\n\
##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype; ./. where no read was counted\">\n\
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description=\"How sure the genotype is, in Phred\">\n\
##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"Reads counted\">\n\
##FORMAT=<ID=ADF,Number=R,Type=Integer,Description=\"Forward reads by allele\">\n\
##FORMAT=<ID=ADR,Number=R,Type=Integer,Description=\"Reverse reads by allele\">\n\
##FORMAT=<ID=PL,Number=G,Type=Integer,Description=\"Likelihoods of genotypes, in Phred\">\n\
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
    let samples = reader.samples();
    if !samples.is_empty() {
        text += "\tFORMAT";
    }
    for sample in samples {
        text.push('\t');
        text += sample;
    }
    text.push('\n');
    text
}

/// Writes the sites that `reader` was opened for: those where a sample that was asked for differs
/// from the reference.
///
/// # Errors
///
/// [`Usage`](crate::error::ErrorKind::Usage) for more than `max_bytes`, and where no sample was
/// ever looked at; what the store and `sink` return.
pub fn write(
    reader: &Reader,
    threads: usize,
    max_bytes: Option<u64>,
    mut sink: impl FnMut(Vec<u8>) -> Result<()>,
) -> Result<QueryStats> {
    let is_looked_at = |part: &Part| {
        let samples = part.list.samples.iter().zip(&part.chosen);
        samples.into_iter().any(|(sample, is_chosen)| *is_chosen && sample.has_sites)
    };
    if !reader.parts.iter().any(is_looked_at) {
        return Err(Error::usage("no candidate sites were looked for in these samples")
            .help("convert the files with --reference"));
    }
    sink(head(reader).into_bytes())?;
    let numbers = sample_numbers(reader);
    let count = reader.samples().len();
    let work = |task: &Task, columns: Columns| {
        let calls = calls::calls(&columns)?;
        let of_sample = |call: Call| {
            let number = (*numbers[task.part].get(call.sample as usize)?)?;
            let contig = reader.contig_of(task, call.contig)?;
            let is_in = match &reader.selection {
                Selection::All => true,
                some => some
                    .from(contig, call.position)
                    .first()
                    .is_some_and(|span| span.interval.contains(call.position)),
            };
            is_in.then_some((number, Call { contig, ..call }))
        };
        let wanted: Vec<(usize, Call)> = calls.into_iter().filter_map(of_sample).collect();
        Ok((wanted.len() as u64, wanted))
    };
    let mut sites = Sites::new();
    let mut current = None;
    let stats = reader.scan(&reader.tasks, threads, max_bytes, work, |task, calls| {
        let region = (task.place.contig, task.place.ordinal);
        if current.is_some_and(|current| current != region) {
            sink(lines(reader, count, &std::mem::take(&mut sites)))?;
        }
        current = Some(region);
        for (sample, call) in calls {
            sites.entry((call.contig, call.position)).or_default().push((sample, call));
        }
        Ok(())
    })?;
    sink(lines(reader, count, &sites))?;
    Ok(stats)
}

/// Calls of samples, by contig and position.
type Sites = BTreeMap<(u32, u64), Vec<(usize, Call)>>;

fn lines(reader: &Reader, count: usize, sites: &Sites) -> Vec<u8> {
    let name = |contig: u32| {
        reader.contigs().get(ContigId(contig)).map_or("*", |contig| contig.name.as_str())
    };
    let lines = sites.iter().filter_map(|((contig, _), calls)| line(name(*contig), count, calls));
    lines.collect::<String>().into_bytes()
}

fn join(numbers: impl Iterator<Item = String>) -> String {
    numbers.collect::<Vec<_>>().join(",")
}

/// The line of a site; `None` where no sample differs.
fn line(contig: &str, count: usize, calls: &[(usize, Call)]) -> Option<String> {
    let (_, first) = calls.first()?;
    let mut alternatives: Vec<&String> =
        calls.iter().flat_map(|(_, call)| &call.alternatives).collect();
    alternatives.sort_unstable();
    alternatives.dedup();
    let mut samples = vec!["./.:.:.:.:.:.".to_owned(); count];
    let mut allele_counts = vec![0_u32; alternatives.len()];
    let (mut typed, mut depth, mut quality, mut is_capped) = (0, 0, 0, false);
    for (sample, call) in calls {
        // Another layer may have seen other bases here, in which these are numbered anew.
        let number_of = |allele: u8| match usize::from(allele).checked_sub(1) {
            None => Some(0),
            Some(at) => {
                let base = call.alternatives.get(at)?;
                alternatives.iter().position(|other| *other == base).map(|at| at + 1)
            }
        };
        let is_whole = call.alternatives.len() == alternatives.len();
        let strand = |of: usize| {
            let zero = |at: usize| {
                let own = match at.checked_sub(1) {
                    None => Some(0),
                    Some(at) => call.alternatives.iter().position(|base| base == alternatives[at]),
                };
                let own = own.map(|own| if at == 0 { 0 } else { own + 1 });
                own.and_then(|own| call.strands.get(own)).map_or(0, |strands| strands[of])
            };
            join((0..=alternatives.len()).map(|at| zero(at).to_string()))
        };
        let (genotype, gq) = match call.genotype.alleles {
            None => ("./.".to_owned(), ".".to_owned()),
            Some((first, second)) => {
                let (first, second) = (number_of(first)?, number_of(second)?);
                for allele in [first, second] {
                    if let Some(count) =
                        allele.checked_sub(1).and_then(|at| allele_counts.get_mut(at))
                    {
                        *count += 1;
                    }
                }
                typed += 1;
                (
                    format!("{}/{}", first.min(second), first.max(second)),
                    call.genotype.quality.to_string(),
                )
            }
        };
        let likelihoods = match call.genotype.likelihoods.is_empty() || !is_whole {
            true => ".".to_owned(),
            false => join(call.genotype.likelihoods.iter().map(u32::to_string)),
        };
        depth += call.depth;
        quality += call.genotype.likelihoods.first().copied().unwrap_or(0);
        is_capped |= call.is_capped;
        if let Some(entry) = samples.get_mut(*sample) {
            *entry =
                format!("{genotype}:{gq}:{}:{}:{}:{likelihoods}", call.depth, strand(0), strand(1));
        }
    }
    if allele_counts.iter().all(|&count| count == 0) {
        return None;
    }
    let alternatives: Vec<&str> = alternatives.iter().map(|base| base.as_str()).collect();
    Some(format!(
        "{contig}\t{}\t.\t{}\t{}\t{quality}\t{}\tNS={typed};DP={depth};AC={};AN={}\t\
         GT:GQ:DP:ADF:ADR:PL\t{}\n",
        first.position + 1,
        first.reference,
        alternatives.join(","),
        if is_capped { "DepthCap" } else { "PASS" },
        join(allele_counts.iter().map(u32::to_string)),
        2 * typed,
        samples.join("\t"),
    ))
}

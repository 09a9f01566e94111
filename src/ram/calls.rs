//! Candidate sites as rows of an Arrow table: a sample at a site each.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int32Builder, ListBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int32Array, ListArray, RecordBatch as Columns, StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::file;
use super::rows::{column, mismatch};
use super::sites::{Genotype, LETTERS, MOST_READS, Site, Tally};
use crate::error::{Error, Result};

/// A sample at a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) sample: u32,
    /// The contig; in a file, its key.
    pub(super) contig: u32,
    /// 0-based.
    pub(super) position: u64,
    pub(super) reference: String,
    pub(super) alternatives: Vec<String>,
    /// Reads by allele, forward and reverse.
    pub(super) strands: Vec<[u32; 2]>,
    /// Reads that say anything.
    pub(super) depth: u32,
    pub(super) is_capped: bool,
    pub(super) genotype: Genotype,
}

impl Call {
    pub(super) fn new(sample: u32, site: &Site, tally: &Tally, genotype: Genotype) -> Self {
        let letter = |base: u8| char::from(LETTERS[usize::from(base & 3)]).to_string();
        let alleles = std::iter::once(&site.reference).chain(&site.alternatives);
        Self {
            sample,
            contig: site.contig,
            position: site.position.into(),
            reference: letter(site.reference),
            alternatives: site.alternatives.iter().map(|&base| letter(base)).collect(),
            strands: alleles.map(|&base| tally.strands[usize::from(base & 3)]).collect(),
            depth: tally.reads,
            is_capped: tally.is_capped,
            genotype,
        }
    }
}

/// The schema of `variants.arrow`; its metadata says how sites were found.
pub(super) fn schema() -> Schema {
    let names = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let list = || DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
    let fields = vec![
        Field::new("sample_id", names(), false),
        Field::new("contig", names(), false),
        Field::new("position", DataType::Int32, false),
        Field::new("ref", DataType::Utf8, false),
        Field::new("alt", DataType::Utf8, false),
        Field::new("genotype", DataType::Utf8, false),
        Field::new("genotype_quality", DataType::Int32, true),
        Field::new("depth", DataType::Int32, false),
        Field::new("forward", list(), false),
        Field::new("reverse", list(), false),
        Field::new("likelihoods", list(), true),
        Field::new("depth_capped", DataType::Boolean, false),
    ];
    let metadata = [
        ("genomic-objects.schema", "ram-candidate-sites/1".to_owned()),
        ("genomic-objects.coordinates", "1-based, closed".to_owned()),
        ("candidate_sites.purpose", "research; not for clinical use, not joint-called".to_owned()),
        ("candidate_sites.most_reads", MOST_READS.to_string()),
    ];
    let metadata = metadata.map(|(name, value)| (name.to_owned(), value));
    Schema::new_with_metadata(fields, metadata.into())
}

/// Calls as columns; `keys` are those of contigs.
pub(super) fn columns(calls: &[Call], keys: &[i32]) -> Result<Columns> {
    let number = |value: &dyn Fn(&Call) -> u64| -> ArrayRef {
        Arc::new(calls.iter().map(|call| Some(value(call) as i32)).collect::<Int32Array>())
    };
    let contigs = calls.iter().map(|call| keys.get(call.contig as usize).copied());
    let (mut references, mut alternatives) = (StringBuilder::new(), StringBuilder::new());
    let (mut genotypes, mut qualities) = (StringBuilder::new(), Int32Builder::new());
    let mut lists = [(); 3].map(|()| ListBuilder::new(Int32Builder::new()));
    let mut capped = BooleanBuilder::new();
    for call in calls {
        references.append_value(&call.reference);
        alternatives.append_value(call.alternatives.join(","));
        let genotype = &call.genotype;
        match genotype.alleles {
            Some((first, second)) => genotypes.append_value(format!("{first}/{second}")),
            None => genotypes.append_value("./."),
        }
        qualities.append_option(genotype.alleles.map(|_| genotype.quality as i32));
        let [forward, reverse, likelihoods] = &mut lists;
        for strands in &call.strands {
            forward.values().append_value(strands[0] as i32);
            reverse.values().append_value(strands[1] as i32);
        }
        forward.append(true);
        reverse.append(true);
        for &value in &genotype.likelihoods {
            likelihoods.values().append_value(value as i32);
        }
        likelihoods.append(genotype.alleles.is_some());
        capped.append_value(call.is_capped);
    }
    let [mut forward, mut reverse, mut likelihoods] = lists;
    let columns: Vec<ArrayRef> = vec![
        number(&|call| call.sample.into()),
        Arc::new(contigs.collect::<Int32Array>()),
        number(&|call| call.position + 1),
        Arc::new(references.finish()),
        Arc::new(alternatives.finish()),
        Arc::new(genotypes.finish()),
        Arc::new(qualities.finish()),
        number(&|call| call.depth.into()),
        Arc::new(forward.finish()),
        Arc::new(reverse.finish()),
        Arc::new(likelihoods.finish()),
        Arc::new(capped.finish()),
    ];
    Columns::try_new(Arc::new(file::physical(&schema())), columns).map_err(mismatch)
}

/// Reads columns back, with keys for contigs.
pub(super) fn calls(columns: &Columns) -> Result<Vec<Call>> {
    let numbers = |at: usize| column::<Int32Array>(columns, at);
    let texts = |at: usize| column::<StringArray>(columns, at);
    let lists = |at: usize| -> Result<(ListArray, Int32Array)> {
        let list: ListArray = column(columns, at)?;
        let values = list.values().as_any().downcast_ref::<Int32Array>().cloned();
        let values = values.ok_or_else(|| Error::corrupt("a batch lacks one of its columns"))?;
        Ok((list, values))
    };
    let of = |(list, values): &(ListArray, Int32Array), row: usize| -> Vec<u32> {
        let range = list.value_offsets()[row] as usize..list.value_offsets()[row + 1] as usize;
        let values = values.values().get(range).unwrap_or_default();
        values.iter().map(|value| value.unsigned_abs()).collect()
    };
    let (samples, contigs, positions, depths) =
        (numbers(0)?, numbers(1)?, numbers(2)?, numbers(7)?);
    let (references, alternatives, genotypes) = (texts(3)?, texts(4)?, texts(5)?);
    let qualities = numbers(6)?;
    let (forward, reverse, likelihoods) = (lists(8)?, lists(9)?, lists(10)?);
    let capped: BooleanArray = column(columns, 11)?;
    let mut calls = Vec::with_capacity(columns.num_rows());
    for row in 0..columns.num_rows() {
        let alleles = genotypes.value(row).split_once('/');
        let alleles = alleles.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let strands = of(&forward, row).into_iter().zip(of(&reverse, row));
        let has_quality = !qualities.is_null(row);
        calls.push(Call {
            sample: samples.value(row).unsigned_abs(),
            contig: contigs.value(row).unsigned_abs(),
            position: u64::from(positions.value(row).unsigned_abs()).saturating_sub(1),
            reference: references.value(row).to_owned(),
            alternatives: alternatives.value(row).split(',').map(str::to_owned).collect(),
            strands: strands.map(|(forward, reverse)| [forward, reverse]).collect(),
            depth: depths.value(row).unsigned_abs(),
            is_capped: capped.value(row),
            genotype: Genotype {
                alleles,
                quality: if has_quality { qualities.value(row).unsigned_abs() } else { 0 },
                likelihoods: of(&likelihoods, row),
            },
        });
    }
    Ok(calls)
}

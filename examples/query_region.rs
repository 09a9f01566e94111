//! Opens a dataset, asks for a region, and prints how many reads start in each kilobase.
//!
//! ```sh
//! cargo run --release --example query_region -- sample.paf chr1:1M-1.01M
//! ```
//! Without arguments it makes a small dataset in memory and asks that.

use std::collections::BTreeMap;
use std::sync::Arc;

use genomic_objects::codec::Effort;
use genomic_objects::dataset::{At, Change, InputInfo, TransactionId};
use genomic_objects::error::Result;
use genomic_objects::paf::order::Ordering;
use genomic_objects::paf::read::{Places, Query, Reader};
use genomic_objects::paf::write::{WriteOptions, write};
use genomic_objects::pipeline::Progress;
use genomic_objects::records::alignments::Fields;
use genomic_objects::simulate::{Alignments, SimulateOptions};
use genomic_objects::store::{Store, StoreOptions};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let store = match arguments.next() {
        Some(location) => Store::open(&location, &StoreOptions::default())?,
        None => sample()?,
    };
    let region = arguments.next().unwrap_or_else(|| "chr1:10k-20k".to_owned());
    let places = Places { regions: vec![region], bed: None };

    // Only the columns named here are fetched.
    let fields = Fields::PLACE | Fields::CIGAR;
    let reader = Reader::open_for(&store, At::Newest, &places, &fields, None)?;
    let mut starts: BTreeMap<i32, u64> = BTreeMap::new();
    let stats = reader.query(&Query { fields, ..Query::default() }, |batch| {
        for record in batch.iter() {
            *starts.entry(record.position() / 1_000).or_default() += 1;
        }
        Ok(())
    })?;
    for (kilobase, reads) in starts {
        println!("{}\t{reads}", i64::from(kilobase) * 1_000);
    }
    eprintln!("{} reads; {} of {} blocks", stats.records, stats.blocks, stats.blocks_total);
    Ok(())
}

/// A dataset of simulated reads in memory.
fn sample() -> Result<Store> {
    let store = Store::in_memory();
    let mut reads = Alignments::new(SimulateOptions { reads: 50_000, ..Default::default() })?;
    let options = WriteOptions {
        chunk_size: 1_000_000,
        effort: Effort::Default,
        sample: None,
        threads: 2,
        ordering: Ordering::default(),
        change: Change::Create,
        verify: false,
        dry_run: false,
        created: "2026-01-01T00:00:00Z".to_owned(),
        transaction: TransactionId::from_bytes([1; 16]),
        input: InputInfo {
            name: "simulated".to_owned(),
            size_bytes: None,
            checksum: None,
            program: None,
        },
    };
    write(&mut reads, &store, &options, &Arc::new(Progress::default()))?;
    Ok(store)
}

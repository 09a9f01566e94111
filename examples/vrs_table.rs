//! Makes a Hail Table of made-up VRS annotations, for measurements:
//! `cargo run --release --example vrs_table -- OUT.ht PARTITIONS ROWS`.

use genomic_objects::error::{Error, Result};
use genomic_objects::simulate::vrs::VrsTable;
use genomic_objects::store::{Store, StoreOptions};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || Error::usage("OUT.ht PARTITIONS ROWS_OF_EACH");
    let [out, partitions, rows] = arguments.as_slice() else { return Err(usage()) };
    let number = |text: &str| text.parse().map_err(|_| usage());
    let table =
        VrsTable { partitions: number(partitions)?, rows: number(rows)?, seed: 7, newest: false };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    table.write(&Store::open(out, &StoreOptions::default())?, threads)?;
    println!("{} rows", table.len());
    Ok(())
}

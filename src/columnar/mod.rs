//! Arrow and Parquet files put together in memory from parts that were encoded on several threads, and
//! a look over those of others before libraries decode them.

mod arrow_check;
mod arrow_file;
mod parquet_check;
mod parquet_fields;
mod parquet_file;

pub(crate) use arrow_check::{check_arrow_file, check_arrow_message};
pub(crate) use arrow_file::{ArrowFile, CONTINUATION};
pub(crate) use parquet_check::{check_parquet_metadata, check_parquet_pages};
pub use parquet_file::PageCompression;
pub(crate) use parquet_file::{EncodedGroup, Kind, ParquetFile};

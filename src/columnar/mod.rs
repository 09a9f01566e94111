//! Arrow and Parquet files put together in memory from parts that were encoded on several threads.

mod arrow_check;
mod arrow_file;
mod parquet_file;

pub(crate) use arrow_check::{check_file, check_message};
pub(crate) use arrow_file::ArrowFile;
pub use parquet_file::PageCompression;
pub(crate) use parquet_file::{EncodedGroup, Kind, ParquetFile};

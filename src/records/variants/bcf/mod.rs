//! BCF 2.2 (VCF specification, §6): records as lines of VCF text, and lines as records.
//!
//! Text is what both sides share. [`Lines`] gives of a BCF the text that `bcftools view` 1.16
//! prints of it, and [`Encoder`] makes of a line the record that `bcftools view` prints as it would
//! print the line. Where htslib would change a value without a word (text in a field of integers,
//! an integer that needs 64 bits), the encoder refuses the line.
//!
//! ```text
//! file:    "BCF" 2 2, u32 bytes of the header's text, text, NUL, records; all in BGZF
//! record:  u32 bytes of the site, u32 bytes of the samples, site, samples
//! ```

mod encode;
mod format;
mod header;
mod read;
#[cfg(test)]
mod tests;
mod value;

pub use encode::Encoder;
pub use header::Header;
pub use read::Lines;

/// How a BCF begins, before the minor version.
pub const MAGIC: &[u8; 4] = b"BCF\x02";

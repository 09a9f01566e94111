//! What genomic files say, apart from how they say it: records of alignments (variants and reads
//! join later), their readers and writers, and their Arrow schemas.

pub mod alignments;
pub mod reads;

//! Variants as files have them.

pub mod bcf;

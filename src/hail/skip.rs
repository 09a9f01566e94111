//! Values that nobody asked for: read for their length alone.

use super::encoded::{EKind, EType};
use super::node::Scratch;
use super::stream::Stream;
use crate::error::Result;

/// How to pass over values of an encoded type.
pub(super) struct Skipped(EType);

impl Skipped {
    pub(super) fn new(encoded: &EType) -> Self {
        Self(encoded.clone())
    }

    /// Passes over a value.
    pub(super) fn read(&self, stream: &mut Stream, scratch: &mut Scratch) -> Result<()> {
        skip(&self.0.kind, stream, scratch)
    }
}

fn skip(kind: &EKind, stream: &mut Stream, scratch: &mut Scratch) -> Result<()> {
    match kind {
        EKind::Boolean => stream.skip(1),
        EKind::Int32 => stream.int32(false).map(drop),
        EKind::Int64 => stream.int64(false).map(drop),
        EKind::Varint => stream.int64(true).map(drop),
        EKind::Float32 => stream.skip(4),
        EKind::Float64 => stream.skip(8),
        EKind::Binary(length) => {
            let count = stream.length(*length)?;
            stream.skip(count)
        }
        EKind::Array(length, item) => {
            let count = stream.length(*length)?;
            // Items may take no bytes at all.
            scratch.charge(count, 1)?;
            let base = scratch.bits.len();
            if !item.required {
                stream.copy(count.div_ceil(8), &mut scratch.bits)?;
            }
            for at in 0..count {
                if item.required || !scratch.is_missing(base, at) {
                    skip(&item.kind, stream, scratch)?;
                }
            }
            scratch.bits.truncate(base);
            Ok(())
        }
        EKind::Struct(fields) => {
            let nullable = fields.iter().filter(|(_, of)| !of.required).count();
            let base = scratch.bits.len();
            stream.copy(nullable.div_ceil(8), &mut scratch.bits)?;
            let mut bit = 0;
            for (_, of) in fields {
                let missing = !of.required && scratch.is_missing(base, bit);
                bit += usize::from(!of.required);
                if !missing {
                    skip(&of.kind, stream, scratch)?;
                }
            }
            scratch.bits.truncate(base);
            Ok(())
        }
        EKind::NdArray(item, dimensions) => {
            let (_, count) = super::ndarray::shape(*dimensions, stream, scratch)?;
            scratch.charge(count, 1)?;
            (0..count).try_for_each(|_| skip(&item.kind, stream, scratch))
        }
    }
}

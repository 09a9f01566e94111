//! No flipped byte passes.

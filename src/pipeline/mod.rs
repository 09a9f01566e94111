//! How work flows: bounded stages, sorting beyond memory, progress.

pub mod ordered;
pub mod progress;
pub mod sort;

pub use ordered::{ordered, ordered_by_weight};
pub use progress::Progress;
pub use sort::{Kept, SortOptions, Sorted, Sorter};

//! How work flows: bounded stages, sorting beyond memory, progress.

pub mod progress;

pub use progress::Progress;

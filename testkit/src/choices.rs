//! Choices that are the same in every run.

/// A generator of numbers, begun from a seed.
#[derive(Debug)]
pub struct Choices(pub u64);

impl Choices {
    /// A number below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

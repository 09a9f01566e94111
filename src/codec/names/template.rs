//! What names have in common: a template, which is the name with a placeholder for each token.
//!
//! `HS25_09827:2:1201#49` has the template `A0_0:0:0#0`: `A` stands for a run of letters, `0` for a
//! run of digits, all else for itself. Names whose letters and digits mix at random (such as the
//! UUIDs of nanopore reads) would each have a template of their own; for these, a run of letters
//! and digits is one token, `A`.

use ahash::{HashMap, HashMapExt as _};
use std::ops::Range;

/// Placeholder of a token with letters.
pub(super) const LETTERS: u8 = b'A';
/// Placeholder of a token of digits.
pub(super) const DIGITS: u8 = b'0';
/// Longer names are kept verbatim.
const MAX_LEN: usize = 255;

/// What a run of letters and digits is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// A token of letters, a token of digits, and so on.
    LettersFromDigits,
    /// One token.
    Words,
}

/// Names that share a template.
pub(super) struct Group {
    /// Placeholders, and the characters between them.
    pub(super) template: Vec<u8>,
    /// Where the tokens are, name by name.
    pub(super) tokens: Vec<Range<u32>>,
    /// How many names there are.
    pub(super) rows: usize,
}

impl Group {
    /// Tokens in each name.
    pub(super) fn width(&self) -> usize {
        width(&self.template)
    }
}

/// Tokens in each name of a template.
pub(super) fn width(template: &[u8]) -> usize {
    template.iter().filter(|&&c| is_placeholder(c)).count()
}

pub(super) fn is_placeholder(character: u8) -> bool {
    character == LETTERS || character == DIGITS
}

/// Sorts names into groups.
pub(super) struct Grouping {
    split: Split,
    by_template: HashMap<Vec<u8>, usize>,
    pub(super) groups: Vec<Group>,
    last: usize,
    template: Vec<u8>,
    tokens: Vec<Range<u32>>,
}

impl Grouping {
    pub(super) fn new(split: Split) -> Self {
        Self {
            split,
            by_template: HashMap::new(),
            groups: Vec::new(),
            last: 0,
            template: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Adds the name at `place` of the names' bytes and returns its group; `None` for a name that
    /// has no template.
    pub(super) fn add(&mut self, names: &[u8], place: Range<usize>) -> Option<usize> {
        let name = names.get(place.clone())?;
        if name.is_empty() || name.len() > MAX_LEN {
            return None;
        }
        self.tokenise(name, place.start as u32);
        let known = self.groups.get(self.last).is_some_and(|g| g.template == self.template);
        if !known {
            self.last = match self.by_template.get(&self.template) {
                Some(&group) => group,
                None => {
                    let group = self.groups.len();
                    self.by_template.insert(self.template.clone(), group);
                    let template = self.template.clone();
                    self.groups.push(Group { template, tokens: Vec::new(), rows: 0 });
                    group
                }
            };
        }
        let group = &mut self.groups[self.last];
        group.tokens.extend_from_slice(&self.tokens);
        group.rows += 1;
        Some(self.last)
    }

    fn tokenise(&mut self, name: &[u8], offset: u32) {
        self.template.clear();
        self.tokens.clear();
        let mut open = 0;
        for (at, &character) in (offset..).zip(name) {
            let class = match (character, self.split) {
                (b'0'..=b'9', Split::LettersFromDigits) => DIGITS,
                (b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z', _) => LETTERS,
                _ => character,
            };
            if is_placeholder(class) {
                if class == open {
                    if let Some(token) = self.tokens.last_mut() {
                        token.end = at + 1;
                    }
                    continue;
                }
                self.tokens.push(at..at + 1);
            }
            self.template.push(class);
            open = if is_placeholder(class) { class } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_grouping_finds_templates_and_tokens() {
        let names = b"HS25_09827:2#49HS2_1:77#4x";
        let mut grouping = Grouping::new(Split::LettersFromDigits);
        assert_eq!(grouping.add(names, 0..15), Some(0));
        assert_eq!(grouping.add(names, 15..25), Some(0));
        assert_eq!(grouping.add(names, 25..26), Some(1));
        assert_eq!(grouping.add(names, 26..26), None);
        let group = &grouping.groups[0];
        assert_eq!(group.template, b"A0_0:0#0");
        assert_eq!((group.rows, group.width()), (2, 5));
        assert_eq!(group.tokens[5..], [15..17, 17..18, 19..20, 21..23, 24..25]);
        assert_eq!(grouping.groups[1].template, b"A");

        let mut words = Grouping::new(Split::Words);
        words.add(names, 0..15);
        assert_eq!(words.groups[0].template, b"A_A:A#A");
    }
}

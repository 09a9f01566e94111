//! What the header declares, as far as expressions ask.

use std::collections::{HashMap, HashSet};

use crate::vcs::schema::Schema;

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vcs) enum Kind {
    Flag,
    Integer,
    Float,
    Text,
}

/// A declaration of INFO or FORMAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vcs) struct Declaration {
    /// Whether a record has one value of it.
    pub(in crate::vcs) is_single: bool,
    /// What its values are.
    pub(in crate::vcs) kind: Kind,
}

/// Declarations of a header, and its samples.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    pub(in crate::vcs) info: HashMap<String, Declaration>,
    pub(in crate::vcs) format: HashMap<String, Declaration>,
    pub(in crate::vcs) filters: HashSet<String>,
    pub(in crate::vcs) samples: Vec<String>,
}

impl Dictionary {
    /// Of a dataset, as far as `samples` (all if `None`) are looked at.
    pub fn new(schema: &Schema, samples: Option<&[usize]>) -> Self {
        let all = &schema.samples;
        let samples = match samples {
            None => all.clone(),
            Some(places) => places.iter().filter_map(|&at| all.get(at).cloned()).collect(),
        };
        Self::of_header(&String::from_utf8_lossy(&schema.header), samples)
    }

    pub(in crate::vcs) fn of_header(header: &str, samples: Vec<String>) -> Self {
        let mut dictionary = Self { samples, ..Self::default() };
        dictionary.filters.insert("PASS".to_owned());
        for line in header.lines() {
            let Some((section, body)) = line.strip_prefix("##").and_then(|l| l.split_once("=<"))
            else {
                continue;
            };
            let members = members(body.trim_end().trim_end_matches('>'));
            let member = |name: &str| members.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
            let Some(id) = member("ID") else { continue };
            let declaration = || Declaration {
                is_single: member("Number") == Some("1"),
                kind: match member("Type") {
                    Some("Flag") => Kind::Flag,
                    Some("Integer") => Kind::Integer,
                    Some("Float") => Kind::Float,
                    _ => Kind::Text,
                },
            };
            match section {
                "FILTER" => {
                    dictionary.filters.insert(id.to_owned());
                }
                // The first declaration of a key counts.
                "INFO" => {
                    dictionary.info.entry(id.to_owned()).or_insert_with(declaration);
                }
                "FORMAT" => {
                    dictionary.format.entry(id.to_owned()).or_insert_with(declaration);
                }
                _ => {}
            }
        }
        if let Some(genotype) = dictionary.format.get_mut("GT") {
            *genotype = Declaration { is_single: true, kind: Kind::Text };
        }
        dictionary
    }
}

/// The members of a header line, `key=value` separated by commas outside of quotes.
fn members(body: &str) -> Vec<(&str, &str)> {
    let mut members = Vec::new();
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut add = |text| members.extend(str::split_once(text, '='));
    for (at, c) in body.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                add(&body[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    add(&body[start..]);
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_dictionary_reads_declarations() {
        let header = "##fileformat=VCFv4.2\n##FILTER=<ID=q10,Description=\"a, \\\"b\\\", ID=c\">\n\
            ##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n\
            ##INFO=<ID=DP,Type=Integer,Number=1,Description=\"Number=2\">\n\
            ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n";
        let found = Dictionary::of_header(header, Vec::new());
        assert!(found.filters.contains("q10") && found.filters.contains("PASS"));
        assert_eq!(found.info["AF"], Declaration { is_single: false, kind: Kind::Float });
        assert_eq!(found.info["DP"], Declaration { is_single: true, kind: Kind::Integer });
        assert_eq!(found.format["GT"].kind, Kind::Text);
    }
}

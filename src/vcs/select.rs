//! A part of an input: some samples, some fields of INFO and FORMAT.
//!
//! The lines and the header are changed before they are converted, so that the dataset gives back
//! what was chosen.

use std::collections::HashSet;

use super::needs::Fields;
use super::order::LineSource;
use super::write::Lines;
use crate::error::{Error, Result};

/// What to keep of each record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subset {
    /// Samples by name, in the order of the output; all if `None`.
    pub samples: Option<Vec<String>>,
    /// Fields of INFO.
    pub info: Fields,
    /// Fields of FORMAT.
    pub format: Fields,
}

impl Subset {
    /// Whether that is everything.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The part of an input.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for a sample that the input does not have, or twice.
    pub fn of(&self, mut lines: Lines) -> Result<Lines> {
        if self.is_all() {
            return Ok(lines);
        }
        let names = &lines.declarations.samples;
        let places = match &self.samples {
            None => (0..names.len()).collect(),
            Some(chosen) => places_of(chosen, names)?,
        };
        let has_samples = !places.is_empty() && self.format != Fields::none();
        let places = if has_samples { places } else { Vec::new() };
        let declarations = &mut lines.declarations;
        declarations.header = self.header(&declarations.header, &places);
        declarations.info.retain(|field| self.info.has(&field.id));
        declarations.format.retain(|field| has_samples && self.format.has(&field.id));
        let places_of_cells = places.iter().map(|&place| declarations.samples[place].clone());
        declarations.samples = places_of_cells.collect();
        let source = lines.source;
        lines.source = Box::new(Selected {
            source,
            subset: self.clone(),
            places,
            whole: Vec::new(),
            line: Vec::new(),
        });
        Ok(lines)
    }

    fn header(&self, header: &[u8], places: &[usize]) -> Vec<u8> {
        let mut out = Vec::with_capacity(header.len());
        for line in header.split_inclusive(|&byte| byte == b'\n') {
            let declares = |prefix: &[u8], fields: &Fields| {
                let Some(rest) = line.strip_prefix(prefix) else { return true };
                let id = rest.split(|&byte| byte == b',' || byte == b'>').next();
                fields.has(&String::from_utf8_lossy(id.unwrap_or_default()))
            };
            if line.starts_with(b"#CHROM") {
                let names = line.trim_ascii_end();
                let fields: Vec<&[u8]> = names.split(|&byte| byte == b'\t').collect();
                let site = if places.is_empty() { 8 } else { 9 };
                let cells = places.iter().filter_map(|place| fields.get(9 + place));
                let kept: Vec<&[u8]> = fields.iter().take(site).chain(cells).copied().collect();
                out.extend_from_slice(&kept.join(&b'\t'));
                out.extend_from_slice(&line[names.len()..]);
            } else if declares(b"##INFO=<ID=", &self.info)
                && declares(b"##FORMAT=<ID=", &self.format)
            {
                out.extend_from_slice(line);
            }
        }
        out
    }
}

fn places_of(chosen: &[String], names: &[String]) -> Result<Vec<usize>> {
    let mut seen = HashSet::new();
    let place = |name: &String| {
        if !seen.insert(name.clone()) {
            return Err(Error::usage(format!("sample {name:?} is asked for twice")));
        }
        let found = names.iter().position(|other| other == name);
        found.ok_or_else(|| Error::usage(format!("there is no sample {name:?} in the input")))
    };
    chosen.iter().map(place).collect()
}

struct Selected {
    source: Box<dyn LineSource>,
    subset: Subset,
    places: Vec<usize>,
    /// The line as it is in the input.
    whole: Vec<u8>,
    /// What was chosen of it.
    line: Vec<u8>,
}

impl LineSource for Selected {
    fn next_line(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let Some(line) = self.source.next_line()? else { return Ok(None) };
        self.whole.clear();
        self.whole.extend_from_slice(line);
        // Whether it has the columns of the header can only be seen while it has all of them.
        self.source.place(&self.whole)?;
        select(&self.whole, &self.subset, &self.places, &mut self.line);
        Ok(Some(&self.line))
    }

    fn ending(&self) -> &[u8] {
        self.source.ending()
    }

    fn place(&self, line: &[u8]) -> Result<(i64, i64)> {
        super::order::place_of(line)
    }
}

fn select(line: &[u8], subset: &Subset, places: &[usize], out: &mut Vec<u8>) {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b'\t').collect();
    let (site, rest) = fields.split_at(fields.len().min(7));
    out.extend_from_slice(&site.join(&b'\t'));
    let Some((info, calls)) = rest.split_first() else { return };
    let key = |entry: &&[u8]| {
        let key = entry.split(|&byte| byte == b'=').next().unwrap_or_default();
        subset.info.has(&String::from_utf8_lossy(key))
    };
    let kept: Vec<&[u8]> = info.split(|&byte| byte == b';').filter(key).collect();
    out.push(b'\t');
    out.extend_from_slice(if kept.is_empty() { b"." } else { b"" });
    out.extend_from_slice(&kept.join(&b';'));
    let Some((format, cells)) = calls.split_first().filter(|_| !places.is_empty()) else { return };
    let keys: Vec<&[u8]> = format.split(|&byte| byte == b':').collect();
    let columns: Vec<usize> = (0..keys.len())
        .filter(|&at| subset.format.has(&String::from_utf8_lossy(keys[at])))
        .collect();
    let texts = std::iter::once(format).chain(places.iter().filter_map(|&place| cells.get(place)));
    for text in texts {
        let values: Vec<&[u8]> = text.split(|&byte| byte == b':').collect();
        // Values dropped at the end stay dropped.
        let kept: Vec<&[u8]> = columns.iter().filter_map(|&at| values.get(at).copied()).collect();
        out.push(b'\t');
        out.extend_from_slice(if kept.is_empty() { b"." } else { b"" });
        out.extend_from_slice(&kept.join(&b':'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_select_keeps_what_was_chosen() {
        let keys = |keys: &[&str]| Fields::Some(keys.iter().map(|&key| key.to_owned()).collect());
        let subset = Subset { samples: None, info: keys(&["DP"]), format: keys(&["GT", "GQ"]) };
        let line = b"1\t5\t.\tA\tC\t9\t.\tAF=1;DP=3;DB\tGT:AD:GQ\t0/1:1,2:9\t0/0:5\t1/1";
        let mut out = Vec::new();
        select(line, &subset, &[2, 0, 1], &mut out);
        assert_eq!(out, b"1\t5\t.\tA\tC\t9\t.\tDP=3\tGT:GQ\t1/1\t0/1:9\t0/0");
        out.clear();
        select(line, &Subset { info: Fields::none(), ..subset.clone() }, &[], &mut out);
        assert_eq!(out, b"1\t5\t.\tA\tC\t9\t.\t.");
        let header = b"##INFO=<ID=AF,Number=A>\n##INFO=<ID=DP,Number=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\r\n";
        let kept = String::from_utf8(subset.header(header, &[1])).unwrap();
        assert!(kept.starts_with("##INFO=<ID=DP") && kept.ends_with("FORMAT\tb\r\n"), "{kept}");
    }
}

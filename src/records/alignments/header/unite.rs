//! One header of two files of the same dictionary, as for merging them.

use std::collections::{HashMap, HashSet};

use super::{Header, Validation};
use crate::error::{Error, Result};

/// New IDs of programs, by the old ones.
pub type Renamed = HashMap<Vec<u8>, Vec<u8>>;

/// A line with an ID, in parts.
fn value<'a>(line: &'a [u8], tag: &[u8]) -> Option<&'a [u8]> {
    line.split(|&byte| byte == b'\t').skip(1).find_map(|field| field.strip_prefix(tag))
}

/// The line with other IDs of programs.
fn with_ids(line: &[u8], renamed: &Renamed) -> Vec<u8> {
    let fields: Vec<Vec<u8>> = line
        .split(|&byte| byte == b'\t')
        .enumerate()
        .map(|(at, field)| {
            let tag =
                [&b"ID:"[..], b"PP:"].into_iter().find(|tag| at > 0 && field.starts_with(tag));
            let new = tag.and_then(|tag| Some((tag, renamed.get(&field[tag.len()..])?)));
            new.map_or_else(|| field.to_vec(), |(tag, id)| [tag, &id[..]].concat())
        })
        .collect();
    fields.join(&b'\t')
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

impl Header {
    /// This header with what another has besides: read groups, programs, comments. Lines that are
    /// equal are there once; a program whose ID has another line here gets a new ID, by which `PG`
    /// tags of the other's records must be renamed. `@HD` and `@SQ` stay as they are here.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) where a read group of one ID has two lines.
    pub fn united_with(&self, other: &Self) -> Result<(Self, Renamed)> {
        let own: HashSet<&[u8]> = lines(&self.text).collect();
        let of_kind = |text, kind: &'static [u8]| lines(text).filter(move |l| l.starts_with(kind));
        let by_id = |kind: &'static [u8]| -> HashMap<&[u8], &[u8]> {
            of_kind(&self.text, kind)
                .filter_map(|line| Some((value(line, b"ID:")?, line)))
                .collect()
        };
        let (groups, programs) = (by_id(b"@RG\t"), by_id(b"@PG\t"));
        for line in of_kind(&other.text, b"@RG\t") {
            let Some(id) = value(line, b"ID:") else { continue };
            if let Some(known) = groups.get(id).filter(|known| **known != line) {
                let text = |line: &[u8]| String::from_utf8_lossy(line).replace('\t', " ");
                return Err(Error::input(format!(
                    "read group {:?} is another one than in the dataset",
                    String::from_utf8_lossy(id)
                ))
                .expected(text(known))
                .found(text(line))
                .help("give it an ID of its own, as with `samtools addreplacerg`"));
            }
        }
        let theirs: Vec<&[u8]> = of_kind(&other.text, b"@PG\t").collect();
        let renamed = rename_programs(&programs, &theirs);
        let mut text = self.text.clone();
        let mut added: HashSet<Vec<u8>> = HashSet::new();
        for line in lines(&other.text) {
            if line.starts_with(b"@HD\t") || line.starts_with(b"@SQ\t") {
                continue;
            }
            let line = match line.starts_with(b"@PG\t") {
                true => with_ids(line, &renamed),
                false => line.to_vec(),
            };
            if own.contains(&line[..]) || !added.insert(line.clone()) {
                continue;
            }
            if text.last().is_some_and(|last| *last != b'\n') {
                text.push(b'\n');
            }
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        let contigs = self.contigs.iter().map(|c| (c.name.clone(), c.length)).collect();
        Ok((Self::from_bam(&text, contigs, Validation::Lenient)?, renamed))
    }
}

/// New IDs for programs of which another goes by the same ID; also for those that followed one that
/// is renamed, unless they are new here.
fn rename_programs(own: &HashMap<&[u8], &[u8]>, theirs: &[&[u8]]) -> Renamed {
    let mut renamed = Renamed::new();
    let ids: HashSet<&[u8]> = theirs.iter().filter_map(|line| value(line, b"ID:")).collect();
    loop {
        let before = renamed.len();
        for line in theirs {
            let Some(id) = value(line, b"ID:").filter(|id| !renamed.contains_key(*id)) else {
                continue;
            };
            if own.get(id).is_none_or(|known| with_ids(line, &renamed) == *known) {
                continue;
            }
            let name = (1_u64..).map(|copy| [id, format!(".{copy}").as_bytes()].concat());
            let is_free = |name: &Vec<u8>| {
                !own.contains_key(&name[..])
                    && !ids.contains(&name[..])
                    && !renamed.values().any(|used| used == name)
            };
            if let Some(name) = name.take(1 << 20).find(is_free) {
                renamed.insert(id.to_vec(), name);
            }
        }
        if renamed.len() == before {
            return renamed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &str) -> Header {
        let text = format!("@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:1\tLN:9\n{lines}");
        Header::parse_sam_text(text.as_bytes(), Validation::Strict).unwrap()
    }

    #[test]
    fn test_united_headers_keep_each_line_once() {
        let one =
            header("@RG\tID:a\tSM:x\n@PG\tID:bwa\tCL:bwa 1\n@PG\tID:dup\tPP:bwa\n@CO\tsame\n");
        let two = header(
            "@RG\tID:a\tSM:x\n@RG\tID:b\tSM:x\n@PG\tID:bwa\tCL:bwa 2\n@PG\tID:dup\tPP:bwa\n@CO\tsame\n",
        );
        let (united, renamed) = one.united_with(&two).unwrap();
        let text = String::from_utf8(united.text().to_vec()).unwrap();
        let added = "@RG\tID:b\tSM:x\n@PG\tID:bwa.1\tCL:bwa 2\n@PG\tID:dup.1\tPP:bwa.1\n";
        assert_eq!(text, format!("{}{added}", String::from_utf8_lossy(one.text())));
        assert_eq!(renamed.len(), 2);
        assert_eq!(renamed[&b"dup"[..]], b"dup.1");
        Header::parse_sam_text(text.as_bytes(), Validation::Strict).unwrap();
        let (again, renamed) = one.united_with(&one).unwrap();
        assert_eq!((again.text(), renamed.len()), (one.text(), 0));
    }

    #[test]
    fn test_read_groups_that_contradict_each_other_are_refused() {
        let error = header("@RG\tID:a\tSM:x\n").united_with(&header("@RG\tID:a\tSM:y\n"));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("read group \"a\"") && error.contains("SM:y"), "{error}");
    }
}

//! AC and AN of the samples that are left.

use super::expression::{Dictionary, Record, allele_counts};

/// The lines that declare AC and AN, where the header does not.
pub(super) fn declare(dictionary: &Dictionary) -> Vec<u8> {
    let mut lines = Vec::new();
    for (key, line) in [
        ("AC", "##INFO=<ID=AC,Number=A,Type=Integer,Description=\"Allele count in genotypes\">\n"),
        (
            "AN",
            "##INFO=<ID=AN,Number=1,Type=Integer,Description=\"Total number of alleles in called genotypes\">\n",
        ),
    ] {
        if !dictionary.info.contains_key(key) {
            lines.extend_from_slice(line.as_bytes());
        }
    }
    lines
}

/// Counts alleles anew, where there are genotypes: in place where INFO has AC or AN, else at its end.
/// A site without alternate alleles has no AC.
pub(super) fn recount(line: &[u8], out: &mut Vec<u8>) {
    let record = Record::new(line);
    let Some(counts) = allele_counts(&record, false) else {
        out.extend_from_slice(line);
        return;
    };
    let texts: Vec<String> = counts[1..].iter().map(ToString::to_string).collect();
    let total: i64 = counts.iter().sum();
    let new = |key: &str| match key {
        "AC" if texts.is_empty() => None,
        "AC" => Some(format!("AC={}", texts.join(","))),
        _ => Some(format!("AN={total}")),
    };
    let key_of = |entry: &[u8]| {
        let key = entry.split(|&byte| byte == b'=').next().unwrap_or_default();
        ["AC", "AN"].into_iter().find(|name| name.as_bytes() == key)
    };
    let mut entries: Vec<Vec<u8>> = Vec::new();
    let mut left = vec!["AC", "AN"];
    for entry in record.all_info().split(|&byte| byte == b';') {
        match key_of(entry) {
            Some(key) if left.contains(&key) => {
                left.retain(|other| *other != key);
                entries.extend(new(key).map(String::into_bytes));
            }
            Some(_) => {}
            None if entry == b"." => {}
            None => entries.push(entry.to_vec()),
        }
    }
    entries.extend(left.into_iter().filter_map(new).map(String::into_bytes));
    let mut fields = line.splitn(9, |&byte| byte == b'\t');
    for field in fields.by_ref().take(7) {
        out.extend_from_slice(field);
        out.push(b'\t');
    }
    let info = if entries.is_empty() { b".".to_vec() } else { entries.join(&b';') };
    out.extend_from_slice(&info);
    for rest in fields.skip(1) {
        out.push(b'\t');
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_recount_writes_counts_where_bcftools_does() {
        for (info, format, alternate, expected) in [
            ("DP=5", "GT\t0/1", "C", "DP=5;AC=1;AN=2"),
            (".", "GT\t0/1", "C", "AC=1;AN=2"),
            ("AN=9;X;AC=7", "GT\t0|2\t./1", "C,G", "AN=3;X;AC=1,1"),
            ("AC=1;AN=6;DP=5", "GT\t0/0", ".", "AN=2;DP=5"),
            ("DP=5;AN=6;AC=3", "DP\t5", "C", "DP=5;AN=6;AC=3"),
        ] {
            let line = |info: &str| format!("1\t5\t.\tA\t{alternate}\t.\t.\t{info}\t{format}");
            let mut out = Vec::new();
            recount(line(info).as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), line(expected));
        }
    }
}

//! Names within a dataset.

use std::collections::HashMap;

use super::commit::TransactionId;
use crate::{
    error::{Error, Result},
    store::validate_key,
};

/// The copy of the newest manifest that reading starts from.
pub const METADATA: &str = "_metadata.json";
/// The folder of manifests.
pub(super) const MANIFESTS: &str = "_manifests";
/// The folder of chunk lists.
pub(super) const SEGMENTS: &str = "_manifests/segments";
/// The folder of long lists of condemned names.
pub(super) const CONDEMNED: &str = "_manifests/condemned";

/// The manifest of version `version`.
///
/// ```
/// use genomic_objects::dataset::manifest_path;
///
/// assert_eq!(manifest_path(7), "_manifests/v00000000000000000007.json");
/// ```
pub fn manifest_path(version: u64) -> String {
    format!("{MANIFESTS}/v{version:020}.json")
}

/// Checks a path that a manifest refers to: relative, normalised, of plain characters, and not a
/// place of the manifests themselves.
pub(super) fn check_path(path: &str) -> Result<()> {
    validate_key(path)?;
    let shown = || path.escape_default().to_string();
    if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"._=+-/".contains(&b)) {
        return Err(Error::corrupt(format!("'{}' holds characters no path may hold", shown()))
            .expected("letters, digits and '._=+-/'"));
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let among_manifests =
        path.starts_with("_manifests/") && ![SEGMENTS, CONDEMNED].contains(&folder);
    if path == METADATA || among_manifests {
        return Err(Error::corrupt(format!("'{}' is a place reserved for manifests", shown())));
    }
    Ok(())
}

/// `folder/stem.token.ext`, or `stem.token.ext` without a folder: a name no other transaction
/// uses.
pub(super) fn token_path(
    folder: &str,
    stem: &str,
    id: TransactionId,
    extension: &str,
) -> Result<String> {
    let file = format!("{stem}.{}.{extension}", id.token());
    let path = if folder.is_empty() { file } else { format!("{folder}/{file}") };
    check_path(&path)?;
    Ok(path)
}

/// The token in a path, if it has one: 16 hexadecimal digits between two dots, before an extension
/// that may have dots itself.
///
/// ```
/// use genomic_objects::dataset::token_of;
///
/// assert_eq!(token_of("a/x.0123456789abcdef.json.zst"), Some("0123456789abcdef"));
/// assert_eq!(token_of("README.txt"), None);
/// ```
pub fn token_of(path: &str) -> Option<&str> {
    let file = path.rsplit('/').next()?;
    let (_, rest) = file.split_once('.')?;
    let (rest, _) = rest.rsplit_once('.')?;
    let is_token = |part: &&str| {
        part.len() == 16 && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    rest.rsplit('.').find(is_token)
}

/// The folder of each of `names`, in their order: the name itself where that is harmless
/// everywhere, else `c` and its ordinal, counted from 0.
///
/// A name is harmless if it has 1 to 64 letters, digits, `_`, `.` and `-`, begins with a letter or
/// digit, does not end in a dot, is no device name of Windows, does not look like a fallback
/// itself, and equals no other name and none of `reserved`, whatever the case of their letters.
///
/// ```
/// use genomic_objects::dataset::folders;
///
/// let names = ["chr1", "HLA-A*01:01", "..", "chrX", "CHRX", "c1"];
/// assert_eq!(folders(&names, &["unplaced"]), ["chr1", "c1", "c2", "c3", "c4", "c5"]);
/// ```
pub fn folders(names: &[&str], reserved: &[&str]) -> Vec<String> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    for name in names.iter().chain(reserved) {
        *uses.entry(name.to_ascii_lowercase()).or_default() += 1;
    }
    let is_free = |name: &str| uses.get(&name.to_ascii_lowercase()) == Some(&1);
    let folder = |(ordinal, name): (usize, &&str)| {
        if is_plain(name) && is_free(name) { (*name).to_owned() } else { format!("c{ordinal}") }
    };
    names.iter().enumerate().map(folder).collect()
}

fn is_plain(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= 64
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last() != Some(&b'.')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b))
        && !is_fallback(bytes)
        && !is_device(name)
}

fn is_fallback(name: &[u8]) -> bool {
    matches!(name, [b'c' | b'C', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    match stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")) {
        Some(number) => matches!(number.as_bytes(), [b'0'..=b'9']),
        None => matches!(stem.as_str(), "con" | "prn" | "aux" | "nul"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn test_folders_keep_plain_names_only() {
        let names = [
            "20",
            "X",
            "NC_000001.11",
            "GL000192.1-alt",
            "_index",
            ".x",
            "a/b",
            "a\\b",
            "",
            "nul",
            "Com1.x",
            "a.",
            "-x",
            "c12",
            "C0",
            "chrM",
            "chrm",
            "é",
        ];
        let got = folders(&names, &[]);
        assert_eq!(got[..4], ["20", "X", "NC_000001.11", "GL000192.1-alt"]);
        for (i, folder) in got.iter().enumerate().skip(4) {
            assert_eq!(folder, &format!("c{i}"));
        }
        assert_eq!(folders(&["unplaced"], &["Unplaced"]), ["c0"]);
    }

    #[test]
    fn test_token_is_found_where_it_was_put() {
        let id = TransactionId::from_bytes([0xab; 16]);
        let path = token_path("chr1", "chunk_0-1", id, "bin").unwrap();
        assert_eq!(path, "chr1/chunk_0-1.abababababababab.bin");
        assert_eq!(token_of(&path), Some(id.token().as_str()));
        let path = token_path("", "_samples", id, "json.zst").unwrap();
        assert_eq!(token_of(&path), Some(id.token().as_str()));
        assert_eq!(token_of("0123456789abcdef.txt"), None);
        assert_eq!(token_of("README.txt"), None);
        assert_eq!(token_of("a.ABABABABABABABAB.bin"), None);
        assert!(token_path("../x", "a", id, "bin").is_err());
    }

    #[test]
    fn test_check_path_refuses_what_is_not_inside() {
        for good in ["a", "chr1/x.bin", "data/contig=chr1/p.parquet", "_manifests/segments/x"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/a",
            "../a",
            "a/../b",
            "a//b",
            "a\\b",
            "s3://b/x",
            "http:/x",
            "a b",
            "a%2e",
            "a?b",
            "a\u{0}",
            "é",
            "_metadata.json",
            "_manifests/v00000000000000000001.json",
        ] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn test_folders_are_unique_and_safe(names in prop::collection::hash_set("\\PC{0,6}|[cC][0-9]{1,2}|chr[XxYy]", 0..30)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let got = folders(&names, &[]);
            let lower: HashSet<String> = got.iter().map(|f| f.to_lowercase()).collect();
            prop_assert_eq!(lower.len(), names.len());
            for folder in got {
                let path = format!("{folder}/x");
                prop_assert!(check_path(&path).is_ok());
            }
        }
    }
}

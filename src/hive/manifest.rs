//! What an export was made from, and what it wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The format's name in a manifest.
pub(super) const FORMAT: &str = "genomic-objects-parquet";
/// The version of the layout.
pub(super) const VERSION: &str = "1.0";

/// What rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `hail-table` or `vcs`, or `vcf`.
    pub kind: String,
    /// The last part of its path or URL.
    pub name: String,
    /// SHA-256 that tells it from every other.
    pub digest: String,
    /// How many rows it has in all.
    pub rows: u64,
    /// What the source says of itself, such as the release of Hail.
    #[serde(default)]
    pub details: BTreeMap<String, Value>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path below the folder.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Its row groups.
    pub row_groups: u64,
    /// The least position in it, 1-based.
    pub first: i64,
    /// The greatest.
    pub last: i64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEntry {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it can be missing.
    pub nullable: bool,
}

/// The manifest of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `genomic-objects-parquet`.
    pub format: String,
    /// `1.0`.
    pub version: String,
    /// What the rows come from.
    pub source: Origin,
    /// The options that the bytes depend on.
    pub options: Value,
    /// The columns.
    pub columns: Vec<ColumnEntry>,
    /// How many rows there are.
    pub rows: u64,
    /// The files, contig by contig, in order of position.
    pub files: Vec<FileEntry>,
    /// An empty file whose folder keeps engines from reading contigs as numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
}

/// A contig as the value of a folder's name: letters, digits, `.`, `_`, `-` as they are, the rest as
/// `%XX`, which engines that read such folders decode.
pub(super) fn folder_of(contig: &str) -> String {
    let mut name = String::from("contig=");
    for byte in contig.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_folder_of_keeps_contigs_in_their_place() {
        assert_eq!(folder_of("chr1"), "contig=chr1");
        assert_eq!(folder_of("HLA-A*01:01"), "contig=HLA-A%2A01%3A01");
        assert_eq!(folder_of("../a/é"), "contig=..%2Fa%2F%C3%A9");
    }
}

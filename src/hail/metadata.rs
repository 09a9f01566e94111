//! The JSON that describes a table: what is in it, and where.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::bounds::Bounds;
use super::codec::{Codec, member, text};
use super::types::TableType;
use crate::error::{Context, Error, Result};
use crate::json;

/// No metadata is longer than this, inflated.
const MAX_JSON: u64 = 128 << 20;
/// The newest format that is read: 1.8.
const NEWEST: (u64, u64) = (1, 8);

/// What `metadata.json.gz` of a table says.
#[derive(Debug)]
pub(super) struct TableMetadata {
    /// Major, minor and patch of the format.
    pub(super) version: (u64, u64, u64),
    pub(super) hail_version: String,
    pub(super) of: TableType,
    pub(super) references: String,
    pub(super) rows: String,
    pub(super) globals: Option<String>,
    pub(super) counts: Vec<u64>,
}

/// What `metadata.json.gz` of rows or globals says.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) codec: Codec,
    pub(super) parts: Vec<String>,
    pub(super) bounds: Vec<Bounds>,
}

/// Inflates and parses an object of metadata.
pub(super) fn read(bytes: &[u8]) -> Result<Value> {
    let mut text = Vec::new();
    let mut inflated = MultiGzDecoder::new(bytes).take(MAX_JSON + 1);
    inflated.read_to_end(&mut text).map_err(|error| {
        Error::corrupt("the metadata cannot be inflated")
            .caused_by(error)
            .help("copy the table again")
    })?;
    json::parse(&text, MAX_JSON, "metadata")
}

impl TableMetadata {
    /// Reads a table's own metadata.
    pub(super) fn parse(json: &Value) -> Result<Self> {
        let name = text(json, "name")?;
        match name.rsplit('.').next().unwrap_or(name) {
            "TableSpec" => {}
            "MatrixTableSpec" => {
                return Err(Error::unsupported("this is a MatrixTable, not a Table").help(
                    "its rows alone are a table: hl.read_matrix_table(…).rows().write('….ht')",
                ));
            }
            other => {
                return Err(Error::unsupported("this is no Hail Table")
                    .expected("TableSpec")
                    .found(other));
            }
        }
        let hail_version = text(json, "hail_version")?.to_owned();
        let number = member(json, "file_version")?.as_u64();
        let number = number.ok_or_else(|| Error::input("file_version is no number"))?;
        let version = (number >> 16, number >> 8 & 0xff, number & 0xff);
        if (version.0, version.1) > NEWEST || version.0 != 1 {
            return Err(Error::unsupported("the table was written by a newer Hail")
                .expected(format!("format {}.{} or older", NEWEST.0, NEWEST.1))
                .found(format!(
                    "format {}.{}.{}, by Hail {hail_version}",
                    version.0, version.1, version.2
                ))
                .help(
                    "use a newer release of this program, or write the table with an older Hail",
                ));
        }
        let components = member(json, "components")?;
        let path = |name: &str| {
            let component = components.get(name)?;
            component.get("rel_path").and_then(Value::as_str).map(str::to_owned)
        };
        let counts = member(member(components, "partition_counts")?, "counts")?;
        let counts = counts.as_array().map(|counts| counts.iter().map(Value::as_u64).collect());
        let counts: Option<Vec<u64>> = counts.flatten();
        Ok(Self {
            version,
            hail_version,
            of: TableType::parse(text(json, "table_type")?)?,
            references: match json.get("references_rel_path").and_then(Value::as_str) {
                Some(path) => path.to_owned(),
                None => "references".to_owned(),
            },
            rows: path("rows").ok_or_else(|| Error::input("the table has no rows component"))?,
            globals: path("globals"),
            counts: counts.ok_or_else(|| Error::input("partition counts are no numbers"))?,
        })
    }
}

impl Component {
    /// Reads a component's metadata.
    pub(super) fn parse(json: &Value) -> Result<Self> {
        let name = text(json, "name")?;
        let codec = match name.rsplit('.').next().unwrap_or(name) {
            "IndexedRVDSpec2" | "OrderedRVDSpec2" => {
                Codec::parse(member(json, "_codecSpec")?).at(|| "_codecSpec")?
            }
            "IndexedRVDSpec" | "OrderedRVDSpec" | "UnpartitionedRVDSpec" => {
                let codec = any(json, &["_codecSpec", "codecSpec"])?;
                legacy_codec(json, codec).at(|| "codecSpec")?
            }
            other => {
                return Err(Error::unsupported(format!("the component {other:?} is not known")));
            }
        };
        let parts = any(json, &["_partFiles", "partFiles"])?.as_array();
        let names = parts.and_then(|parts| {
            parts.iter().map(|part| part.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        let parts = names.ok_or_else(|| Error::input("names of parts are no texts"))?;
        let bounds = json.get("_jRangeBounds").or_else(|| json.get("jRangeBounds"));
        let bounds = match bounds.and_then(Value::as_array) {
            Some(all) if all.len() == parts.len() => all.iter().map(Bounds::parse).collect(),
            // Bounds only help to skip.
            _ => vec![Bounds::default(); parts.len()],
        };
        Ok(Self { codec, parts, bounds })
    }
}

/// The first member there is of `names`.
fn any<'a>(object: &'a Value, names: &[&str]) -> Result<&'a Value> {
    let found = names.iter().find_map(|name| object.get(name));
    found.map_or_else(|| member(object, names.first().copied().unwrap_or_default()), Ok)
}

/// The codec of before 0.2.24, whose type of rows stands beside it.
fn legacy_codec(json: &Value, codec: &Value) -> Result<Codec> {
    if codec.get("_eType").is_some() {
        return Codec::parse(codec);
    }
    let of = any(json, &["rvdType", "orvdType", "rowType"])?;
    let of = of.as_str().ok_or_else(|| Error::input("the type of rows is no text"))?;
    // `RVDType{key:[[k]],row:Struct{…}}`, `OrderedRVDType{…,row:Struct{…}}`, or a bare struct.
    let row = match of.find("row:") {
        Some(at) if of.contains("RVDType") => {
            let row = of.get(at + 4..).unwrap_or_default();
            row.strip_suffix('}').unwrap_or(row)
        }
        _ => of,
    };
    Codec::parse_legacy(codec, row)
}

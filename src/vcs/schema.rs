//! Which columns a dataset has, and what each stands for: `_schema.json`.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::sync::Arc;

use arrow_schema::{DataType, Field, SchemaRef};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::column::{Physical, list_of};
use super::genotype::{OTHER, PLANES};
use crate::codec;
use crate::error::{Error, Result};

/// Most samples whose fields have columns of their own, beside those of the sites.
pub const MOST_COLUMN_SAMPLES: usize = 64;
/// Samples of a block, where there are more.
pub const BLOCK_SAMPLES: usize = 256;

/// No schema is longer than this.
const MAX_SCHEMA: u64 = 1 << 30;

/// The fixed columns of sites, in order; `QUAL` is a float of the width that its texts need.
pub const FIXED: [&str; 8] = ["CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "END"];
/// The column with the number of each record in the input, where sorting moved any.
pub const ORDINAL: &str = "ORDINAL";

/// A field of INFO or FORMAT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSpec {
    /// Its key.
    pub id: String,
    /// Its number as the header has it: a count, `A`, `R`, `G`, `.`, …
    pub number: String,
    /// Its type as the header has it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its description in the header.
    pub description: String,
    /// Whether the header declares it; else records use it all the same.
    pub declared: bool,
    /// Its column: of sites, or of blocks of samples; for samples with columns of their own, what
    /// follows the sample's name.
    pub column: String,
    /// What its values are stored as.
    pub physical: Physical,
    /// Whether a value is a list.
    pub list: bool,
}

/// What `_schema.json` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The header's bytes, with their line ends, as they were.
    pub header: Vec<u8>,
    /// The samples' names, in the header's order.
    pub samples: Vec<String>,
    /// What QUAL is stored as.
    pub qual: Physical,
    /// Whether there is a column of ordinals.
    pub ordinal: bool,
    /// Fields of INFO, in the order of their columns.
    pub info: Vec<FieldSpec>,
    /// Fields of FORMAT, in the order of their columns.
    pub format: Vec<FieldSpec>,
    /// Samples of a block; 0 where each has columns of its own.
    pub block_samples: usize,
    /// Names of the columns of samples with columns of their own, sample by sample.
    pub sample_columns: Vec<String>,
    format_keys: HashMap<Vec<u8>, usize>,
    genotype: Option<usize>,
}

/// `_schema.json` as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: String,
    qual: Physical,
    ordinal: bool,
    block_samples: usize,
    info: Vec<FieldSpec>,
    #[serde(rename = "format_fields")]
    format_fields: Vec<FieldSpec>,
    samples: Vec<String>,
    sample_columns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    header_base64: Option<String>,
}

impl Schema {
    /// A schema of fields; names of columns are made, unique whatever the case of their letters.
    pub fn new(
        header: Vec<u8>,
        samples: Vec<String>,
        qual: Physical,
        ordinal: bool,
        mut info: Vec<FieldSpec>,
        mut format: Vec<FieldSpec>,
        most_column_samples: usize,
    ) -> Self {
        let mut names = Names::default();
        FIXED.iter().chain([&ORDINAL, &"CONTIG"]).for_each(|name| {
            names.unique(name);
        });
        for field in &mut info {
            field.column = names.unique(&format!("INFO_{}", field.id));
        }
        let has_blocks = samples.len() > most_column_samples;
        let mut sample_columns = Vec::new();
        if has_blocks {
            let mut names = Names::default();
            PLANES.iter().chain([&OTHER, &"CONTIG", &"BLOCK"]).for_each(|name| {
                names.unique(name);
            });
            for field in &mut format {
                field.column = names.unique(&field.id);
            }
        } else {
            for field in &mut format {
                field.column = field.id.clone();
            }
            for sample in &samples {
                for field in &format {
                    sample_columns.push(names.unique(&format!("{sample}_{}", field.id)));
                }
            }
        }
        let block_samples = if has_blocks { BLOCK_SAMPLES } else { 0 };
        let schema = Self {
            header,
            samples,
            qual,
            ordinal,
            info,
            format,
            block_samples,
            sample_columns,
            format_keys: HashMap::new(),
            genotype: None,
        };
        schema.indexed()
    }

    fn indexed(mut self) -> Self {
        self.format_keys = (0..)
            .zip(&self.format)
            .map(|(at, field)| (field.id.clone().into_bytes(), at))
            .collect();
        self.genotype = self.format.iter().position(|field| field.id == "GT");
        self
    }

    /// The place of a key of FORMAT.
    pub(super) fn format_index(&self, key: &[u8]) -> Option<usize> {
        self.format_keys.get(key).copied()
    }

    /// The place of a key of INFO.
    pub fn info_index(&self, key: &str) -> Option<usize> {
        self.info.iter().position(|field| field.id == key)
    }

    /// The place of GT in FORMAT.
    pub(super) fn genotype(&self) -> Option<usize> {
        self.genotype
    }

    /// Whether samples are stored in blocks, in files of their own.
    pub fn has_blocks(&self) -> bool {
        self.block_samples > 0
    }

    /// The samples of each block; of all, where each has columns of its own.
    pub fn blocks(&self) -> Vec<std::ops::Range<usize>> {
        let count = self.samples.len();
        let step = if self.has_blocks() { self.block_samples } else { count.max(1) };
        (0..count).step_by(step).map(|from| from..(from + step).min(count)).collect()
    }

    /// The columns of the files of sites.
    pub fn site_columns(&self) -> SchemaRef {
        let field = |name: &str, kind: DataType, nullable: bool| Field::new(name, kind, nullable);
        let mut fields: Vec<Field> = FIXED
            .iter()
            .map(|&name| match name {
                "CHROM" | "REF" => field(name, DataType::Utf8, false),
                "POS" | "END" => field(name, DataType::Int64, false),
                "QUAL" => field(name, self.qual.data_type(), true),
                _ => field(name, DataType::Utf8, true),
            })
            .collect();
        fields.extend(
            self.info
                .iter()
                .map(|spec| field(&spec.column, spec.data_type(), spec.physical != Physical::Bool)),
        );
        if self.ordinal {
            fields.push(field(ORDINAL, DataType::Int64, false));
        }
        let kinds = self.format.iter().map(FieldSpec::data_type).cycle();
        fields.extend(
            self.sample_columns.iter().zip(kinds).map(|(name, kind)| field(name, kind, true)),
        );
        Arc::new(arrow_schema::Schema::new(fields))
    }

    /// Where the samples' columns begin in files of sites.
    pub(super) fn first_sample_column(&self) -> usize {
        FIXED.len() + self.info.len() + usize::from(self.ordinal)
    }

    /// The columns of the files of a block of so many samples.
    pub fn block_columns(&self, samples: usize) -> SchemaRef {
        let mut fields = Vec::new();
        if self.genotype.is_some() {
            let width = i32::try_from(samples.div_ceil(8)).unwrap_or(i32::MAX);
            let plane = |name: &&str| Field::new(*name, DataType::FixedSizeBinary(width), true);
            fields.extend(PLANES.iter().map(plane));
            fields.push(Field::new(OTHER, DataType::Utf8, true));
        }
        let others = self.format.iter().enumerate().filter(|(at, _)| Some(*at) != self.genotype);
        fields.extend(
            others.map(|(_, spec)| Field::new(&spec.column, list_of(spec.data_type()), true)),
        );
        Arc::new(arrow_schema::Schema::new(fields))
    }

    /// As a file.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let text = std::str::from_utf8(&self.header).ok();
        let file = File {
            format: super::manifest::FORMAT.to_owned(),
            version: super::manifest::VERSION.to_owned(),
            qual: self.qual,
            ordinal: self.ordinal,
            block_samples: self.block_samples,
            info: self.info.clone(),
            format_fields: self.format.clone(),
            samples: self.samples.clone(),
            sample_columns: self.sample_columns.clone(),
            header: text.map(str::to_owned),
            header_base64: text.is_none().then(|| STANDARD.encode(&self.header)),
        };
        let failed = |error| Error::internal("writing the schema").caused_by(error);
        let serde_json::Value::Object(members) = serde_json::to_value(&file).map_err(failed)?
        else {
            return Err(Error::internal("the schema is no object"));
        };
        // A line a member, and a field; the rest is long lists.
        let mut json = String::from("{\n");
        for (at, (name, value)) in members.iter().enumerate() {
            let value = match (name.as_str(), value) {
                ("info" | "format_fields", serde_json::Value::Array(fields))
                    if !fields.is_empty() =>
                {
                    let lines: Vec<String> = fields.iter().map(ToString::to_string).collect();
                    format!("[\n{}\n]", lines.join(",\n"))
                }
                (_, value) => value.to_string(),
            };
            let comma = if at + 1 < members.len() { "," } else { "" };
            json += &format!("{}: {value}{comma}\n", serde_json::Value::from(name.as_str()));
        }
        json += "}\n";
        Ok(json.into_bytes())
    }

    /// As the object that a manifest lists: the file as a zstd frame.
    ///
    /// # Errors
    ///
    /// [`Internal`](crate::error::ErrorKind::Internal) only.
    pub fn pack(json: &[u8]) -> Result<Vec<u8>> {
        zstd::bulk::compress(json, 19)
            .map_err(|error| Error::internal("compressing the schema").caused_by(error))
    }

    /// Reads such an object; also the file itself.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where it is no schema.
    pub fn unpack(object: &[u8]) -> Result<(Self, Vec<u8>)> {
        let failed = |error| Error::corrupt("decompressing the schema").caused_by(error);
        let mut json = Vec::new();
        let decoder = zstd::stream::read::Decoder::new(object).map_err(failed)?;
        let most = codec::most_expanded(object.len()).min(MAX_SCHEMA);
        decoder.take(most + 1).read_to_end(&mut json).map_err(failed)?;
        if json.len() as u64 > most {
            return Err(Error::corrupt("the schema is longer than any real one"));
        }
        Ok((Self::from_json(&json)?, json))
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where it is no schema.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let file: File = serde_json::from_slice(json)
            .map_err(|error| Error::corrupt("the schema is not as specified").caused_by(error))?;
        let header = match (file.header, file.header_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(coded)) => STANDARD
                .decode(coded)
                .map_err(|error| Error::corrupt("the schema's header").caused_by(error))?,
            _ => return Err(Error::corrupt("the schema has not one header")),
        };
        let wanted =
            if file.block_samples > 0 { 0 } else { file.samples.len() * file.format_fields.len() };
        if file.sample_columns.len() != wanted {
            return Err(Error::corrupt("the schema names not one column per sample and field"));
        }
        let schema = Self {
            header,
            samples: file.samples,
            qual: file.qual,
            ordinal: file.ordinal,
            info: file.info,
            format: file.format_fields,
            block_samples: file.block_samples,
            sample_columns: file.sample_columns,
            format_keys: HashMap::new(),
            genotype: None,
        };
        Ok(schema.indexed())
    }
}

impl FieldSpec {
    /// The type of its values.
    pub fn data_type(&self) -> DataType {
        let scalar = self.physical.data_type();
        if self.list { list_of(scalar) } else { scalar }
    }
}

/// Names given out, each once.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        let mut number = 2;
        while !self.0.insert(candidate.to_lowercase()) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        candidate
    }
}

//! From a header and the first records to a schema: what each field is stored as.
//!
//! The header says what a field should be; the records show what it is. A field declared as one
//! integer that has lists becomes lists, floats get the width that their texts need, and a field
//! whose texts are no numbers becomes text, so that few values have to be kept as exceptions.

use std::collections::HashMap;

use super::column::Physical;
use super::group::Section;
use super::number;
use super::schema::{FieldSpec, Schema};

/// Cells of samples that are looked at.
const MOST_CELLS: usize = 200_000;
/// Records that are looked at.
const MOST_RECORDS: usize = 20_000;

/// A declaration of the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Its key.
    pub id: String,
    /// `Number`.
    pub number: String,
    /// `Type`.
    pub kind: String,
    /// `Description`.
    pub description: String,
}

/// What the header says.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    /// The header's bytes.
    pub header: Vec<u8>,
    /// Names of the samples.
    pub samples: Vec<String>,
    /// INFO.
    pub info: Vec<Declared>,
    /// FORMAT.
    pub format: Vec<Declared>,
}

/// What was seen of a field's values.
#[derive(Clone, Debug, Default)]
struct Seen {
    values: u64,
    lists: u64,
    scalars: u64,
    int32: u64,
    int64: u64,
    float32: u64,
    float64: u64,
}

impl Seen {
    fn add(&mut self, text: &[u8]) {
        self.values += 1;
        if text == b"." {
            return;
        }
        self.lists += u64::from(text.contains(&b','));
        for item in text.split(|&byte| byte == b',') {
            if item == b"." {
                continue;
            }
            self.scalars += 1;
            let integer = number::parse_integer(item);
            self.int64 += u64::from(integer.is_some());
            self.int32 += u64::from(integer.is_some_and(|value| i32::try_from(value).is_ok()));
            let plain = number::FloatClass::PLAIN;
            if number::parse_float::<f32>(item, plain).is_some() {
                self.float32 += 1;
                self.float64 += 1;
            } else {
                self.float64 += u64::from(number::parse_float::<f64>(item, plain).is_some());
            }
        }
    }

    /// Whether all but one of a hundred fit.
    fn mostly(&self, fit: u64) -> bool {
        fit * 100 >= self.scalars * 99
    }

    fn integer(&self) -> Physical {
        if self.mostly(self.int32) {
            Physical::Int32
        } else if self.mostly(self.int64) {
            Physical::Int64
        } else {
            self.float()
        }
    }

    fn float(&self) -> Physical {
        if self.float32 * 1000 >= self.scalars * 999 {
            Physical::Float32
        } else if self.mostly(self.float64) {
            Physical::Float64
        } else {
            Physical::String
        }
    }
}

/// Fields by key, in the order of the header and then of the records.
struct Fields {
    list: Vec<(Declared, bool, Seen)>,
    by_key: HashMap<Vec<u8>, usize>,
}

impl Fields {
    fn new(declared: &[Declared]) -> Self {
        let mut fields = Self { list: Vec::new(), by_key: HashMap::new() };
        for declared in declared {
            let next = fields.list.len();
            // The first declaration of a key counts.
            if *fields.by_key.entry(declared.id.clone().into_bytes()).or_insert(next) == next {
                fields.list.push((declared.clone(), true, Seen::default()));
            }
        }
        fields
    }

    fn see(&mut self, key: &[u8], value: Option<&[u8]>) {
        let at = match self.by_key.get(key) {
            Some(&at) => at,
            None => {
                let Ok(id) = std::str::from_utf8(key) else { return };
                if id.is_empty() || id == "." {
                    return;
                }
                let kind = if value.is_some() { "String" } else { "Flag" };
                let number = if value.is_some() { "1" } else { "0" };
                let declared = Declared {
                    id: id.to_owned(),
                    number: number.to_owned(),
                    kind: kind.to_owned(),
                    description: String::new(),
                };
                self.by_key.insert(key.to_vec(), self.list.len());
                self.list.push((declared, false, Seen::default()));
                self.list.len() - 1
            }
        };
        if let Some(value) = value {
            self.list[at].2.add(value);
        }
    }

    fn specs(self, is_format: bool) -> Vec<FieldSpec> {
        self.list
            .into_iter()
            // The column END has its values.
            .filter(|(declared, _, _)| is_format || declared.id != "END")
            .map(|(declared, is_declared, seen)| {
                let is_flag = declared.kind == "Flag" && !is_format;
                let physical = match declared.kind.as_str() {
                    _ if is_flag => Physical::Bool,
                    _ if is_format && declared.id == "GT" => Physical::String,
                    "Integer" => seen.integer(),
                    "Float" => seen.float(),
                    _ => Physical::String,
                };
                let is_single = declared.number == "1" || (is_format && declared.id == "GT");
                let is_number = !matches!(physical, Physical::String | Physical::Bool);
                let list = !is_flag && (!is_single || (is_number && seen.lists > 0));
                FieldSpec {
                    id: declared.id,
                    number: declared.number,
                    kind: declared.kind,
                    description: declared.description,
                    declared: is_declared,
                    column: String::new(),
                    physical,
                    list,
                }
            })
            .collect()
    }
}

/// The schema for records that begin with those of `first`.
pub(super) fn schema(
    declarations: &Declarations,
    first: Option<&Section>,
    ordinal: bool,
    most_column_samples: usize,
) -> Schema {
    let (mut info, mut format) =
        (Fields::new(&declarations.info), Fields::new(&declarations.format));
    let mut qual = Seen::default();
    let mut cells_left = MOST_CELLS;
    let rows = first.map_or(0, Section::len);
    for row in (0..rows).step_by(rows.div_ceil(MOST_RECORDS).max(1)) {
        let Some(section) = first else { break };
        let line = section.line(row);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut fields = line.split(|&byte| byte == b'\t');
        if let Some(text) = fields.nth(5) {
            qual.add(text);
        }
        for entry in fields.nth(1).unwrap_or_default().split(|&byte| byte == b';') {
            match memchr::memchr(b'=', entry) {
                Some(at) => info.see(&entry[..at], Some(&entry[at + 1..])),
                None => info.see(entry, None),
            }
        }
        let Some(keys) = fields.next().filter(|_| cells_left > 0) else { continue };
        let keys: Vec<&[u8]> = keys.split(|&byte| byte == b':').collect();
        for cell in fields {
            cells_left = cells_left.saturating_sub(keys.len());
            for (key, value) in keys.iter().zip(cell.split(|&byte| byte == b':')) {
                format.see(key, Some(value));
            }
        }
    }
    let qual = match qual.float() {
        Physical::Float32 => Physical::Float32,
        _ => Physical::Float64,
    };
    Schema::new(
        declarations.header.clone(),
        declarations.samples.clone(),
        qual,
        ordinal,
        info.specs(false),
        format.specs(true),
        most_column_samples,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(lines: &[&str]) -> Section {
        let mut section = Section { chrom: b"1".to_vec(), ..Section::default() };
        for line in lines {
            section.push(line.as_bytes(), 1, 1, None);
        }
        section
    }

    fn declared(id: &str, number: &str, kind: &str) -> Declared {
        Declared { id: id.into(), number: number.into(), kind: kind.into(), ..Declared::default() }
    }

    #[test]
    fn test_schema_follows_what_records_show() {
        let declarations = Declarations {
            info: vec![
                declared("DP", "1", "Integer"),
                declared("AF", "A", "Float"),
                declared("BAD", "1", "Integer"),
                declared("DB", "0", "Flag"),
                declared("ML", "1", "Integer"),
                declared("WIDE", "1", "Float"),
            ],
            format: vec![declared("GT", "1", "String")],
            samples: vec!["a".into()],
            ..Declarations::default()
        };
        let line = "1\t1\t.\tA\tC\t30\tPASS\tDP=5;AF=0.5,0.25;BAD=x;DB;ML=1,2;WIDE=0.123456789;NEW=z;MARK\tGT:Q\t0/1:7";
        let schema = schema(&declarations, Some(&section(&[line])), false, 64);
        let found: Vec<_> = schema
            .info
            .iter()
            .map(|field| (field.column.as_str(), field.physical, field.list, field.declared))
            .collect();
        assert_eq!(
            found,
            [
                ("INFO_DP", Physical::Int32, false, true),
                ("INFO_AF", Physical::Float32, true, true),
                ("INFO_BAD", Physical::String, false, true),
                ("INFO_DB", Physical::Bool, false, true),
                ("INFO_ML", Physical::Int32, true, true),
                ("INFO_WIDE", Physical::Float64, false, true),
                ("INFO_NEW", Physical::String, false, false),
                ("INFO_MARK", Physical::Bool, false, false),
            ]
        );
        assert_eq!(schema.sample_columns, ["a_GT", "a_Q"]);
    }
}

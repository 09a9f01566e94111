//! Which columns come out, and where each comes from.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};

/// Structs whose fields become columns of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flatten {
    /// Those of these names, as far as there are any.
    Named(BTreeSet<String>),
    /// None: structs stay as they are.
    Keep,
}

impl Default for Flatten {
    /// `info`, which is where Hail keeps what VCF has in INFO.
    fn default() -> Self {
        Self::Named(BTreeSet::from(["info".to_owned()]))
    }
}

impl Flatten {
    /// Whether a struct is flattened.
    pub fn has(&self, name: &str) -> bool {
        matches!(self, Self::Named(names) if names.contains(name))
    }

    /// Its names, for the manifest.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Named(names) => names.iter().map(String::as_str).collect(),
            Self::Keep => Vec::new(),
        }
    }
}

/// Columns that come first, in this order, where there are any.
const FIRST: [&str; 9] = [
    "position",
    "alleles",
    "VRS_Allele_IDs",
    "VRS_Error",
    "VRS_Starts",
    "VRS_Ends",
    "VRS_Lengths",
    "VRS_RepeatSubunitLengths",
    "VRS_States",
];

/// Names that no two columns share, whatever the case of their letters: SQL looks away from it.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// `name`, or with what it is part of in front, or with a number behind it.
    pub(super) fn unique(&mut self, name: &str, part_of: &str) -> String {
        let numbered = (2..).map(|number| format!("{part_of}_{name}_{number}"));
        let mut candidates =
            [name.to_owned(), format!("{part_of}_{name}")].into_iter().chain(numbered);
        loop {
            // There is always another number.
            let Some(candidate) = candidates.next() else { return name.to_owned() };
            if self.0.insert(candidate.to_lowercase()) {
                return candidate;
            }
        }
    }
}

/// Where a column comes from.
#[derive(Clone, Copy, Debug)]
enum Pick {
    /// A part of a struct: of the locus, or of one that is flattened.
    Part(usize, usize),
    /// A column as it is.
    Whole(usize),
}

/// The columns of an export of rows that have a locus.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    picks: Vec<Pick>,
    pub(super) schema: SchemaRef,
}

impl Columns {
    /// The columns for rows of `schema`, whose column `locus` is a struct of contig and position.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::error::ErrorKind::Unsupported) where there is no such column.
    pub(super) fn new(schema: &Schema, locus: &str, flatten: &Flatten) -> Result<Self> {
        let at = schema.index_of(locus).map_err(|_| Error::internal("rows without their locus"))?;
        let mut names = Names::default();
        let mut columns: Vec<(Pick, FieldRef)> = Vec::new();
        let parts = fields_of(schema.field(at));
        for (part, name) in ["contig", "position"].into_iter().enumerate() {
            let of = parts.get(part).map_or(DataType::Null, |field| field.data_type().clone());
            names.unique(name, "");
            columns.push((Pick::Part(at, part), Arc::new(Field::new(name, of, false))));
        }
        for (place, field) in schema.fields().iter().enumerate().filter(|(place, _)| *place != at) {
            let parts = fields_of(field);
            if !flatten.has(field.name()) || parts.is_empty() {
                let name = names.unique(field.name(), "row");
                let field = field.as_ref().clone().with_name(name);
                columns.push((Pick::Whole(place), Arc::new(field)));
                continue;
            }
            for (part, inner) in parts.iter().enumerate() {
                let name = names.unique(inner.name(), field.name());
                let nullable = inner.is_nullable() || field.is_nullable();
                let inner = Field::new(name, inner.data_type().clone(), nullable);
                columns.push((Pick::Part(place, part), Arc::new(inner)));
            }
        }
        let rank = |name: &str| FIRST.iter().position(|first| *first == name);
        if let Some(rest) = columns.get_mut(1..) {
            rest.sort_by_key(|(_, field)| rank(field.name()).unwrap_or(FIRST.len()));
        }
        let fields: Vec<FieldRef> = columns.iter().map(|(_, field)| field.clone()).collect();
        let picks = columns.into_iter().map(|(pick, _)| pick).collect();
        Ok(Self { picks, schema: Arc::new(Schema::new(fields)) })
    }

    /// The columns of a batch.
    pub(super) fn take(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.picks.iter().map(|pick| match *pick {
            Pick::Whole(place) => Ok(batch.column(place).clone()),
            Pick::Part(place, part) => part_of(batch.column(place), part),
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Error::internal("choosing columns").caused_by(error))
    }
}

fn fields_of(field: &Field) -> Vec<FieldRef> {
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().cloned().collect(),
        _ => Vec::new(),
    }
}

/// A part of a struct; missing where the struct is.
fn part_of(of: &ArrayRef, part: usize) -> Result<ArrayRef> {
    let of = of.as_struct();
    let column = of.column(part);
    let Some(missing) = of.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Ok(column.clone());
    };
    let nulls = NullBuffer::union(Some(missing), column.nulls());
    let data = column.to_data().into_builder().nulls(nulls).build();
    data.map(make_array).map_err(|error| Error::internal("flattening a struct").caused_by(error))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int32Array, StringArray, StructArray};

    use super::*;

    #[test]
    fn test_columns_flatten_structs_and_keep_what_is_missing() {
        let field = |name: &str, of: DataType| Arc::new(Field::new(name, of, true));
        let locus: ArrayRef = Arc::new(StructArray::from(vec![
            (
                field("contig", DataType::Utf8),
                Arc::new(StringArray::from(vec!["1", "1"])) as ArrayRef,
            ),
            (field("position", DataType::Int32), Arc::new(Int32Array::from(vec![4, 5]))),
        ]));
        let info: ArrayRef = Arc::new(StructArray::new(
            vec![field("AC", DataType::Int32), field("Position", DataType::Int32)].into(),
            vec![
                Arc::new(Int32Array::from(vec![Some(7), Some(8)])),
                Arc::new(Int32Array::from(vec![None, Some(9)])),
            ],
            Some(NullBuffer::from(vec![true, false])),
        ));
        let batch = RecordBatch::try_from_iter([
            ("ac", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
            ("info", info),
            ("locus", locus),
        ])
        .unwrap();
        let flat = Columns::new(&batch.schema(), "locus", &Flatten::default()).unwrap();
        let out = flat.take(&batch).unwrap();
        let names: Vec<String> = out.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["contig", "position", "ac", "info_AC", "info_Position"]);
        assert_eq!(out.column(3).as_ref(), &Int32Array::from(vec![Some(7), None]) as &dyn Array);
        assert_eq!(out.column(4).null_count(), 2);
        let kept = Columns::new(&batch.schema(), "locus", &Flatten::Keep).unwrap();
        assert!(matches!(kept.schema.field(3).data_type(), DataType::Struct(_)));
    }
}

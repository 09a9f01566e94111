//! Every type and every codec of Hail, through Parquet, as other engines read it.

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use genomic_objects::hive::{
    ExportOptions, HailOptions, Origin, PageCompression, Sink, Source, Target, Task, export,
};
use genomic_objects::pipeline::Progress;
use std::sync::Arc;
use testkit::python;

use super::hive::{rows_by, source, two_threads, write};
use super::*;

/// The rows of a table whose key is no locus, on a contig of their own: the fixture that has all
/// types is keyed by a number.
struct Numbered {
    table: Table,
    origin: Origin,
    tasks: Vec<Task>,
    schema: SchemaRef,
}

impl Numbered {
    fn new(table: Table) -> Self {
        let own = [("contig", DataType::Utf8), ("position", DataType::Int32)];
        let own = own.map(|(name, of)| Arc::new(Field::new(name, of, false)));
        let fields: Vec<FieldRef> =
            own.into_iter().chain(table.schema().fields().iter().cloned()).collect();
        let origin = Origin {
            kind: "test".into(),
            name: "types".into(),
            digest: "none".into(),
            rows: table.rows(),
            details: Default::default(),
        };
        let task =
            Task { contig: "chr1".into(), number: 0, rows: table.rows(), bytes: 1, parts: 1 };
        Self { table, origin, tasks: vec![task], schema: Arc::new(Schema::new(fields)) }
    }
}

impl Source for Numbered {
    type Ahead = ();

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    fn orders_alleles(&self) -> bool {
        true
    }

    fn choices(&self) -> Value {
        Value::Null
    }

    fn expected_rows(&self) -> Option<u64> {
        Some(self.table.rows())
    }

    fn ahead(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn read(&self, (): (), _: usize, _: usize, _: u64, sink: &mut Sink<'_>) -> Result<()> {
        let mut before = 0;
        for partition in self.table.partitions() {
            let mut reader = self.table.read(partition.index, None, BatchLimits::default())?;
            while let Some(batch) = reader.next_batch()? {
                let rows = batch.num_rows();
                let contigs: ArrayRef = Arc::new(StringArray::from(vec!["chr1"; rows]));
                let positions: ArrayRef =
                    Arc::new(Int32Array::from_iter_values(before + 1..=before + rows as i32));
                before += rows as i32;
                let columns: Vec<ArrayRef> = [contigs, positions]
                    .into_iter()
                    .chain(batch.columns().iter().cloned())
                    .collect();
                sink(RecordBatch::try_new(self.schema.clone(), columns).unwrap(), 1)?;
            }
        }
        Ok(())
    }
}

/// An expected value as the table of types says that Parquet has it.
fn in_parquet(of: &VType, value: &Value) -> Value {
    let list = |item: &VType| match value {
        Value::Array(items) => items.iter().map(|value| in_parquet(item, value)).collect(),
        other => other.clone(),
    };
    let object = |parts: &[(&str, &VType)]| match value {
        Value::Object(members) => {
            let part =
                |(name, of): &(&str, &VType)| ((*name).to_owned(), in_parquet(of, &members[*name]));
            parts.iter().map(part).collect()
        }
        other => other.clone(),
    };
    match of {
        VType::Struct(fields) if fields.is_empty() => not_empty(value),
        VType::Tuple(items) if items.is_empty() => not_empty(value),
        VType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, of)| (name.as_str(), of)).collect();
            object(&fields)
        }
        VType::Tuple(items) => match value {
            Value::Array(values) => {
                let values = items.iter().zip(values).enumerate();
                values.map(|(at, (of, value))| (at.to_string(), in_parquet(of, value))).collect()
            }
            other => other.clone(),
        },
        VType::Array(item) | VType::Set(item) => list(item),
        VType::Dict(key, item) => {
            let pair =
                vec![("key".to_owned(), (**key).clone()), ("value".into(), (**item).clone())];
            list(&VType::Struct(pair))
        }
        _ => value.clone(),
    }
}

/// What stands for a value without parts.
fn not_empty(value: &Value) -> Value {
    if value.is_null() { Value::Null } else { Value::Bool(true) }
}

#[test]
fn test_every_type_is_read_back_by_every_engine() {
    let Some(data) = fixtures() else { return };
    if !python::require(&["duckdb", "polars", "pyarrow"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = expected(&data.join("expected/types.jsonl"));
    let mut outs = Vec::new();
    for version in ["v1.7", "v1.8"] {
        let table = open(&data.join(version).join("types.ht")).unwrap();
        let of = VType::Struct(table.table_type().row.fields().to_vec());
        if outs.is_empty() {
            for (at, row) in wanted.iter_mut().enumerate() {
                *row = in_parquet(&of, row);
                row["contig"] = "chr1".into();
                row["position"] = (at + 1).into();
            }
        }
        let numbered = Numbered::new(table);
        for (name, compression, row_group_rows) in
            [("zstd", PageCompression::Zstd(1), 65_536), ("snappy", PageCompression::Snappy, 7)]
        {
            let out = folder.path().join(format!("{version}_{name}"));
            let options = ExportOptions { compression, row_group_rows, ..two_threads() };
            let target = Target::open(out.to_str().unwrap(), &StoreOptions::default()).unwrap();
            let written =
                export(&numbered, &target, &options, &Arc::new(Progress::default())).unwrap();
            assert_eq!(written.rows, 90);
            outs.push(out);
        }
    }
    // What is compared has all there is: each kind of value, and each missing somewhere.
    for name in ["locus", "call", "iv", "set_s", "dict_ia", "tup", "tup0", "nd2", "struct", "many"]
    {
        assert!(wanted.iter().any(|row| row[name].is_null()), "{name} is never missing");
        assert!(wanted.iter().any(|row| !row[name].is_null()), "{name} is always missing");
    }
    let outs: Vec<&Path> = outs.iter().map(PathBuf::as_path).collect();
    for engine in ["pyarrow", "duckdb", "polars"] {
        for (out, found) in outs.iter().zip(rows_by(engine, &outs)) {
            assert_eq!(found.len(), wanted.len(), "{engine} {}", out.display());
            for (found, wanted) in found.iter().zip(&wanted) {
                for (name, wanted) in wanted.as_object().unwrap() {
                    let found = &found[name];
                    assert!(same(found, wanted), "{engine}, {name}:\n{found}\n{wanted}");
                }
                assert_eq!(found.as_object().unwrap().len(), wanted.as_object().unwrap().len());
            }
        }
    }
}

#[test]
fn test_rows_of_every_codec_come_out_the_same() {
    let Some(data) = fixtures() else { return };
    if !python::require(&["pyarrow"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut outs = Vec::new();
    for version in ["v1.7", "v1.8"] {
        for entry in std::fs::read_dir(data.join(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("codec_") || name == "empty_parts" {
                let out = folder.path().join(format!("{version}_{name}"));
                let from = source(&path, &HailOptions::default()).unwrap();
                write(&from, &out, &two_threads()).unwrap();
                outs.push(out);
            }
        }
    }
    assert!(outs.len() >= 20, "{}", outs.len());
    let wanted: Vec<Value> = expected(&data.join("expected/codec.jsonl"));
    let outs: Vec<&Path> = outs.iter().map(PathBuf::as_path).collect();
    for (out, found) in outs.iter().zip(rows_by("pyarrow", &outs)) {
        assert_eq!(found.len(), wanted.len(), "{}", out.display());
        for (found, wanted) in found.iter().zip(&wanted) {
            let wanted = super::hive::flat(wanted);
            assert!(same(found, &wanted), "{}\n{found}\n{wanted}", out.display());
        }
    }
}

//! Every row of every table that Hail wrote.

use std::collections::BTreeMap;

use super::*;

/// All tables, with the file of their expected rows.
fn tables(folder: &Path) -> BTreeMap<String, (PathBuf, PathBuf)> {
    let mut tables = BTreeMap::new();
    for version in ["v1.7", "v1.8"] {
        for entry in std::fs::read_dir(folder.join(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let rows = match name.as_str() {
                "empty_parts" => "codec",
                name if name.starts_with("codec_") => "codec",
                name => name,
            };
            let rows = folder.join(format!("expected/{rows}.jsonl"));
            tables.insert(format!("{version}/{name}"), (path, rows));
        }
    }
    tables
}

#[test]
fn test_every_row_of_every_table_is_as_hail_reads_it() {
    let Some(folder) = fixtures() else { return };
    let tables = tables(&folder);
    assert!(tables.len() >= 45, "{}", tables.len());
    for (name, (path, rows_file)) in tables {
        let table = open(&path).unwrap();
        let wanted = expected(&rows_file);
        for limits in [
            BatchLimits::default(),
            BatchLimits { rows: 7, bytes: u64::MAX },
            BatchLimits { rows: usize::MAX, bytes: 3_000 },
        ] {
            let found = rows(&table, limits).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(found.len(), wanted.len(), "{name}");
            for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                assert!(same(found, wanted), "{name}, row {at}:\n{found}\n{wanted}");
            }
        }
        assert_eq!(table.rows(), wanted.len() as u64);
    }
}

#[test]
fn test_globals_are_as_hail_reads_them() {
    let Some(folder) = fixtures() else { return };
    for version in ["v1.7", "v1.8"] {
        let table = open(&folder.join(version).join("types.ht")).unwrap();
        let wanted = &expected(&folder.join("expected/types.globals.json"))[0];
        let found = table.globals_json().unwrap().unwrap();
        assert!(same(&found, wanted), "{found}");
        let none = open(&folder.join(version).join("vrs.ht")).unwrap();
        assert_eq!(none.globals_json().unwrap().unwrap(), serde_json::json!({}));
    }
}

#[test]
fn test_references_come_with_tables_of_custom_genomes() {
    let Some(folder) = fixtures() else { return };
    let table = open(&folder.join("v1.8/custom_ref.ht")).unwrap();
    let contigs = vec![("zeta".to_owned(), 1_000_000), ("alpha".to_owned(), 1_000_000)];
    assert_eq!(table.references().unwrap(), [("toy".to_owned(), Some(contigs))]);
    let table = open(&folder.join("v1.8/types.ht")).unwrap();
    let names = table.references().unwrap();
    assert_eq!(names, [("GRCh38".to_owned(), None), ("GRCh37".to_owned(), None)]);
}

#[test]
fn test_chosen_columns_are_read_alone() {
    let Some(folder) = fixtures() else { return };
    let table = open(&folder.join("v1.7/types.ht")).unwrap();
    let whole = rows(&table, BatchLimits::default()).unwrap();
    let mut at = 0;
    for partition in 0..table.partitions().len() {
        let columns = ["nd2", "idx", "a.b"];
        let mut reader = table.read(partition, Some(&columns), BatchLimits::default()).unwrap();
        let names: Vec<String> =
            reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["idx", "a.b", "nd2"], "in the order of the row");
        while let Some(batch) = reader.next_batch().unwrap() {
            for row in 0..batch.num_rows() {
                let found = to_json(&VType::Int32, batch.column(0), row);
                assert_eq!(found, whole[at]["idx"]);
                at += 1;
            }
        }
    }
    assert_eq!(at, whole.len());
}

#[test]
fn test_pruning_misses_no_row() {
    let Some(folder) = fixtures() else { return };
    for name in ["vrs", "sites", "grch37", "custom_ref", "empty_parts", "missing_locus"] {
        let table = open(&folder.join("v1.7").join(format!("{name}.ht"))).unwrap();
        let mut skipped = 0;
        for partition in table.partitions() {
            let mut reader = table.read(partition.index, None, BatchLimits::default()).unwrap();
            while let Some(batch) = reader.next_batch().unwrap() {
                let batch = StructArray::from(batch);
                for row in 0..batch_len(&batch) {
                    let of = VType::Struct(table.table_type().row.fields().to_vec());
                    let locus = &to_json(&of, &batch, row)["locus"];
                    let Some(contig) = locus["contig"].as_str() else { continue };
                    let position = locus["position"].as_i64().unwrap() as i32;
                    let found = table.overlapping(contig, position, position);
                    assert!(found.contains(&partition.index), "{name} {contig}:{position}");
                    skipped += table.partitions().len() - found.len();
                }
            }
        }
        assert!(skipped > 0 || table.partitions().len() == 1, "{name}");
    }
}

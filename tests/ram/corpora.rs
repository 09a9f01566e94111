//! Every alignment file of the corpora: what comes back, its depth, and regions of it.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt8Type, UInt16Type};
use arrow_array::{Array, RecordBatch as Columns};
use arrow_ipc::reader::StreamReader;
use genomic_objects::error::ErrorKind;
use genomic_objects::store::{StoreOptions, open_input};
use serde_json::Value;
use testkit::{corpus, oracle};

use super::coverage::{covered, depths, within_contigs};
use super::*;

/// Files that alignments are read from, and not only headers.
fn good_files(data: &Path) -> Vec<PathBuf> {
    let mut files = corpus::files_below(data.join("alignments"));
    files.retain(|path| {
        let name = path.to_string_lossy();
        let is_one = [".bam", ".sam", ".sam.gz", ".cram"].iter().any(|end| name.ends_with(end));
        // One has no byte at all: what the CRAM beside it should print.
        is_one && std::fs::metadata(path).unwrap().len() > 0
    });
    assert!(files.len() > 100, "{} files", files.len());
    files
}

/// The reference that a CRAM needs.
fn reference_of(path: &Path) -> Option<PathBuf> {
    let data = path.ancestors().find(|folder| folder.join("reference").is_dir())?;
    let is_ecoli = path.to_string_lossy().contains("ecoli");
    let name = if is_ecoli { "ecoli_K12.fa.gz" } else { "ce.fa" };
    let is_cram = path.extension().is_some_and(|extension| extension == "cram");
    is_cram.then(|| data.join("reference").join(name))
}

/// Converts files, each a sample named by its place.
fn convert_files(paths: &[PathBuf], options: &WriteOptions) -> Result<Store> {
    let store = Store::in_memory();
    let opener = |number: usize| {
        let path = &paths[number];
        let input = open_input(path.to_str().unwrap(), &StoreOptions::default())?;
        let options = SourceOptions { reference: reference_of(path), ..Default::default() };
        Ok(Opened::File(open(&input.name, input.reader, &options)?, None))
    };
    let names: Vec<String> = (0..paths.len()).map(|number| format!("n{number}")).collect();
    let inputs: Vec<SampleInput> = names.iter().map(|name| input(Some(name), name)).collect();
    write(&inputs, &opener, None, &store, options, &Arc::default())?;
    Ok(store)
}

#[test]
fn test_depth_of_every_file_is_that_of_samtools() {
    let Some(data) = corpus::require() else { return };
    if !oracle::require() {
        return;
    }
    let (mut compared, mut unsorted, mut refused) = (0, Vec::new(), Vec::new());
    for path in good_files(&data) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut args = vec!["depth".to_owned(), "-s".to_owned()];
        if let Some(reference) = reference_of(&path) {
            args.push(format!("--reference={}", reference.display()));
        }
        args.push(path.to_str().unwrap().to_owned());
        let expected = match oracle::run(&args) {
            Ok(expected) => expected,
            Err(error) => {
                assert!(error.contains("not position sorted"), "{name}: {error}");
                unsorted.push(name);
                continue;
            }
        };
        let paths = [path.clone()];
        for region_size in [5_000, 1_000_000] {
            let store = match convert_files(&paths, &WriteOptions { region_size, ..options() }) {
                Ok(store) => store,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Input, "{name}: {error}");
                    refused.push(format!("{name}: {error}"));
                    break;
                }
            };
            let expected = within_contigs(&store, &covered(&expected));
            assert!(depths(&store, "n0") == expected, "{name}, {region_size}");
            compared += 1;
        }
    }
    println!("{compared} comparisons; refused: {refused:#?}; unsorted: {unsorted:#?}");
    // samtools counts no depth of files that are not sorted by position.
    assert!(unsorted.len() < 25, "{unsorted:?}");
    assert!(compared >= 2 * 120 && refused.len() < 10, "{compared} {refused:?}");
}

/// Lines of SAM that an Arrow stream of one sample holds.
fn lines_of_arrow(stream: &[u8]) -> String {
    let mut out = String::new();
    for batch in StreamReader::try_new(stream, None).unwrap() {
        let batch: Columns = batch.unwrap();
        let at = |name: &str| batch.column_by_name(name).unwrap();
        let text = |name: &str, row: usize| {
            let column = at(name).as_string::<i32>();
            if column.is_null(row) { "*".to_owned() } else { column.value(row).to_owned() }
        };
        let number = |name: &str, row: usize| {
            let column = at(name).as_primitive::<Int32Type>();
            if column.is_null(row) { 0 } else { column.value(row) }
        };
        for row in 0..batch.num_rows() {
            let (contig, mate) = (text("contig", row), text("mate_contig", row));
            let mate = if mate == contig && mate != "*" { "=".to_owned() } else { mate };
            let sequence = at("sequence").as_binary::<i32>();
            let sequence = match sequence.is_null(row) {
                true => "*".into(),
                false => String::from_utf8_lossy(sequence.value(row)),
            };
            let qualities = at("quality").as_list::<i32>();
            let quality: String = match qualities.is_null(row) {
                true => "*".to_owned(),
                false => {
                    let values = qualities.value(row);
                    let values = values.as_primitive::<UInt8Type>().values().iter();
                    values.map(|&value| char::from(value + 33)).collect()
                }
            };
            let tags = text("tags", row);
            out += &format!(
                "{}\t{}\t{contig}\t{}\t{}\t{}\t{mate}\t{}\t{}\t{sequence}\t{quality}{}{}\n",
                text("read_name", row),
                at("flags").as_primitive::<UInt16Type>().value(row),
                number("position", row),
                at("mapping_quality").as_primitive::<UInt8Type>().value(row),
                text("cigar", row),
                number("mate_position", row),
                number("template_length", row),
                if tags == "*" { "" } else { "\t" },
                if tags == "*" { "" } else { &tags },
            );
        }
    }
    out
}

/// The fields of SAM before the tags, of lines of JSON.
fn fields_of_json(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let read: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| read[name].as_str().unwrap_or("*").to_owned();
        let number = |name: &str| read[name].as_i64().unwrap_or(0);
        let (contig, mate) = (text("contig"), text("mate_contig"));
        let mate = if mate == contig && mate != "*" { "=".to_owned() } else { mate };
        let quality = read["quality"].as_array().map_or("*".to_owned(), |values| {
            values.iter().map(|value| char::from(value.as_u64().unwrap() as u8 + 33)).collect()
        });
        let fields = [
            text("read_name"),
            number("flags").to_string(),
            contig,
            number("position").to_string(),
            number("mapping_quality").to_string(),
            text("cigar"),
            mate,
            number("mate_position").to_string(),
            number("template_length").to_string(),
            text("sequence"),
            quality,
        ];
        out += &(fields.join("\t") + "\n");
    }
    out
}

fn without_tags(sam: &str) -> String {
    let fields = |line: &str| line.split('\t').take(11).collect::<Vec<_>>().join("\t") + "\n";
    sam.lines().map(fields).collect()
}

fn lines(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Places of a file around its reads and around seams, from a seed, and all that has no place.
fn places(bam: &str, size: u64, seed: u64) -> Vec<String> {
    let mut choices = Choices(seed);
    let sam = lines(oracle::run(["view", "-F", "4", bam]).unwrap());
    let starts: Vec<(&str, u64)> = sam
        .lines()
        .map(|line| {
            let mut fields = line.split('\t').skip(2);
            (fields.next().unwrap(), fields.next().unwrap().parse().unwrap())
        })
        .collect();
    let mut found = vec!["*".to_owned()];
    for number in 0..36 {
        let (contig, near) = starts[choices.below(starts.len() as u64) as usize];
        let near = match number % 3 {
            0 => near,
            1 => near + choices.below(400),
            // Around the seam between two regions.
            _ => near / size * size + choices.below(5),
        };
        let start = near.saturating_sub(choices.below(200)).max(1);
        let length = [1, 2, 60, 700, 9_000, 60_000][choices.below(6) as usize];
        found.push(format!("{{{contig}}}:{start}-{}", start + length - 1));
    }
    found
}

fn formatted(store: &Store, regions: &[&str], sample: &str, format: Format) -> Vec<u8> {
    let request = request(regions, &[sample]);
    let reader = Reader::open(store, At::Newest, Content::Alignments, &request).unwrap();
    let writer = Writer::new(&reader, format);
    let mut bytes = writer.head().unwrap();
    writer
        .write(2, None, |part| {
            bytes.extend_from_slice(&part);
            Ok(())
        })
        .unwrap();
    bytes.extend(writer.tail());
    bytes
}

/// The records of a query as a BAM file, printed by samtools.
fn by_way_of_bam(store: &Store, regions: &[&str], sample: &str) -> String {
    let request = request(regions, &[sample]);
    let reader = Reader::open(store, At::Newest, Content::Alignments, &request).unwrap();
    let out = Shared::default();
    let header = reader.header().unwrap();
    let mut bam = sink::create(sink::Format::Bam, Box::new(out.clone()), &header, 1).unwrap();
    Writer::new(&reader, Format::Nothing).records(2, None, |batch| bam.write(batch)).unwrap();
    bam.finish().unwrap();
    lines(oracle::run_with_input(["view", "-"], &out.take()).unwrap())
}

#[test]
fn test_random_regions_of_every_indexed_file_are_those_of_samtools() {
    let Some(data) = corpus::require() else { return };
    if !oracle::require() {
        return;
    }
    let mut indexed = corpus::files_below(data.join("alignments"));
    indexed.retain(|path| path.with_extension("bam.bai").exists());
    let (family, mut cohorts): (Vec<_>, Vec<_>) =
        indexed.into_iter().partition(|path| path.to_string_lossy().contains("cohort_ceph1463"));
    assert!(family.len() == 3 && cohorts.len() >= 4);
    let mut cohorts: Vec<Vec<PathBuf>> = cohorts.drain(..).map(|path| vec![path]).collect();
    cohorts.push(family);
    for (number, cohort) in (0..).zip(&cohorts) {
        let size = [3_000, 40_000, 1_000_000][number as usize % 3];
        let sub_window = size / 4;
        let sized = WriteOptions { region_size: size, sub_window, ..options() };
        let store = convert_files(cohort, &sized).unwrap();
        for (sample, path) in cohort.iter().enumerate() {
            let (bam, sample) = (path.to_str().unwrap(), format!("n{sample}"));
            let mut bed = String::new();
            for (turn, place) in places(bam, size, number + 11).iter().enumerate() {
                let of = format!("{place} of {bam}");
                let expected = lines(oracle::run(["view", bam, place]).unwrap());
                let got = query(&store, &[place], &[&sample]).unwrap().0;
                assert!(got == expected, "{of}");
                if turn % 4 == 0 {
                    let arrow = formatted(&store, &[place], &sample, Format::Arrow);
                    assert!(lines_of_arrow(&arrow) == expected, "{of} as Arrow");
                    let json = lines(formatted(&store, &[place], &sample, Format::Json));
                    assert!(fields_of_json(&json) == without_tags(&expected), "{of} as JSON");
                    assert!(by_way_of_bam(&store, &[place], &sample) == expected, "{of} as BAM");
                }
                if let Some((contig, range)) = place.split_once("}:") {
                    let (start, end) = range.split_once('-').unwrap();
                    let start: u64 = start.parse().unwrap();
                    bed += &format!("{}\t{}\t{end}\n", &contig[1..], start - 1);
                }
            }
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("x.bed");
            std::fs::write(&file, &bed).unwrap();
            let args = ["view", "-M", "-L", file.to_str().unwrap(), bam];
            let expected = lines(oracle::run(args).unwrap());
            let bed = Some(("x.bed".to_owned(), bed));
            let request = Request { bed, samples: vec![sample], ..Request::default() };
            let reader = Reader::open(&store, At::Newest, Content::Alignments, &request).unwrap();
            let mut got = Vec::new();
            let writer = Writer::new(&reader, Format::Sam);
            writer
                .write(2, None, |part| {
                    got.extend_from_slice(&part);
                    Ok(())
                })
                .unwrap();
            assert!(!expected.is_empty() && lines(got) == expected, "regions of BED of {bam}");
        }
    }
}

//! Coverage is that of `samtools depth -s`, wherever regions begin and end.

use genomic_objects::ram::depths::{self, Format as DepthFormat, Options};
use testkit::{corpus, oracle};

use super::*;

/// Depths above 0 as `samtools depth` prints them.
pub(super) fn depths(store: &Store, sample: &str) -> String {
    let reader = Reader::open(store, At::Newest, Content::Coverage, &request(&[], &[sample]));
    let options = Options { format: DepthFormat::Bed, window: None, summed: false };
    let mut text = String::new();
    let reader = reader.unwrap();
    depths::stretches(&reader, &options, 2, None, |stretch| {
        let contig = &reader.contigs().get(stretch.contig).unwrap().name;
        // There may be thousands of millions of others.
        if stretch.max > 0 {
            for position in stretch.interval.start()..stretch.interval.end() {
                text += &format!("{contig}\t{}\t{}\n", position + 1, stretch.max);
            }
        }
        Ok(())
    })
    .unwrap();
    text
}

/// What samtools prints, without bases behind the ends of contigs: some releases print those.
pub(super) fn within_contigs(store: &Store, printed: &str) -> String {
    let reader = Reader::open(store, At::Newest, Content::Coverage, &Request::default()).unwrap();
    let is_within = |line: &&str| {
        let mut fields = line.split('\t');
        let contig = reader.contigs().id(fields.next().unwrap()).unwrap();
        let position: u64 = fields.next().unwrap().parse().unwrap();
        position <= reader.contigs().get(contig).unwrap().length
    };
    printed.lines().filter(is_within).map(|line| format!("{line}\n")).collect()
}

pub(super) fn covered(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().filter(|line| !line.ends_with("\t0")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn test_depth_is_that_of_samtools_at_every_seam() {
    if !oracle::require() {
        return;
    }
    let cohort = cohort(3, 400);
    for size in [1_000, 7_000, 1_000_000] {
        let store = Store::in_memory();
        let options = WriteOptions { region_size: size, ..small() };
        convert(&files(&cohort), &store, &options).unwrap();
        for (number, (_, text)) in cohort.iter().enumerate() {
            let expected = oracle::run_with_input(["depth", "-s", "-"], text.as_bytes()).unwrap();
            assert!(depths(&store, &format!("s{number}")) == covered(&expected), "{size} {number}");
        }
    }
}

#[test]
fn test_depth_of_real_files_is_that_of_samtools() {
    let Some(data) = corpus::require() else { return };
    if !oracle::require() {
        return;
    }
    for name in [
        "HCC1395.rnaseq.chr22.bam",
        "NA12878.exome.chr11_chr20_unmapped.bam",
        "HG002.10x_linked_reads.b37.bam",
        "NA12878.ont.wgs_b37.bam",
        "deep_coverage.bam",
    ] {
        let path = data.join("alignments").join(name);
        let bytes = std::fs::read(&path).unwrap();
        let store = Store::in_memory();
        let opener = |_: usize| {
            let reader = Box::new(Cursor::new(bytes.clone()));
            Ok(Opened::File(open(name, reader, &SourceOptions::default())?, None))
        };
        let options = WriteOptions { region_size: 20_000, ..options() };
        let inputs = [input(Some("it"), name)];
        write(&inputs, &opener, None, &store, &options, &Arc::default()).unwrap();
        let expected = oracle::run(["depth", "-s", path.to_str().unwrap()]).unwrap();
        assert!(depths(&store, "it") == covered(&expected), "{name}");
    }
}

#[test]
fn test_windows_and_sums_agree_with_stretches() {
    let cohort = cohort(3, 300);
    let store = Store::in_memory();
    convert(&files(&cohort), &store, &small()).unwrap();
    let request = request(&["chr1:501-20500"], &[]);
    let reader = Reader::open(&store, At::Newest, Content::Coverage, &request).unwrap();
    let read = |window, summed| {
        let options = Options { format: DepthFormat::Bed, window, summed };
        let mut found = Vec::new();
        depths::stretches(&reader, &options, 2, None, |stretch| {
            found.push(stretch);
            Ok(())
        })
        .unwrap();
        found
    };
    let bases =
        |found: &[depths::Stretch]| -> f64 { found.iter().map(|stretch| stretch.sum as f64).sum() };
    let each = read(None, false);
    let total = bases(&each);
    assert!(total > 20_000.0);
    for found in [read(None, true), read(Some(1000), false), read(Some(1000), true)] {
        assert!((bases(&found) - total).abs() < 1e-3 * total, "{} {total}", bases(&found));
    }
    // Every base is there, of each sample: a sample without reads is no sample that is missing.
    let length: u64 = each.iter().map(|stretch| stretch.interval.len()).sum();
    assert_eq!(length, 3 * 20_000);
}

/// A line of coverage: contig, first base (0-based) and end, sample, and what was counted.
type Row = (String, u64, u64, String, Vec<f64>);

/// What coverage of a form says, of one sample or several.
fn rows(store: &Store, regions: &[&str], samples: &[&str], options: &Options) -> Vec<Row> {
    let request = request(regions, samples);
    let reader = Reader::open(store, At::Newest, Content::Coverage, &request).unwrap();
    let mut bytes = Vec::new();
    depths::write(&reader, options, 2, None, |part| {
        bytes.extend_from_slice(&part);
        Ok(())
    })
    .unwrap();
    let values: &[&str] = match options.window {
        None => &["depth"],
        Some(_) => &["mean", "min", "max", "covered"],
    };
    if options.format == DepthFormat::Arrow {
        return rows_of_arrow(&bytes, values);
    }
    let row = |line: &str| -> Row {
        if options.format == DepthFormat::Json {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| json[name].as_str().unwrap().to_owned();
            // serde_json takes the last digits of numbers on trust; the text has them.
            let number = |name: &str| -> f64 {
                assert!(json[name].is_number());
                let (_, rest) = line.split_once(&format!("\"{name}\":")).unwrap();
                rest[..rest.find([',', '}']).unwrap()].parse().unwrap()
            };
            let (start, end) = (number("start") as u64 - 1, number("end") as u64);
            let values = values.iter().map(|name| number(name)).collect();
            return (text("contig"), start, end, text("sample_id"), values);
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let (sample, values) = match options.format {
            DepthFormat::Bedgraph if options.summed => ("*", &fields[3..]),
            DepthFormat::Bedgraph => (samples[0], &fields[3..]),
            _ => (fields[3], &fields[4..]),
        };
        let values = values.iter().map(|value| value.parse().unwrap()).collect();
        let [start, end] = [1, 2].map(|at| fields[at].parse().unwrap());
        (fields[0].to_owned(), start, end, sample.to_owned(), values)
    };
    String::from_utf8(bytes).unwrap().lines().map(row).collect()
}

fn rows_of_arrow(stream: &[u8], values: &[&str]) -> Vec<Row> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    let mut rows = Vec::new();
    for batch in arrow_ipc::reader::StreamReader::try_new(stream, None).unwrap() {
        let batch = batch.unwrap();
        let at = |name: &str| batch.column_by_name(name).unwrap();
        for row in 0..batch.num_rows() {
            let text = |name: &str| at(name).as_string::<i32>().value(row).to_owned();
            let integer = |name: &str| at(name).as_primitive::<Int64Type>().value(row);
            let number = |name: &&str| match *name {
                "mean" => at(name).as_primitive::<Float64Type>().value(row),
                _ => integer(name) as f64,
            };
            let (start, end) = (integer("start") as u64 - 1, integer("end") as u64);
            let values = values.iter().map(number).collect();
            rows.push((text("contig"), start, end, text("sample_id"), values));
        }
    }
    rows
}

/// The same, counted base by base from depths of a part of a contig that begins at `start`.
fn counted(
    contig: &str,
    start: usize,
    sample: &str,
    depths: &[u64],
    window: Option<u64>,
) -> Vec<Row> {
    let mut cuts: Vec<usize> = match window {
        Some(window) => (start..start + depths.len())
            .filter(|at| *at == start || at.is_multiple_of(window as usize))
            .collect(),
        None => (start..start + depths.len())
            .filter(|at| *at == start || depths[at - start] != depths[at - start - 1])
            .collect(),
    };
    cuts.push(start + depths.len());
    let row = |bounds: &[usize]| {
        let of = &depths[bounds[0] - start..bounds[1] - start];
        let (min, max) = (*of.iter().min().unwrap(), *of.iter().max().unwrap());
        let mean = of.iter().sum::<u64>() as f64 / of.len() as f64;
        let covered = of.iter().filter(|depth| **depth > 0).count();
        let values = match window {
            None => vec![max as f64],
            Some(_) => vec![mean, min as f64, max as f64, covered as f64],
        };
        (contig.to_owned(), bounds[0] as u64, bounds[1] as u64, sample.to_owned(), values)
    };
    cuts.windows(2).map(row).collect()
}

fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| (&a.3, &a.0, a.1).cmp(&(&b.3, &b.0, b.1)));
    rows
}

#[test]
fn test_every_form_of_coverage_is_what_samtools_counts_across_seams() {
    if !oracle::require() {
        return;
    }
    let cohort = cohort(3, 300);
    let lengths = [("chr1", 40_000), ("chr2", 12_000)];
    // Of each sample the depths of both contigs.
    let each: Vec<Vec<Vec<u64>>> = cohort
        .iter()
        .map(|(_, text)| {
            let printed = oracle::run_with_input(["depth", "-s", "-"], text.as_bytes()).unwrap();
            let mut depths: Vec<Vec<u64>> = lengths.map(|(_, length)| vec![0; length]).into();
            for line in String::from_utf8(printed).unwrap().lines() {
                let fields: Vec<&str> = line.split('\t').collect();
                let position: usize = fields[1].parse().unwrap();
                depths[usize::from(fields[0] == "chr2")][position - 1] = fields[2].parse().unwrap();
            }
            depths
        })
        .collect();
    let formats = [DepthFormat::Bed, DepthFormat::Bedgraph, DepthFormat::Json, DepthFormat::Arrow];
    // What is asked for, and which parts of contigs that is.
    type Asked = (&'static [&'static str], Vec<(usize, usize, usize)>);
    let places: [Asked; 3] = [
        (&[], vec![(0, 0, 40_000), (1, 0, 12_000)]),
        (&["chr1:501-20500"], vec![(0, 500, 20_500)]),
        (&["chr1:6999-7003", "chr1:13000-14001"], vec![(0, 6_998, 7_003), (0, 12_999, 14_001)]),
    ];
    // Of its own regions, of windows that divide none of them, and shared by both contigs.
    for region_size in [7_000, 1_000_000] {
        let store = Store::in_memory();
        let options = WriteOptions { region_size, ..small() };
        convert(&files(&cohort), &store, &options).unwrap();
        for (regions, parts) in &places {
            for (format, window, summed) in formats
                .into_iter()
                .flat_map(|format| [None, Some(900), Some(10_000)].map(|window| (format, window)))
                .flat_map(|(format, window)| [false, true].map(|summed| (format, window, summed)))
            {
                let is_one = format == DepthFormat::Bedgraph && !summed;
                let (first, samples): (usize, &[&str]) =
                    if is_one { (1, &["s1"]) } else { (0, &["s0", "s1", "s2"]) };
                let mut expected = Vec::new();
                for &(contig, start, end) in parts {
                    let of = |depths: &Vec<Vec<u64>>| depths[contig][start..end].to_vec();
                    let of_samples: Vec<Vec<u64>> =
                        each[first..first + samples.len()].iter().map(of).collect();
                    let name = lengths[contig].0;
                    if summed {
                        let all: Vec<u64> = (0..end - start)
                            .map(|at| of_samples.iter().map(|depths| depths[at]).sum())
                            .collect();
                        expected.extend(counted(name, start, "*", &all, window));
                        continue;
                    }
                    for (sample, depths) in samples.iter().zip(&of_samples) {
                        expected.extend(counted(name, start, sample, depths, window));
                    }
                }
                if format == DepthFormat::Bedgraph {
                    expected.iter_mut().for_each(|row| row.4.truncate(1));
                }
                let of = Options { format, window, summed };
                let got = in_order(rows(&store, regions, samples, &of));
                assert!(got == in_order(expected), "{regions:?} {of:?} of {region_size}");
            }
        }
    }
}

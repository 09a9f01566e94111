use std::io::Write;

use super::*;
use crate::records::alignments::record::Record;

fn options(reads: u64) -> SimulateOptions {
    SimulateOptions { reads, contigs: human_like(300_000), ..SimulateOptions::default() }
}

fn records(options: SimulateOptions) -> Vec<Vec<u8>> {
    let mut alignments = Alignments::new(options).unwrap();
    let mut batch = RecordBatch::new();
    let mut records = Vec::new();
    while alignments.next_batch(&mut batch, 777).unwrap() {
        records.extend((0..batch.len()).map(|at| batch.bytes(at).to_vec()));
    }
    records
}

/// Many of everything that is rare.
fn eventful(reads: u64) -> SimulateOptions {
    let shares = Shares {
        duplicates: 0.1,
        mate_unmapped: 0.1,
        unplaced: 0.1,
        distant_mates: 0.3,
        soft_clipped: 0.3,
        supplementary: 0.2,
        secondary: 0.1,
    };
    SimulateOptions { shares, error_rate: 4.0, ..options(reads) }
}

#[test]
fn test_alignments_are_valid_sorted_and_as_many_as_asked() {
    let long = SimulateOptions { kind: ReadKind::Long, ..options(50) };
    for (options, count) in [(options(20_000), 20_000), (eventful(5_001), 5_000), (long, 50)] {
        let records = records(options);
        let mut last = (0, 0, false);
        let mut primary = 0;
        for bytes in &records {
            let record = Record::new(bytes).unwrap();
            let place =
                (record.ref_id() as u32, record.position(), record.flags() & flags::REVERSE != 0);
            assert!(place >= last, "{place:?} after {last:?}");
            last = place;
            if record.flags() & (flags::SECONDARY | flags::SUPPLEMENTARY) == 0 {
                primary += 1;
                let in_cigar: u32 =
                    record.cigar().filter(|op| op.consumes_read()).map(|op| op.len()).sum();
                assert!(in_cigar == 0 || in_cigar as usize == record.sequence_len());
            }
        }
        assert_eq!(primary, count);
    }
}

#[test]
fn test_alignments_of_a_seed_never_change() {
    // A change of this number changes what examples and measurements are about.
    let digest = |options| records(options).iter().fold(0, |crc, r| crc32c::crc32c_append(crc, r));
    assert_eq!(digest(eventful(2_000)), DIGEST);
    assert_eq!(digest(SimulateOptions { kind: ReadKind::Long, ..options(20) }), LONG_DIGEST);
    assert_ne!(digest(SimulateOptions { seed: 2, ..eventful(2_000) }), DIGEST);
}

const DIGEST: u32 = 590_815_412;
const LONG_DIGEST: u32 = 3141415000;

#[test]
fn test_alignments_do_not_depend_on_batches() {
    let whole = records(eventful(3_000));
    let mut alignments = Alignments::new(eventful(3_000)).unwrap();
    let mut batch = RecordBatch::new();
    for expected in &whole {
        assert!(alignments.next_batch(&mut batch, 1).unwrap());
        assert_eq!(batch.bytes(0), expected);
    }
    assert!(!alignments.next_batch(&mut batch, 1).unwrap() && batch.is_empty());
}

#[test]
fn test_alignments_wait_in_bounded_memory() {
    let mut most = [0, 0];
    for (most, reads) in most.iter_mut().zip([20_000, 80_000]) {
        let contigs = human_like(reads * 50);
        let mut alignments =
            Alignments::new(SimulateOptions { reads, contigs, ..eventful(0) }).unwrap();
        let mut batch = RecordBatch::new();
        while alignments.next_batch(&mut batch, 1_000).unwrap() {}
        *most = alignments.waiting.buffers.len();
    }
    assert!(most[1] < most[0] * 2, "{most:?}");
}

#[test]
fn test_alignments_refuse_what_cannot_be_simulated() {
    for options in [
        SimulateOptions { kind: ReadKind::Paired(20), ..options(10) },
        SimulateOptions { contigs: Vec::new(), ..options(10) },
        SimulateOptions {
            contigs: vec![Contig { name: "x".into(), length: 3_000_000_000, md5: None }],
            ..options(10)
        },
    ] {
        assert!(Alignments::new(options).is_err());
    }
}

#[test]
fn test_qualities_compress_like_those_of_instruments() {
    // Bits per quality given the one before; real ones have about 4, 1.7 and 0.5.
    let mut as_real = true;
    for (profile, range) in [
        (QualityProfile::Hiseq40, 3.4..4.3),
        (QualityProfile::Binned8, 1.4..2.0),
        (QualityProfile::Binned4, 0.35..0.75),
    ] {
        let mut counts = vec![[0_u32; 64]; 64];
        for bytes in records(SimulateOptions { qualities: profile, ..options(5_000) }) {
            for pair in Record::new(&bytes).unwrap().qualities().windows(2) {
                counts[usize::from(pair[0])][usize::from(pair[1])] += 1;
            }
        }
        let mut bits = 0.0;
        for row in &counts {
            let total: u32 = row.iter().sum();
            for &count in row.iter().filter(|&&count| count > 0) {
                bits += f64::from(count) * (f64::from(total) / f64::from(count)).log2();
            }
        }
        let all: u32 = counts.iter().flatten().sum();
        let bits = bits / f64::from(all);
        println!("{profile:?}: {bits:.2} bits");
        as_real &= range.contains(&bits);
    }
    assert!(as_real);
}

#[test]
fn test_alignments_agree_with_samtools() {
    if !testkit::oracle::require() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for (kind, reads) in [(ReadKind::Paired(150), 3_000), (ReadKind::Long, 30)] {
        let options = SimulateOptions { kind, ..eventful(reads) };
        let bam = path("x.bam");
        write_bam(&options, &bam);
        write_reference(&options, &path("x.fa"));
        let samtools =
            |args: &[&str]| String::from_utf8(testkit::oracle::run(args).unwrap()).unwrap();
        samtools(&["quickcheck", "-v", &bam]);
        assert_eq!(samtools(&["view", "-c", "-F", "0x900", &bam]).trim(), reads.to_string());
        let view = |bam: &str| {
            let text = samtools(&["view", "-F", "0x900", bam]);
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let ours = view(&bam);

        // Mates, template lengths, MC, MQ and ms are what fixmate makes of them.
        samtools(&["sort", "-n", "-o", &path("n.bam"), &bam]);
        samtools(&["fixmate", "-m", &path("n.bam"), &path("f.bam")]);
        for (ours, theirs) in ours.iter().zip(&view(&path("f.bam"))) {
            assert_eq!(ours, theirs);
        }

        // NM and MD are those of the reference.
        samtools(&["faidx", &path("x.fa")]);
        let output = std::process::Command::new("samtools")
            .args(["calmd", "-b", &bam, &path("x.fa")])
            .output()
            .unwrap();
        std::fs::write(path("c.bam"), &output.stdout).unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(!complaints.contains("different"), "{complaints}");
        for (ours, theirs) in ours.iter().zip(&view(&path("c.bam"))) {
            assert_eq!(ours, theirs);
        }

        // Reading and writing as text changes no byte of a record.
        samtools(&["view", "--no-PG", "-h", "-o", &path("x.sam"), &bam]);
        samtools(&["view", "--no-PG", "-b", "-o", &path("y.bam"), &path("x.sam")]);
        let bytes =
            |name: &str| testkit::oracle::gunzip(&std::fs::read(path(name)).unwrap()).unwrap();
        assert!(bytes("x.bam") == bytes("y.bam"));
    }
}

fn write_bam(options: &SimulateOptions, path: &str) {
    let mut alignments = Alignments::new(options.clone()).unwrap();
    let mut writer = noodles_bgzf::io::Writer::new(std::fs::File::create(path).unwrap());
    let mut bytes = b"BAM\x01".to_vec();
    let text = alignments.header_text();
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend((options.contigs.len() as u32).to_le_bytes());
    for contig in &options.contigs {
        bytes.extend((contig.name.len() as u32 + 1).to_le_bytes());
        bytes.extend(contig.name.as_bytes());
        bytes.push(0);
        bytes.extend((contig.length as u32).to_le_bytes());
    }
    let mut batch = RecordBatch::new();
    while alignments.next_batch(&mut batch, 1_000).unwrap() {
        for record in batch.iter() {
            bytes.extend((record.bytes().len() as u32).to_le_bytes());
            bytes.extend(record.bytes());
        }
    }
    writer.write_all(&bytes).unwrap();
    writer.finish().unwrap();
}

fn write_reference(options: &SimulateOptions, path: &str) {
    let genome = Genome::new(options.seed);
    let mut fasta = Vec::new();
    let mut bases = Vec::new();
    for (at, contig) in options.contigs.iter().enumerate() {
        fasta.extend(format!(">{}\n", contig.name).bytes());
        genome.reference(at as u32, 0, &mut bases, contig.length as usize);
        fasta.extend(bases.iter().map(|&base| b"ACGT"[usize::from(base)]));
        fasta.push(b'\n');
    }
    std::fs::write(path, fasta).unwrap();
}

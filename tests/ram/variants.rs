//! Candidate sites: those that were made, the same whatever the regions, in valid VCF.

use genomic_objects::ram::vcf;

use super::*;

fn sites(store: &Store, regions: &[&str], samples: &[&str]) -> String {
    let reader =
        Reader::open(store, At::Newest, Content::Sites, &request(regions, samples)).unwrap();
    let mut text = Vec::new();
    vcf::write(&reader, 2, None, |part| {
        text.extend_from_slice(&part);
        Ok(())
    })
    .unwrap();
    String::from_utf8(text).unwrap()
}

fn body(vcf: &str) -> Vec<Vec<&str>> {
    let lines = vcf.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect()).collect()
}

#[test]
fn test_sites_are_those_that_were_made_and_no_seam_shows() {
    let cohort = cohort(3, 12_000);
    let mut texts = Vec::new();
    for size in [1_000, 7_000, 1_000_000] {
        let store = Store::in_memory();
        let options = WriteOptions { region_size: size, ..small() };
        convert_with(&files(&cohort), Some(&fasta()), &store, &options).unwrap();
        texts.push(sites(&store, &[], &[]));
    }
    assert!(texts[0] == texts[1] && texts[1] == texts[2]);
    let found = body(&texts[0]);
    // Sample n is heterozygous where the position leaves n + 3 when divided by 997.
    let mut right = 0;
    for line in &found {
        let position: u64 = line[1].parse().unwrap();
        let of = ((position - 1) % 997).checked_sub(3).filter(|of| *of < 3);
        let Some(of) = of else { continue };
        for (sample, value) in line[9..].iter().enumerate() {
            let expected = if sample as u64 == of { "0/1" } else { "0/0" };
            right += usize::from(value.starts_with(expected));
        }
    }
    let expected = 3 * 3 * (40_000 / 997 + 12_000 / 997);
    assert!(right * 100 >= expected * 85, "{right} of {expected} genotypes");
    assert!(found.len() < expected / 3 + 12, "{} sites", found.len());
}

#[test]
fn test_vcf_is_read_by_bcftools() {
    let cohort = cohort(2, 1_500);
    let store = Store::in_memory();
    convert_with(&files(&cohort), Some(&fasta()), &store, &small()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.vcf");
    let text = sites(&store, &[], &[]);
    std::fs::write(&path, &text).unwrap();
    let Ok(output) = std::process::Command::new("bcftools").arg("view").arg(&path).output() else {
        println!("skipped: bcftools is not installed");
        return;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let read = String::from_utf8(output.stdout).unwrap();
    assert_eq!(body(&read), body(&text));
    let first = body(&text)[0][1].to_owned();
    assert_eq!(body(&sites(&store, &[&format!("chr1:{first}-{first}")], &["s0", "s1"])).len(), 1);
}

#[test]
fn test_samples_that_were_not_looked_at_are_told_apart() {
    let cohort = cohort(2, 1_500);
    let store = Store::in_memory();
    convert_with(&files(&cohort[..1]), Some(&fasta()), &store, &small()).unwrap();
    let transaction = TransactionId::from_bytes([9; 16]);
    let adding = WriteOptions { add: true, transaction, ..options() };
    convert(&files(&cohort[1..]), &store, &adding).unwrap();
    let text = sites(&store, &[], &[]);
    assert!(body(&text).iter().all(|line| line[10] == "./.:.:.:.:.:."), "{text}");
    let reader = Reader::open(&store, At::Newest, Content::Sites, &request(&[], &["s1"])).unwrap();
    let error = vcf::write(&reader, 1, None, |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("--reference"), "{error}");
}

#[test]
fn test_another_reference_is_refused() {
    let cohort = cohort(1, 10);
    let store = Store::in_memory();
    for (text, what) in [
        (">chr1\nACGT\n", "another length"),
        (">other\nACGT\n", "none of the contigs"),
        ("ACGT\n", "no FASTA"),
    ] {
        let error = convert_with(&files(&cohort), Some(text), &store, &small()).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

/// A SAM file of reads of 50 bases at one place, each with its base in the middle.
fn pile(sample: &str, position: usize, reads: &[u8]) -> String {
    let bases = &reference()[0];
    let mut text = format!(
        "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:40000\n@SQ\tSN:chr2\tLN:12000\n\
         @RG\tID:{sample}\tSM:{sample}\n"
    );
    for (number, base) in reads.iter().enumerate() {
        let mut sequence = bases[position - 25..position + 25].to_vec();
        sequence[25] = *base;
        text += &format!(
            "r{number}\t{}\tchr1\t{}\t60\t50M\t*\t0\t0\t{}\t{}\n",
            16 * (number % 2),
            position - 24,
            String::from_utf8(sequence).unwrap(),
            "I".repeat(50)
        );
    }
    text
}

#[test]
fn test_vcf_tells_no_call_from_like_the_reference_and_depth_that_was_capped() {
    let position = 20_000;
    let like = reference()[0][position];
    let other = b"CGTA"[b"ACGT".iter().position(|base| *base == like).unwrap()];
    let deep: Vec<u8> = (0..9_001).map(|read| if read % 3 == 0 { other } else { like }).collect();
    let given = [
        ("deep.sam", pile("deep", position, &deep)),
        ("few.sam", pile("few", position, &[like; 12])),
        ("none.sam", pile("none", position + 500, &[like; 12])),
    ];
    let given: Vec<(&str, &[u8])> =
        given.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let store = Store::in_memory();
    convert_with(&given, Some(&fasta()), &store, &small()).unwrap();
    let text = sites(&store, &[], &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.vcf");
    std::fs::write(&path, &text).unwrap();
    let format = "%CHROM %POS %REF %ALT %FILTER %NS[ %GT:%DP]\n";
    let query = ["query", "-f", format, path.to_str().unwrap()];
    let Ok(output) = std::process::Command::new("bcftools").args(query).output() else {
        println!("skipped: bcftools is not installed");
        return;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let (like, other) = (char::from(like), char::from(other));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("chr1 20001 {like} {other} DepthCap 2 0/1:8000 0/0:12 ./.:0\n")
    );
}

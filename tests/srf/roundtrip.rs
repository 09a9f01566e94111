//! The text that comes out is the text that went in.

use genomic_objects::dataset::Dataset;
use genomic_objects::srf::verify::verify;
use testkit::{corpus, oracle};

use super::*;

const LAYOUTS: [Layout; 2] = [Layout::Plain, Layout::Compact];

fn assert_same(name: &str, bytes: &[u8], text: &[u8]) {
    for layout in LAYOUTS {
        let store = Store::in_memory();
        let verified = WriteOptions { verify: true, batch_reads: 1000, ..options(layout) };
        convert(&[(name, bytes)], &store, &verified).unwrap();
        assert!(export(&store, false).unwrap() == [text], "{name} was changed ({layout:?})");
        let report = verify(&Dataset::open(&store, At::Newest).unwrap(), 2, None).unwrap();
        assert!(report.problems.is_empty(), "{name}: {:?}", report.problems);
    }
}

#[test]
fn test_every_good_file_comes_back_byte_for_byte() {
    let Some(data) = corpus::require() else { return };
    let mut count = 0;
    for folder in ["fastq", "fastq/quality_suite"] {
        for path in corpus::files(data.join(folder), "") {
            let bytes = std::fs::read(&path).unwrap();
            let text = match bytes.starts_with(&[0x1f, 0x8b]) {
                true => oracle::gunzip(&bytes).unwrap(),
                false => bytes.clone(),
            };
            assert_same(&path.to_string_lossy(), &bytes, &text);
            count += 1;
        }
    }
    assert!(count >= 38, "{count} files");
}

#[test]
fn test_odd_forms_come_back_byte_for_byte() {
    for text in [
        &b"@a\nACGT\n+\nIIII"[..],
        b"@a b\tc\nACGT\n+a b\tc\nIIII\n\n\n",
        b"@a\nACGT\n+\nIIII\n@b c\r\nAC\r\n+\r\nII\r\n@c\tx\nNnRy.\n+\n@@@@+\n",
        b"@\n\n+\n\n@x\n\n+\n",
        b"@x \nAC\n+\nI~\n@y\nAC\nGT\n+y\nII\nII\n",
        b">chr1 a sequence\nACGTACGT\nACGTACGT\nAC\n>empty\n>x\nacgtNNNNRYK-*.\n",
        b">x\r\nACGT\r\n\r\n>y\r\nAC",
        b"@x/1\nA\n+\n!\n",
    ] {
        assert_same(&String::from_utf8_lossy(text), text, text);
    }
}

#[test]
fn test_lengths_that_change_midway_come_back() {
    let text = [fastq(2500, 1, true), fastq(700, 2, false), fastq(900, 3, true)].concat();
    assert_same("mixed", &text, &text);
}

#[test]
fn test_pairs_come_back_as_two_files_or_by_turns() {
    let seconds = |text: &str, suffix: &str| {
        text.replace(" 1:N:0:ACGT", &format!("{suffix} 2:N:0:ACGT")).into_bytes()
    };
    let one = String::from_utf8(fastq(3000, 1, true)).unwrap();
    let two = String::from_utf8(fastq(3000, 2, false)).unwrap();
    let slashed = one.replace(" 1:N", "/1 1:N").into_bytes();
    let odd = two.replace(":6:6 1:N:0:ACGT", ":6:6 other").replace(" 1:N:0:ACGT", "");
    for (first, second) in [
        (one.clone().into_bytes(), seconds(&two, "")),
        (slashed, seconds(&two, "/2")),
        (one.clone().into_bytes(), odd.into_bytes()),
    ] {
        for layout in LAYOUTS {
            let store = Store::in_memory();
            convert(&[("R1", &first), ("R2", &second)], &store, &options(layout)).unwrap();
            let files = export(&store, false).unwrap();
            assert!(files[0] == first && files[1] == second, "{layout:?}");
            let woven = export(&store, true).unwrap().remove(0);
            let again = Store::in_memory();
            let interleaved = WriteOptions { interleaved: true, ..options(layout) };
            convert(&[("woven", &woven)], &again, &interleaved).unwrap();
            assert!(export(&again, true).unwrap() == [woven]);
            assert!(export(&again, false).unwrap() == files);
        }
    }
}

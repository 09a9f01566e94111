//! Any FASTQ that is one comes back; any bytes are refused or come back.

use proptest::prelude::*;

use super::*;

/// A record in one of the odd forms that files have.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let header = ("[!-~]{0,12}", prop::option::of(("[ \t]", "[ -~]{0,12}")));
    let bases = prop_oneof![
        6 => "[ACGT]{0,60}",
        2 => "[ACGTNacgtnRYKMSWBDHV.*-]{0,60}",
        1 => Just("N".repeat(40)),
    ];
    (header, bases, any::<u64>(), 0..6_u8, 1..30_usize, any::<bool>()).prop_map(
        |((name, rest), bases, seed, form, width, repeats_header)| {
            let end: &str = if form == 1 { "\r\n" } else { "\n" };
            let rest = rest.map_or(String::new(), |(separator, text)| separator + &text);
            let header = format!("{name}{rest}");
            let mut choices = Choices(seed);
            let qualities: Vec<u8> =
                bases.bytes().map(|_| b'!' + choices.below(94) as u8).collect();
            let mut text = format!("@{header}{end}").into_bytes();
            let lines = |line: &[u8], text: &mut Vec<u8>| {
                if form == 2 && !line.is_empty() {
                    for piece in line.chunks(width) {
                        text.extend_from_slice(piece);
                        text.extend_from_slice(end.as_bytes());
                    }
                } else {
                    text.extend_from_slice(line);
                    text.extend_from_slice(end.as_bytes());
                }
            };
            lines(bases.as_bytes(), &mut text);
            let plus = if repeats_header { header.as_str() } else { "" };
            text.extend_from_slice(format!("+{plus}{end}").as_bytes());
            lines(&qualities, &mut text);
            text
        },
    )
}

fn check(text: &[u8], layout: Layout, order: Order) -> Result<()> {
    let store = Store::in_memory();
    let small = WriteOptions { batch_reads: 7, chunk_reads: 20, order, ..options(layout) };
    let verified = WriteOptions { verify: true, ..small };
    convert(&[("generated", text)], &store, &verified)?;
    assert!(export(&store, false)? == [text], "{}", String::from_utf8_lossy(text));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn test_generated_fastq_comes_back(
        records in prop::collection::vec(record(), 1..40),
        has_end: bool,
        is_compact: bool,
        order in prop_oneof![Just(Order::None), Just(Order::Quality), Just(Order::Length)],
    ) {
        let mut text = records.concat();
        // Only a line of qualities may lack its end: an empty one would be no line.
        if !has_end && text.len() > 2 && !matches!(text[text.len() - 2], b'\n' | b'\r') {
            text.pop();
        }
        let layout = if is_compact { Layout::Compact } else { Layout::Plain };
        check(&text, layout, order).unwrap();
    }

    #[test]
    fn test_any_text_is_refused_or_comes_back(
        text in "@[ -~\n\r\t]{0,20}\n[ACGT\n+]{0,30}\n\\+[ -~\n]{0,60}",
        fasta in ">[ -~\n\r\t>]{0,80}",
    ) {
        for text in [text, fasta] {
            let _ = check(text.as_bytes(), Layout::Plain, Order::None);
            let _ = check(text.as_bytes(), Layout::Compact, Order::Length);
        }
    }
}

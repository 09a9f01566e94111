use super::*;

/// A read of the flags given and 10 bases, `5S5M3H`, in read group `g1`.
fn record(flags: u16) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend([3, 40, 0x48, 0x12, 3, 0]);
    bytes.extend(flags.to_le_bytes());
    bytes.extend(10_i32.to_le_bytes());
    bytes.extend([0xff; 8]);
    bytes.extend([0; 4]);
    bytes.extend(b"r1\0");
    for op in [5_u32 << 4 | 4, 5 << 4, 3 << 4 | 5] {
        bytes.extend(op.to_le_bytes());
    }
    bytes.extend([0x11; 5]);
    bytes.extend([30; 10]);
    bytes.extend(b"RGZg1\0XFf\0\0\0\x3fXAAq");
    bytes
}

fn keeps(filter: &Filter, flags: u16) -> bool {
    let libraries = Libraries::of_header(
        "@HD\tVN:1.6\n@RG\tID:g1\tLB:lib one\n@RG\tLB:other\tID:g1\n@RG\tID:g2\n",
    );
    let contigs = Contigs::default();
    let context = FilterContext { contigs: &contigs, libraries: &libraries };
    filter.matches(&Record::new(&record(flags)).unwrap(), &context).unwrap()
}

#[test]
fn test_filter_without_conditions_keeps_all_and_needs_nothing() {
    assert!(keeps(&Filter::default(), 0xffff));
    assert_eq!(Filter::default().needs(), Fields::NONE);
}

#[test]
fn test_filter_checks_flags_as_samtools() {
    let filter = |require, exclude, exclude_all, any| Filter {
        require_flags: require,
        exclude_flags: exclude,
        exclude_all_flags: exclude_all,
        include_any_flags: any,
        ..Filter::default()
    };
    for (filter, flags, expected) in [
        (filter(3, 0, 0, 0), 1, false),
        (filter(3, 0, 0, 0), 7, true),
        (filter(0, 6, 0, 0), 2, false),
        (filter(0, 6, 0, 0), 1, true),
        (filter(0, 0, 6, 0), 2, true),
        (filter(0, 0, 6, 0), 14, false),
        (filter(0, 0, 0, 6), 2, true),
        (filter(0, 0, 0, 6), 9, false),
    ] {
        assert_eq!(keeps(&filter, flags), expected);
        assert_eq!(filter.needs(), Fields::FLAGS);
    }
}

#[test]
fn test_filter_counts_clipped_bases_as_query() {
    for (length, expected) in [(13, true), (14, false)] {
        assert_eq!(keeps(&Filter { min_query_length: length, ..Filter::default() }, 0), expected);
    }
}

#[test]
fn test_filter_takes_the_first_library_of_a_read_group() {
    for (library, expected) in [("lib one", true), ("other", false), ("", false)] {
        let filter = Filter { sequencing_library: Some(library.into()), ..Filter::default() };
        assert_eq!(keeps(&filter, 0), expected, "{library}");
    }
}

#[test]
fn test_tag_condition_compares_values_of_every_type() {
    for (text, expected) in [
        ("RG", true),
        ("RG:g1", true),
        ("RG:g", false),
        ("XF:0.5", true),
        ("XF:0.50", true),
        ("XF:x", false),
        ("XA:q", true),
        ("XX", false),
        ("XA:", true),
    ] {
        let filter = Filter { tag: Some(TagCondition::parse(text).unwrap()), ..Filter::default() };
        assert_eq!(keeps(&filter, 0), expected, "{text}");
    }
    for text in ["", "R", "RGX", ":x", "N:M"] {
        let error = TagCondition::parse(text).unwrap_err();
        assert!(error.to_string().contains("two characters"), "{text}: {error}");
    }
}

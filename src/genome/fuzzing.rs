//! Fuzz targets of regions and BED; see [`crate::fuzzing`].

use std::sync::LazyLock;

use super::{Contig, Contigs, Target, bed};

static CONTIGS: LazyLock<Contigs> = LazyLock::new(|| {
    let names = ["chr1", "chr1:1", "HLA-A*01:01", "{x}", "1", "..", "a/b", "chré"];
    let contig = |name: &str| Contig { name: name.to_owned(), length: 5_000_000, md5: None };
    Contigs::new(names.map(contig).to_vec()).unwrap_or_default()
});

/// A region as users write it.
pub(crate) fn region(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Target::Region(region)) = Target::parse(text, &CONTIGS) {
        assert!(region.interval.start() <= region.interval.end(), "{text:?}: {region:?}");
        assert!(CONTIGS.get(region.contig).is_some());
    }
}

/// A BED file.
pub(crate) fn bed(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(regions) = bed::parse(text, "x.bed", &CONTIGS) {
        for region in regions {
            assert!(region.interval.start() <= region.interval.end(), "{text:?}: {region:?}");
        }
    }
}

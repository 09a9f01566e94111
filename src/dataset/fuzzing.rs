//! Fuzz targets of manifests; see [`crate::fuzzing`].

use super::Manifest;
use super::digest::{Checksum, seal};
use super::manifest::{SegmentRef, parse_segment};
use crate::{paf, ram, srf, vcs};

/// Any members of a manifest, under the right digest; then a list of chunks.
pub(crate) fn manifest(data: &[u8]) {
    let (sealed, _) = seal(data.to_vec());
    if let Ok(manifest) = Manifest::parse(&sealed) {
        let _ = paf::manifest::Details::read(&manifest);
        let _ = srf::manifest::Details::read(&manifest);
        let _ = vcs::manifest::Details::read(&manifest);
        let _ = ram::manifest::Details::read(&manifest);
        let mut again = manifest.clone();
        let bytes = again.seal().map_err(|error| error.to_string());
        let read =
            bytes.and_then(|bytes| Manifest::parse(&bytes).map_err(|error| error.to_string()));
        assert_eq!(read.as_ref(), Ok(&again));
    }
    let segment = SegmentRef {
        path: String::new(),
        size_bytes: data.len() as u64,
        checksum: Checksum::of(b""),
        chunks: 1,
    };
    let _ = parse_segment(&segment, data);
}

//! A file per command, or per family of commands: its arguments, and what it does with them.

mod bam_to_paf;
mod bam_to_ram;
mod demo;
mod fastq_to_srf;
mod maintain;
mod paf_query;
mod paf_to_bam;
mod ram_query;
mod ram_to_bam;
mod simulate;
mod srf_query;
mod srf_to_fastq;
mod summarise;
mod tooling;
mod vcf_to_vcs;
mod vcs_query;
mod vcs_to_vcf;

pub(crate) use bam_to_paf::BamToPaf;
pub(crate) use bam_to_ram::BamToRam;
pub(crate) use demo::Demo;
pub(crate) use fastq_to_srf::FastqToSrf;
pub(crate) use maintain::{Cp, Diff, Files, Gc, Log, Rollback, Verify};
pub(crate) use paf_query::PafQuery;
pub(crate) use paf_to_bam::PafToBam;
pub(crate) use ram_query::RamQuery;
pub(crate) use ram_to_bam::RamToBam;
pub(crate) use simulate::Simulate;
pub(crate) use srf_query::SrfQuery;
pub(crate) use srf_to_fastq::SrfToFastq;
pub(crate) use summarise::{Depth, Flagstat, Idxstats, Info};
pub(crate) use tooling::{Completions, Man};
pub(crate) use vcf_to_vcs::VcfToVcs;
pub(crate) use vcs_query::VcsQuery;
pub(crate) use vcs_to_vcf::VcsToVcf;

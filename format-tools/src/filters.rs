//! The filters of `samtools view`, by its letters.

use clap::Args;
use genomic_objects::error::{Error, Result};
use genomic_objects::records::alignments::filter::{
    self, Filter, Names, Subsample, TagCondition, parse_flags,
};

use crate::options::Stores;

/// Which reads to keep.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterOptions {
    /// Only reads with all of these flag bits: 0x3, 3, or PAIRED,PROPER_PAIR
    #[arg(short = 'f', long = "require-flags", value_name = "FLAGS")]
    require: Option<String>,

    /// Only reads with none of these flag bits
    #[arg(short = 'F', long = "exclude-flags", visible_alias = "ff", value_name = "FLAGS")]
    exclude: Option<String>,

    /// Only reads with any of these flag bits
    #[arg(long = "include-flags", visible_alias = "rf", value_name = "FLAGS")]
    include_any: Option<String>,

    /// Only reads that lack at least one of these flag bits
    #[arg(short = 'G', value_name = "FLAGS")]
    exclude_all: Option<String>,

    /// Only reads of at least this mapping quality
    #[arg(
        short = 'q',
        long = "min-mapq",
        value_name = "N",
        default_value_t,
        hide_default_value = true
    )]
    min_mapping_quality: u8,

    /// Only reads whose CIGAR takes at least this many bases from the read
    #[arg(
        short = 'm',
        long = "min-qlen",
        value_name = "N",
        default_value_t,
        hide_default_value = true
    )]
    min_query_length: u64,

    /// Only reads of this read group, or of none; may be repeated
    #[arg(short = 'r', long = "read-group", value_name = "ID")]
    read_groups: Vec<String>,

    /// The same for the read groups in a file
    #[arg(short = 'R', long = "read-group-file", value_name = "FILE")]
    read_group_file: Option<String>,

    /// Only reads of this library
    #[arg(short = 'l', long = "library", value_name = "NAME")]
    sequencing_library: Option<String>,

    /// Only reads with this tag, of this value if one is given; may be repeated for more values
    #[arg(short = 'd', long = "tag", value_name = "TAG[:VALUE]")]
    tags: Vec<String>,

    /// The same for the values in a file
    #[arg(short = 'D', long = "tag-file", value_name = "TAG:FILE")]
    tag_file: Option<String>,

    /// Only reads whose names are in a file
    #[arg(short = 'N', long = "qname-file", value_name = "FILE")]
    name_file: Option<String>,

    /// Only this share of the templates: SEED.SHARE, as in 7.25
    #[arg(short = 's', long, value_name = "SEED.SHARE")]
    subsample: Option<String>,

    /// Only reads for which this samtools expression is true
    #[arg(short = 'e', long = "expr", value_name = "EXPRESSION")]
    expression: Option<String>,
}

impl FilterOptions {
    /// The same for the library; reads the files named.
    pub(crate) fn build(&self, stores: &Stores) -> Result<Filter> {
        let flags = |text: &Option<String>| text.as_deref().map_or(Ok(0), parse_flags);
        let words = |file: &String| Ok(filter::words(&stores.read_text(file)?));
        Ok(Filter {
            require_flags: flags(&self.require)?,
            exclude_flags: flags(&self.exclude)?,
            exclude_all_flags: flags(&self.exclude_all)?,
            include_any_flags: flags(&self.include_any)?,
            min_mapping_quality: self.min_mapping_quality,
            min_query_length: self.min_query_length,
            read_groups: self.read_groups(self.read_group_file.as_ref().map(words).transpose()?),
            tag: self.tag(stores)?,
            names: self.name_file.as_ref().map(words).transpose()?,
            sequencing_library: self
                .sequencing_library
                .as_ref()
                .map(|name| name.clone().into_bytes()),
            subsample: self.subsample.as_deref().map(Subsample::parse).transpose()?,
            expression: self.expression.as_deref().map(str::parse).transpose()?,
        })
    }

    fn read_groups(&self, in_file: Option<Names>) -> Option<Names> {
        let named = self.read_groups.iter().map(|name| name.clone().into_bytes());
        let named: Names = named.collect();
        match in_file {
            Some(mut names) => {
                names.extend(named);
                Some(names)
            }
            None => (!named.is_empty()).then_some(named),
        }
    }

    /// One tag, with the values of all options that name it; any value will do if one names none.
    fn tag(&self, stores: &Stores) -> Result<Option<TagCondition>> {
        let mut conditions = Vec::new();
        for text in &self.tags {
            conditions.push(TagCondition::parse(text)?);
        }
        if let Some(text) = &self.tag_file {
            let (tag, file) = text.split_once(':').ok_or_else(|| {
                Error::usage(format!("{text:?} names no file of values")).help("write -D TAG:FILE")
            })?;
            conditions.push(TagCondition::with_values_of(tag, &stores.read_text(file)?)?);
        }
        let mut conditions = conditions.into_iter();
        let Some(mut whole) = conditions.next() else { return Ok(None) };
        for other in conditions {
            if other.name != whole.name {
                return Err(Error::usage("-d and -D name more than one tag")
                    .help("combine conditions in an expression: -e '[RG] == \"x\" && [NM] == 0'"));
            }
            whole.values = whole.values.zip(other.values).map(|(mut values, more)| {
                values.extend(more);
                values
            });
        }
        Ok(Some(whole))
    }
}

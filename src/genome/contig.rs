//! Contigs and the dictionary that orders them.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// A contig's place in its dataset's dictionary, from 0: the order of `@SQ` lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContigId(pub u32);

/// A reference sequence: a chromosome, scaffold, decoy or allele.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contig {
    /// Its name, as in `@SQ SN`.
    pub name: String,
    /// Its length in bases, as in `@SQ LN`.
    pub length: u64,
    /// The MD5 of its upper-cased sequence in hex, as in `@SQ M5`, where given.
    pub md5: Option<String>,
}

/// The ordered dictionary of a dataset's contigs, with look-up by name.
#[derive(Clone, Debug, Default)]
pub struct Contigs {
    list: Vec<Contig>,
    by_name: HashMap<String, ContigId>,
}

impl Contigs {
    /// A dictionary in the given order.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) when a name occurs twice.
    pub fn new(list: Vec<Contig>) -> Result<Self> {
        let mut by_name = HashMap::with_capacity(list.len());
        for (ordinal, contig) in list.iter().enumerate() {
            let id = ContigId(u32::try_from(ordinal).map_err(|_| {
                Error::unsupported("more than 4,294,967,295 contigs in one dictionary")
            })?);
            if by_name.insert(contig.name.clone(), id).is_some() {
                return Err(Error::input(format!("contig {:?} is declared twice", contig.name))
                    .help("give each @SQ line a name of its own"));
            }
        }
        Ok(Self { list, by_name })
    }

    /// From the columns of a manifest: names, lengths, and the MD5 of some by their number.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::error::ErrorKind::Corrupt) where names and lengths do not pair;
    /// [`Input`](crate::error::ErrorKind::Input) when a name occurs twice.
    pub(crate) fn from_columns(
        names: &[String],
        lengths: &[u64],
        md5: &[(u32, String)],
    ) -> Result<Self> {
        if names.len() != lengths.len() {
            return Err(Error::corrupt("the manifest has not one length per chromosome"));
        }
        let pairs = names.iter().zip(lengths);
        let mut list: Vec<Contig> =
            pairs.map(|(name, &length)| Contig { name: name.clone(), length, md5: None }).collect();
        for (ordinal, md5) in md5 {
            if let Some(contig) = list.get_mut(*ordinal as usize) {
                contig.md5 = Some(md5.clone());
            }
        }
        Self::new(list)
    }

    /// The MD5 of those that have one, by number: a column of a manifest.
    pub(crate) fn md5_column(&self) -> Vec<(u32, String)> {
        let with_md5 = |(ordinal, contig): (u32, &Contig)| Some((ordinal, contig.md5.clone()?));
        (0..).zip(self.iter()).filter_map(with_md5).collect()
    }

    /// The contig with this id, if there is one.
    pub fn get(&self, id: ContigId) -> Option<&Contig> {
        self.list.get(id.0 as usize)
    }

    /// The id of the contig with this name.
    pub fn id(&self, name: &str) -> Option<ContigId> {
        self.by_name.get(name).copied()
    }

    /// All contigs in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Contig> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none, as in an unaligned BAM.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

//! Samples that must go from every version: the layers that have them are written anew, the others
//! stay as they are.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::depth::Scope;
use super::grid::Grid;
use super::layer::Samples;
use super::manifest::{self, Details, KINDS};
use super::publish::{Content, Publisher};
use super::read::{self, Content as Kind, Reader, Request};
use super::reference::Reference;
use super::rewrite::{Numbered, Resources, Source, Taken, in_order};
use super::spill::Spills;
use super::write::{Summary, regions_of};
use crate::dataset::{
    self, At, ChunkEntry, Dataset, Draft, InputInfo, ObjectRef, Operation, Purged, Transaction,
    TransactionId,
};
use crate::error::{Context, Error, Result};
use crate::genome::{Contig, Contigs};
use crate::pipeline::Progress;
use crate::store::Store;

/// Most names in a message.
const MOST_NAMES: usize = 20;

/// How samples are purged.
#[derive(Clone, Debug)]
pub struct PurgeOptions {
    /// Threads that decode and encode.
    pub threads: usize,
    /// Bytes of memory for what is put aside.
    pub memory: usize,
    /// Folder for what does not fit there.
    pub temp_dir: Option<PathBuf>,
    /// Do everything and write nothing.
    pub dry_run: bool,
    /// The time of the commit, in RFC 3339.
    pub created: String,
    /// The transaction, from randomness.
    pub transaction: TransactionId,
}

/// Takes `samples` out of all versions of the dataset at `store`. The newest version then is what a
/// conversion of the others would have made of each layer that had any of them.
///
/// # Errors
///
/// [`NotFound`](crate::error::ErrorKind::NotFound) where a sample is not there (unless all are gone
/// and an interrupted purge was finished), [`Usage`](crate::error::ErrorKind::Usage) where no other
/// sample would stay; as [`dataset::purge`].
pub fn purge(
    store: &Store,
    samples: &[String],
    options: &PurgeOptions,
    progress: &Arc<Progress>,
) -> Result<(Purged, Option<Summary>)> {
    let (mut summary, mut absent) = (None, None);
    let of_dataset = dataset::PurgeOptions {
        created: options.created.clone(),
        id: options.transaction,
        copies: Vec::new(),
        dry_run: options.dry_run,
    };
    let purged = dataset::purge(store, &of_dataset, |base, transaction| {
        let removal = match Removal::new(base, samples, Purpose::Purge)? {
            Ok(removal) => removal,
            Err(missing) if missing.are_all => {
                absent = Some(missing.error.at(store.name("")));
                return Ok(None);
            }
            Err(missing) => return Err(missing.error.at(store.name(""))),
        };
        let rewriter = Rewriter { store, base, transaction, options, progress };
        let (draft, written) = rewriter.draft(removal)?;
        summary = written;
        Ok(Some(draft))
    })?;
    match absent {
        Some(error) if purged.version.is_none() && purged.finished.is_none() => Err(error),
        _ => Ok((purged, summary)),
    }
}

/// Why samples are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nothing may tell of them.
    Purge,
    /// Others of their names come, in their places.
    Replace,
}

/// Samples that are asked for and not there.
pub(super) struct Missing {
    are_all: bool,
    pub(super) error: Error,
}

/// What stays of a version without some samples.
pub(super) struct Removal {
    /// Without the layers that are written anew.
    pub(super) details: Details,
    pub(super) contigs: Contigs,
    pub(super) taken: Taken,
    /// The numbers of those that others replace, by name.
    pub(super) replaced: HashMap<String, u32>,
    /// Names of all samples that stay.
    pub(super) names: Vec<String>,
    /// Where the new layer goes, among those that stay.
    pub(super) position: usize,
    pub(super) objects: Vec<ObjectRef>,
    pub(super) chunks: Vec<ChunkEntry>,
    pub(super) inputs: Vec<InputInfo>,
}

impl Removal {
    /// Plans to leave samples of these names out.
    pub(super) fn new(
        base: &Dataset,
        names: &[String],
        purpose: Purpose,
    ) -> Result<Result<Self, Missing>> {
        let mut details = Details::read(base.manifest()).at(|| base.store().name(""))?;
        let lists = read::sample_lists(base, &details)?;
        let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
        let goes = |name: &str| wanted.contains(name);
        let all: HashSet<&str> = lists
            .iter()
            .flat_map(|list| &list.samples)
            .map(|sample| sample.name.as_str())
            .collect();
        let absent: Vec<&str> = wanted.iter().copied().filter(|name| !all.contains(name)).collect();
        if let Some(name) = absent.first() {
            let are_all = absent.len() == wanted.len();
            return Ok(Err(Missing { are_all, error: not_there(name, &lists) }));
        }
        if all.len() == wanted.len() && purpose == Purpose::Purge {
            return Err(Error::usage("no sample of the dataset would be left")
                .help(format!(
                    "remove the dataset itself, with all that is in {}",
                    base.store().name("")
                ))
                .at(base.store().name("")));
        }
        let old = details.dictionary()?;
        let contigs = match purpose {
            Purpose::Purge => contigs_without(base, &lists, &goes, &old)?,
            Purpose::Replace => old.clone(),
        };
        let keeps_contigs = contigs.len() == old.len();
        let numbers = old.iter().map(|contig| contigs.id(&contig.name).map(|id| id.0));
        let contig_numbers = numbers.collect();
        let (mut stays, mut next, mut replaced) = (HashSet::new(), 0_u32, HashMap::new());
        let mut of_layers = Vec::new();
        let (mut position, mut layers) = (None, Vec::new());
        for (layer, list) in std::mem::take(&mut details.layers).into_iter().zip(&lists) {
            let is_whole = !list.samples.iter().any(|sample| goes(&sample.name));
            if is_whole && keeps_contigs {
                stays.insert(token(&layer.index).to_owned());
                of_layers.push(vec![None; list.samples.len()]);
                layers.push(layer);
                continue;
            }
            position.get_or_insert(layers.len());
            let mut numbers = Vec::with_capacity(list.samples.len());
            for sample in &list.samples {
                let takes_place = purpose == Purpose::Replace || !goes(&sample.name);
                let number = takes_place.then_some(next);
                next += u32::from(takes_place);
                if goes(&sample.name) {
                    replaced.extend(number.map(|number| (sample.name.clone(), number)));
                    numbers.push(None);
                } else {
                    numbers.push(number);
                }
            }
            of_layers.push(numbers);
        }
        let taken = Taken {
            samples: of_layers,
            contigs: contig_numbers,
            total: next as usize,
            judges: true,
        };
        let manifest = base.manifest();
        let is_of_layer = |object: &&ObjectRef| {
            KINDS.contains(&object.kind.as_str()) && stays.contains(token(&object.path))
        };
        let objects = manifest.objects.iter().filter(is_of_layer).cloned().collect();
        let chunks = base.chunks()?;
        let chunks: Vec<ChunkEntry> =
            chunks.iter().filter(|chunk| stays.contains(token(&chunk.path))).cloned().collect();
        details.sample_count = layers.iter().map(|layer| layer.sample_count).sum();
        details.read_count = layers.iter().map(|layer| layer.read_count).sum();
        details.chunk_bytes = chunks.iter().map(|chunk| chunk.size_bytes).sum();
        details.layers = layers;
        details.set_dictionary(&contigs);
        if let Some(parts) = &mut details.parts {
            parts.retain(|(name, ..)| contigs.id(name).is_some());
        }
        let gone: HashSet<&str> = lists
            .iter()
            .flat_map(|list| &list.samples)
            .filter(|sample| goes(&sample.name))
            .map(|sample| sample.input.as_str())
            .collect();
        let inputs = manifest.inputs.iter().filter(|input| !gone.contains(input.name.as_str()));
        Ok(Ok(Self {
            details,
            contigs,
            taken,
            replaced,
            names: all.into_iter().filter(|name| !goes(name)).map(str::to_owned).collect(),
            position: position.unwrap_or(0),
            objects,
            chunks,
            inputs: inputs.cloned().collect(),
        }))
    }

    /// Whether any sample of the layers that are written anew stays.
    pub(super) fn has_rest(&self) -> bool {
        self.taken.samples.iter().flatten().any(Option::is_some)
    }
}

/// The token of the transaction that wrote an object, which all of a layer have.
fn token(path: &str) -> &str {
    dataset::token_of(path).unwrap_or_default()
}

fn not_there(name: &str, lists: &[Samples]) -> Error {
    let all = lists.iter().flat_map(|list| &list.samples);
    let total = all.clone().count();
    let mut known: Vec<&str> = all.take(MOST_NAMES).map(|sample| sample.name.as_str()).collect();
    let rest = (total > known.len()).then(|| format!("{} more", total - known.len()));
    known.extend(rest.as_deref());
    Error::not_found(format!("the dataset has no sample {name:?}"))
        .expected(format!("one of its samples: {}", known.join(", ")))
}

/// The dictionary without contigs, and MD5 of contigs, that no sample that stays speaks of.
fn contigs_without(
    base: &Dataset,
    lists: &[Samples],
    goes: &dyn Fn(&str) -> bool,
    old: &Contigs,
) -> Result<Contigs> {
    let at = At::Version(base.manifest().dataset_version);
    let reader = Reader::open(base.store(), at, Kind::Coverage, &Request::default())?;
    let mut known: Vec<bool> = vec![false; old.len()];
    let mut summed: Vec<bool> = old.iter().map(|contig| contig.md5.is_none()).collect();
    for (part, list) in reader.parts.iter().zip(lists) {
        for (at, _) in list.samples.iter().enumerate().filter(|(_, of)| !goes(&of.name)) {
            if known.iter().zip(&summed).all(|(known, summed)| *known && *summed) {
                break;
            }
            for contig in reader.header_of(part, at)?.contigs().iter() {
                let Some(id) = old.id(&contig.name) else { continue };
                known[id.0 as usize] = true;
                summed[id.0 as usize] |= contig.md5.is_some();
            }
        }
    }
    let rest = old.iter().zip(known.iter().zip(&summed)).filter(|(_, (known, _))| **known);
    let contig = |(contig, (_, summed)): (&Contig, (&bool, &bool))| Contig {
        md5: contig.md5.clone().filter(|_| *summed),
        ..contig.clone()
    };
    Contigs::new(rest.map(contig).collect())
}

struct Rewriter<'a> {
    store: &'a Store,
    base: &'a Dataset,
    transaction: &'a Transaction,
    options: &'a PurgeOptions,
    progress: &'a Arc<Progress>,
}

impl Rewriter<'_> {
    /// Writes the new layer, if any sample of the old ones stays.
    fn draft(&self, removal: Removal) -> Result<(Draft, Option<Summary>)> {
        let options = self.options;
        if !removal.has_rest() {
            let Removal { details, objects, chunks, inputs, .. } = removal;
            let draft = Draft {
                format: manifest::FORMAT.to_owned(),
                version: manifest::VERSION.to_owned(),
                operation: Operation::Purge,
                keep_chunks: false,
                created: options.created.clone(),
                inputs,
                fields: details.to_fields()?,
                objects,
                chunks,
                required_features: Vec::new(),
            };
            return Ok((draft, None));
        }
        let grid = Grid::new(removal.details.windows(), &removal.contigs)?;
        let resources = Resources {
            threads: options.threads,
            memory: options.memory,
            temp_dir: options.temp_dir.clone(),
        };
        let mut spills = Spills::new(&resources.sorting());
        let rest = Rest {
            store: self.store,
            base: self.base,
            removal: &removal,
            grid: &grid,
            reference: None,
        };
        let Spilled { samples, contigs, groups } =
            rest.spill(&removal.details, &mut spills, options.threads, self.progress)?;
        let (samples, headers) = in_order(samples)?;
        let publisher = Publisher {
            store: self.store,
            transaction: self.transaction,
            created: &options.created,
            threads: options.threads,
            dry_run: options.dry_run,
            progress: self.progress,
        };
        let Removal { details, contigs: dictionary, position, objects, chunks, inputs, .. } =
            removal;
        let (draft, summary) = publisher.publish(Content {
            details,
            contigs: &dictionary,
            grid: &grid,
            spills,
            list: Samples { samples, contigs },
            headers: headers.bytes,
            groups,
            position: Some(position),
            objects,
            chunks,
            operation: Operation::Purge,
            inputs,
        })?;
        Ok((draft, Some(summary)))
    }
}

/// The samples that stay of layers that are written anew.
pub(super) struct Rest<'a> {
    pub(super) store: &'a Store,
    pub(super) base: &'a Dataset,
    pub(super) removal: &'a Removal,
    pub(super) grid: &'a Grid,
    pub(super) reference: Option<&'a Reference>,
}

/// What was put aside.
pub(super) struct Spilled {
    pub(super) samples: Vec<Numbered>,
    /// The contigs that they name.
    pub(super) contigs: Vec<u32>,
    /// Who is looked at, at which sites.
    pub(super) groups: Vec<Vec<u32>>,
}

impl Rest<'_> {
    /// Puts all of them aside; `details` are those of the new version.
    pub(super) fn spill(
        &self,
        details: &Details,
        spills: &mut Spills,
        threads: usize,
        progress: &Arc<Progress>,
    ) -> Result<Spilled> {
        let contigs = details.dictionary()?;
        let parts = details.parts.as_ref().map(|parts| regions_of(parts, &contigs));
        let scope = Scope {
            windows: details.windows(),
            exclude_flags: details.exclude_flags,
            lengths: &details.lengths,
            parts: parts.as_deref(),
        };
        let source = Source {
            store: self.store,
            at: At::Version(self.base.manifest().dataset_version),
            taken: &self.removal.taken,
            grid: self.grid,
            scope: &scope,
            reference: self.reference,
            threads,
            progress,
        };
        let samples = source.samples()?;
        let (contigs, groups) = source.spill(spills)?;
        Ok(Spilled { samples, contigs, groups: groups.lists })
    }
}

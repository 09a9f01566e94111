//! `bam-to-ram`: the alignments of many samples become a cohort.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use genomic_objects::dataset::{At, Checksum};
use genomic_objects::error::{Error, ErrorKind, Result};
use genomic_objects::paf::read::{Places, Reader};
use genomic_objects::pipeline::Progress;
use genomic_objects::ram::ingest::Opened;
use genomic_objects::ram::write::{SampleInput, Summary as Written, WriteOptions, write};
use genomic_objects::records::alignments::{self as records, SourceOptions, Validation};
use genomic_objects::store::{Store, open_input};
use serde_json::json;

use crate::conversion::input_info;
use crate::environment;
use crate::options::{Aside, Messages, Threads, WritableStores};
use crate::report::Summary;
use crate::units::{self, parse_size};

/// Convert the BAM, CRAM, SAM or PAF of many samples to a RAM dataset
#[derive(Args, Clone, Debug)]
#[command(override_usage = "format-tools bam-to-ram [OPTIONS] <INPUT>... <OUTPUT>")]
#[command(after_help = "\
Each input is one sample, named by SM of its read groups or by --samples. Files sorted by coordinate
are read straight through; others are sorted first, and ram-to-bam restores their order. Contigs are
matched by name; those of another length or MD5 are refused. Every input is opened before any is
read. The dataset becomes visible when it is complete; if something fails before, the same command
with --resume goes on with the samples that are left.

--add brings in more samples and rewrites nothing; --replace redoes samples, and writes the files of
those they came with anew. Candidate variants are looked for only if --reference is given again.

Examples:
  bam-to-ram --input 'sample_*.bam' --output cohort.ram --region-size 1000000 --parallel 32
  bam-to-ram a.bam b.cram c.paf s3://bucket/cohort.ram
  bam-to-ram --reference ref.fa --samples names.tsv *.bam cohort.ram
  bam-to-ram --add new.bam cohort.ram
  bam-to-ram --replace NA12878 again.bam cohort.ram
  bam-to-ram --resume --input 'sample_*.bam' --output cohort.ram")]
pub(crate) struct BamToRam {
    /// Inputs, then the dataset to make; a file name in an input may have * and ?
    #[arg(value_name = "PATH")]
    paths: Vec<String>,

    /// Inputs, instead of or besides those among the PATHs
    #[arg(long = "input", value_name = "INPUT", num_args = 1..)]
    inputs: Vec<String>,

    /// The output, instead of the last PATH
    #[arg(short = 'o', long = "output", value_name = "OUTPUT")]
    output: Option<String>,

    /// Names of samples, instead of those in the headers: a name a line in the order of the inputs;
    /// or lines of input, tab and name, and inputs that are not among them keep their header's
    #[arg(long, value_name = "FILE")]
    samples: Option<String>,

    /// Only reads that overlap these regions
    #[arg(long, value_name = "BED")]
    regions: Option<String>,

    /// FASTA file that the reads were aligned to: candidate variants are looked for, and CRAM is
    /// decoded with it
    #[arg(long, value_name = "FASTA")]
    reference: Option<String>,

    /// Bases of a region
    #[arg(long, value_name = "BASES", default_value = "1M", value_parser = parse_size)]
    region_size: u64,

    /// Bases of a sub-window, by which the batches of a region are ordered
    #[arg(long, value_name = "BASES", default_value = "20k", value_parser = parse_size)]
    sub_window: u64,

    /// Bases of a row of coverage
    #[arg(long, value_name = "BASES", default_value = "1k", value_parser = parse_size)]
    coverage_window: u64,

    /// Add the samples to an existing dataset, as a new version
    #[arg(long, visible_alias = "append", conflicts_with = "overwrite")]
    add: bool,

    /// Put the inputs in the place of these samples of an existing dataset, as a new version; names
    /// separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[arg(conflicts_with_all = ["add", "overwrite"])]
    replace: Vec<String>,

    /// Make a new version where a dataset exists already
    #[arg(long)]
    overwrite: bool,

    /// Go on with an interrupted conversion to this output: samples that were read to their end are
    /// not read again, unless their files have changed
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,

    /// Write nothing, and tell how many objects, bytes and requests it would be
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    aside: Aside,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    stores: WritableStores,
    #[command(flatten)]
    pub(crate) messages: Messages,
}

impl BamToRam {
    pub(crate) fn run(self) -> Result<()> {
        let (inputs, output) = self.places()?;
        let started = Instant::now();
        let options = self.stores.options();
        let store = Store::open(&output, &options)?;
        let names = self.names(&inputs)?;
        let of_input = |(input, name): (&String, Option<String>)| SampleInput {
            name,
            info: input_info(file_name(input), None),
        };
        let samples: Vec<SampleInput> = inputs.iter().zip(names).map(of_input).collect();
        let write_options = WriteOptions {
            region_size: self.region_size,
            sub_window: self.sub_window,
            coverage_window: self.coverage_window,
            threads: self.threads.count().get(),
            memory: self.aside.memory(),
            temp_dir: self.aside.temp_dir.clone(),
            work: if self.dry_run { None } else { Some(self.work(&output)?) },
            resume: self.resume,
            parts: match &self.regions {
                Some(path) => Some((path.clone(), self.stores.read_text(path)?)),
                None => None,
            },
            overwrite: self.overwrite,
            add: self.add,
            replace: self.replace.clone(),
            dry_run: self.dry_run,
            ..WriteOptions::new(environment::now(), environment::transaction_id()?)
        };
        let source_options = SourceOptions {
            validation: Validation::Strict,
            threads: 1,
            reference: self.reference.as_ref().map(PathBuf::from),
            ref_path: std::env::var("REF_PATH").ok(),
            ref_cache: std::env::var("REF_CACHE").ok(),
        };
        let open = |number: usize| {
            let location = &inputs[number];
            if is_dataset(location) {
                let store = Store::open(location, &options)?;
                let reader = Reader::open(&store, At::Newest, &Places::default())?;
                return Ok(Opened::Dataset(Box::new(reader)));
            }
            let input = open_input(location, &options)?;
            let state =
                input.version.map(|version| format!("{location} {:?} {version}", input.size));
            Ok(Opened::File(records::open(&input.name, input.reader, &source_options)?, state))
        };
        let reference = match &self.reference {
            Some(path) => {
                let input = open_input(path, &options)?;
                Some((input.name, input.reader))
            }
            None => None,
        };
        let progress = Arc::new(Progress::default());
        let display = self.messages.start_progress(&progress, "converted");
        let written = write(&samples, &open, reference, &store, &write_options, &progress);
        drop(display);
        let is_resumable = |error: &Error| {
            !matches!(error.kind(), ErrorKind::Usage | ErrorKind::Exists | ErrorKind::NotFound)
        };
        let is_kept = || write_options.work.as_ref().is_some_and(|folder| folder.exists());
        if written.as_ref().is_err_and(is_resumable) && is_kept() && !self.messages.json {
            self.messages.say(
                "samples that were read to their end are kept: the same command with --resume goes on",
            );
        }
        self.messages.summarise(self.summary(&written?, &store.name(""), started))
    }

    /// The folder of what samples came to, which is the same whenever the output is.
    fn work(&self, output: &str) -> Result<PathBuf> {
        let place = match output.contains("://") {
            true => output.to_owned(),
            false => {
                let absolute = std::path::absolute(output)
                    .map_err(|error| Error::usage("this is no path").caused_by(error).at(output))?;
                absolute.display().to_string()
            }
        };
        let digest = Checksum::of(place.trim_end_matches('/').as_bytes()).to_string();
        let token: String = digest.chars().rev().take(16).collect();
        let folder = self.aside.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        Ok(folder.join(format!("bam-to-ram-{token}")))
    }

    fn summary(&self, written: &Written, output: &str, started: Instant) -> Summary {
        let seconds = started.elapsed();
        let verb = match (self.dry_run, self.add) {
            (true, _) => "would write",
            (_, true) => "added",
            _ => "wrote",
        };
        let mut text = format!(
            "{verb} {} reads of {} samples to {output}: {} in {} objects ({} regions, {} batches) in {}",
            units::count(written.reads),
            units::count(written.samples),
            units::bytes(written.total_bytes),
            units::count(written.objects),
            units::count(written.regions),
            units::count(written.batches),
            units::duration(seconds),
        );
        if self.dry_run {
            text += &format!("\n{} PUT requests, the manifests' two included", written.objects);
        }
        if self.reference.is_some() {
            text += &format!("\n{} candidate sites", units::count(written.sites));
        }
        if written.reordered > 0 {
            text += &format!(
                "\n{} samples had their reads in another order; ram-to-bam restores it",
                units::count(written.reordered)
            );
        }
        if written.resumed > 0 {
            text += &format!(
                "\n{} samples had been read before, and were not read again",
                units::count(written.resumed)
            );
        }
        let mut json = json!(written);
        json["output"] = json!(output);
        json["dry_run"] = json!(self.dry_run);
        json["seconds"] = json!(seconds.as_secs_f64());
        Summary { text, json, data_on_stdout: false }
    }

    /// Inputs and output; patterns are what they match.
    fn places(&self) -> Result<(Vec<String>, String)> {
        let mut paths = self.paths.clone();
        let output = self.output.clone().or_else(|| paths.pop());
        let mut inputs = Vec::new();
        for path in self.inputs.iter().chain(&paths) {
            inputs.extend(self.matching(path)?);
        }
        match output {
            Some(output) if !inputs.is_empty() => Ok((inputs, output)),
            _ => Err(Error::usage("inputs and an output are needed")
                .help("bam-to-ram INPUT... OUTPUT, as in: bam-to-ram a.bam b.bam cohort.ram")),
        }
    }

    /// The files that a path with `*` or `?` in its file name stands for, in order.
    fn matching(&self, path: &str) -> Result<Vec<String>> {
        let (folder, pattern) = path.rsplit_once('/').unwrap_or(("", path));
        if !pattern.contains(['*', '?']) || Path::new(path).exists() {
            return Ok(vec![path.to_owned()]);
        }
        let names: Vec<String> = if path.contains("://") {
            let listed = Store::open(folder, &self.stores.options())?.list("")?;
            let here = |key: &String| {
                // Of a dataset, its folder.
                key.split('/').next().unwrap_or_default().to_owned()
            };
            let mut names: Vec<String> = listed.iter().map(|object| here(&object.key)).collect();
            names.dedup();
            names
        } else {
            let here = if folder.is_empty() { "." } else { folder };
            let failed = |error| Error::store("cannot list the folder").caused_by(error).at(here);
            let mut names = Vec::new();
            for entry in std::fs::read_dir(here).map_err(failed)? {
                names.extend(entry.map_err(failed)?.file_name().into_string());
            }
            names
        };
        let mut found: Vec<String> =
            names.into_iter().filter(|name| matches(pattern.as_bytes(), name.as_bytes())).collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            return Err(Error::not_found("no file has such a name").at(path));
        }
        let whole = |name: String| match path.contains('/') {
            true => format!("{folder}/{name}"),
            false => name,
        };
        Ok(found.into_iter().map(whole).collect())
    }

    /// The name of each input's sample, where it is given.
    fn names(&self, inputs: &[String]) -> Result<Vec<Option<String>>> {
        let Some(path) = &self.samples else { return Ok(vec![None; inputs.len()]) };
        let text = self.stores.read_text(path)?;
        names_in(&text, inputs).map_err(|error| error.at(path))
    }
}

/// The name of each input's sample that a file of `--samples` tells.
fn names_in(text: &str, inputs: &[String]) -> Result<Vec<Option<String>>> {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    let pairs: Vec<(&str, Option<&str>)> = lines
        .map(|line| match line.split_once('\t') {
            Some((input, name)) => (input, Some(name)),
            None => (line, None),
        })
        .collect();
    let forms = "write a name a line for all inputs, or input, tab and name on each line";
    let named = pairs.iter().filter(|(_, name)| name.is_some()).count();
    if named == 0 {
        if pairs.len() != inputs.len() {
            return Err(Error::input("the file has not one name for each input")
                .expected(format!("{} lines", inputs.len()))
                .found(format!("{} lines", pairs.len()))
                .help(forms));
        }
        return Ok(pairs.into_iter().map(|(name, _)| Some(name.to_owned())).collect());
    }
    if let Some((line, _)) = pairs.iter().find(|(_, name)| name.is_none()) {
        return Err(Error::input(format!("some lines have a tab, but not {line:?}")).help(forms));
    }
    let mut by_input: HashMap<&str, &str> = HashMap::new();
    for (input, name) in pairs {
        if !inputs.iter().any(|of| of == input || file_name(of) == input) {
            return Err(Error::input(format!("{input:?} is none of the inputs"))
                .help("write inputs as on the command line, or their names without folders"));
        }
        if let Some(other) = by_input.insert(input, name.unwrap_or_default()) {
            return Err(Error::input(format!("{input:?} has two names"))
                .found(format!("{other:?} and {:?}", name.unwrap_or_default())));
        }
    }
    let name = |input: &String| {
        let name = by_input.get(input.as_str()).or_else(|| by_input.get(file_name(input)));
        name.map(|&name| name.to_owned())
    };
    Ok(inputs.iter().map(name).collect())
}

fn file_name(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether an input is a PAF dataset and no file.
fn is_dataset(location: &str) -> bool {
    location.trim_end_matches('/').ends_with(".paf") || Path::new(location).is_dir()
}

/// Whether `*` and `?` of a pattern can stand for what a name has in their place.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|taken| matches(rest, &name[taken..])),
        (Some((b'?', rest)), Some((_, tail))) => matches(rest, tail),
        (Some((letter, rest)), Some((other, tail))) => letter == other && matches(rest, tail),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_names_of_samples_are_told_in_two_forms_and_never_guessed() {
        let inputs = ["x/a.bam".to_owned(), "b.bam".to_owned()];
        let names = |text: &str| names_in(text, &inputs);
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(names("A\r\nB b\n\n").unwrap(), [some("A"), some("B b")]);
        assert_eq!(names("b.bam\tB\na.bam\tA\n").unwrap(), [some("A"), some("B")]);
        assert_eq!(names("x/a.bam\tA\n").unwrap(), [some("A"), None]);
        for (text, what) in [
            ("", "not one name for each"),
            ("A\n", "not one name for each"),
            ("A\nB\nC\n", "not one name for each"),
            ("a.bam\tA\nB\n", "\"B\""),
            ("a.bam\tA\nc.bam\tC\n", "\"c.bam\" is none of the inputs"),
            ("a.bam\tA\na.bam\tB\n", "\"a.bam\" has two names"),
        ] {
            let error = names(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn test_patterns_match_as_a_shell_does() {
        for (pattern, name, is_match) in [
            ("sample_*.bam", "sample_12.bam", true),
            ("sample_*.bam", "sample_.bam", true),
            ("sample_*.bam", "sample_1.bam.bai", false),
            ("s?.bam", "s1.bam", true),
            ("s?.bam", "s.bam", false),
            ("*a*b", "xxaxxb", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), is_match, "{pattern} {name}");
        }
    }
}

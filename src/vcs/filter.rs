//! Which records of a dataset an expression finds.

use std::collections::BTreeMap;

use super::expression::{Dictionary, Expression, Outcome, ReadList, Record};
use super::index::Quality;
use super::needs::{Fields, Needs};
use super::plain::PlainLines;
use super::read::{GroupId, Loaded, QueryStats, Reader};
use crate::error::Result;

/// An expression, and whether what it finds is kept or left out.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: Expression,
    exclude: bool,
}

impl Filter {
    /// Of an expression on the fields of a dataset and on `samples` of it, or all. `read` gives the
    /// text of a file that it names.
    ///
    /// # Errors
    ///
    /// As [`Expression::parse`].
    pub fn new(
        text: &str,
        exclude: bool,
        reader: &Reader,
        samples: Option<&[usize]>,
        read: &ReadList<'_>,
    ) -> Result<Self> {
        let dictionary = Dictionary::new(reader.schema(), samples);
        Ok(Self { expression: Expression::parse(text, &dictionary, read)?, exclude })
    }

    /// Whether it chooses samples of the records that it keeps.
    pub(super) fn chooses_samples(&self) -> bool {
        !self.exclude && self.expression.is_of_samples()
    }

    /// Whether it counts alleles.
    pub(super) fn counts_alleles(&self) -> bool {
        self.expression.asked().alleles
    }

    /// What is to be read of the records; `samples` are those that the expression is on.
    pub(super) fn needs(&self, samples: Vec<usize>, with_genotypes: bool) -> Needs {
        let mut asked = self.expression.asked().clone();
        if asked.alleles && with_genotypes {
            asked.format.insert("GT".to_owned());
        }
        // Lines have END of their own.
        asked.columns.extend(["CHROM", "POS", "END"].map(str::to_owned));
        Needs {
            fixed: Fields::Some(asked.columns),
            text: true,
            info: Fields::Some(asked.info),
            samples: if asked.format.is_empty() { Vec::new() } else { samples },
            format: Fields::Some(asked.format),
        }
    }

    /// Whether the columns alone tell all that is asked for: nothing of it is kept as text, and what
    /// is missing need not be told from what is not there.
    fn columns_tell_all(&self, reader: &Reader, needs: &Needs) -> bool {
        let (schema, details) = (reader.schema(), reader.details());
        let are_all_typed = |prefix: &str, fields: &Fields| match fields {
            Fields::All => false,
            Fields::Some(keys) => {
                keys.iter().all(|key| !details.exceptions.contains_key(&format!("{prefix}{key}")))
            }
        };
        details.statistics.lines_kept_whole == 0
            && !details.exceptions.contains_key("QUAL")
            && !self.expression.asked().absence
            && !needs.info.has("END")
            && are_all_typed("INFO/", &needs.info)
            && are_all_typed("FORMAT/", &needs.format)
            && (needs.format == Fields::none() || schema.has_blocks())
    }

    /// Whether a row group may have what is looked for.
    pub(super) fn may_be_in(&self, quality: &Quality) -> bool {
        let may = self.expression.may(quality);
        if self.exclude { may.fail } else { may.hold }
    }

    /// Whether a record is kept.
    ///
    /// # Errors
    ///
    /// As [`Expression::test`].
    pub fn keeps(&self, record: &Record<'_>) -> Result<bool> {
        Ok(self.expression.test(record)?.site != self.exclude)
    }

    /// Whether a record is kept, and which of its samples: all where the expression does not tell, or
    /// what it holds for is left out.
    ///
    /// # Errors
    ///
    /// As [`Expression::test`].
    pub fn keeps_samples(&self, record: &Record<'_>) -> Result<Outcome> {
        let outcome = self.expression.test(record)?;
        Ok(match self.exclude {
            false => outcome,
            true => Outcome { site: !outcome.site, samples: None },
        })
    }

    /// The rows of a row group that are kept.
    fn rows(&self, loaded: &Loaded, needs: &Needs) -> Result<Vec<usize>> {
        let mut rows = Vec::new();
        let mut line = Vec::new();
        let plain = if needs.text { None } else { Some(PlainLines::new(loaded, needs)?) };
        for &row in &loaded.rows {
            line.clear();
            match &plain {
                Some(plain) => plain.push(row, &mut line)?,
                None => loaded.push_line(row, &mut line)?,
            }
            if self.keeps(&Record::new(&line))? {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// The rows of a dataset that are kept; `needs` as it gives them.
    ///
    /// # Errors
    ///
    /// As [`Reader::scan`] and [`Expression::test`].
    pub(super) fn find(
        &self,
        reader: &Reader,
        mut needs: Needs,
        threads: usize,
        max_bytes: Option<u64>,
    ) -> Result<(BTreeMap<GroupId, Vec<usize>>, QueryStats)> {
        if self.columns_tell_all(reader, &needs) {
            needs.text = false;
            if let Fields::Some(columns) = &mut needs.fixed {
                columns.remove("END");
            }
        }
        let mut found = BTreeMap::new();
        let stats = reader.scan(
            &needs,
            &|quality| self.may_be_in(quality),
            threads,
            max_bytes,
            |loaded| Ok((loaded.group, self.rows(loaded, &needs)?)),
            |(group, rows)| {
                if !rows.is_empty() {
                    found.insert(group, rows);
                }
                Ok(())
            },
        )?;
        let records = found.values().map(|rows| rows.len() as u64).sum();
        Ok((found, QueryStats { records, ..stats }))
    }
}

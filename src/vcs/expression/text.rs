//! Texts of a record.

use std::borrow::Cow;

use super::eval::Texts;
use super::node::{Class, Elements, Textual};
use super::record::{Record, alleles};

/// The texts that a part of an expression stands for.
pub(super) fn texts<'r>(textual: &'r Textual, record: &Record<'r>) -> Texts<'r> {
    match textual {
        Textual::Constant(text) => Texts::Site(Some(Cow::Borrowed(text.as_bytes()))),
        Textual::Chrom => Texts::Site(Some(Cow::Borrowed(record.chrom()))),
        Textual::Ref => Texts::Site(Some(Cow::Borrowed(record.reference()))),
        Textual::Alt(elements) => Texts::Site(Some(match elements {
            Elements::All => Cow::Borrowed(record.alternate()),
            Elements::One(at) => Cow::Borrowed(record.alternates().nth(*at).unwrap_or(b".")),
            listed => chosen(record.alternate(), listed).unwrap_or(Cow::Borrowed(b".")),
        })),
        Textual::Info { key, declaration, elements } => {
            let value = record.info(key).flatten().filter(|text| !text.is_empty());
            let elements = if declaration.is_single { &Elements::All } else { elements };
            Texts::Site(value.and_then(|text| chosen(text, elements)))
        }
        Textual::Format { key, elements, .. } => Texts::Samples(record.format(key).map(|texts| {
            texts
                .into_iter()
                .map(|text| chosen(text, elements).unwrap_or(Cow::Borrowed(b".")))
                .collect()
        })),
        Textual::Genotype { class, .. } => Texts::Samples(record.format("GT").map(|texts| {
            texts.into_iter().map(|text| Cow::Borrowed(in_class(text, *class))).collect()
        })),
    }
}

/// The values of a list that are asked for, if there are any.
fn chosen<'r>(text: &'r [u8], elements: &Elements) -> Option<Cow<'r, [u8]>> {
    if *elements == Elements::All {
        return Some(Cow::Borrowed(text));
    }
    let mut items = text.split(|&byte| byte == b',').enumerate();
    if let Elements::One(at) = elements {
        return items.nth(*at).map(|(_, item)| Cow::Borrowed(item));
    }
    let kept: Vec<&[u8]> =
        items.filter(|(at, _)| elements.has(*at)).map(|(_, item)| item).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join(&b',')))
}

/// The word for a genotype.
fn in_class(text: &[u8], class: Class) -> &[u8] {
    if class == Class::Text {
        return text;
    }
    let (mut ploidy, mut has_ref, mut is_het, mut before) = (0, false, false, None);
    for allele in alleles(text) {
        let Some(allele) = allele else {
            return if class == Class::Presence { b"mis" } else { b"." };
        };
        has_ref |= allele == 0;
        is_het |= before.is_some_and(|before| before != allele);
        before = Some(allele);
        ploidy += 1;
    }
    match class {
        Class::Presence if has_ref && !is_het => b"ref",
        Class::Presence => b"alt",
        Class::Zygosity if ploidy == 1 => b"hap",
        Class::Zygosity if is_het => b"het",
        Class::Zygosity => b"hom",
        _ => match (ploidy, is_het, has_ref) {
            (1, _, true) => b"r",
            (1, _, false) => b"a",
            (_, false, true) => b"rr",
            (_, false, false) => b"aa",
            (_, true, true) => b"ra",
            (_, true, false) => b"aA",
        },
    }
}

//! Alleles: bases, symbols, breakends, and the same change in other words.

/// A record, to be compared with those that follow.
pub(super) struct Recent<'l> {
    pub(super) position: i64,
    pub(super) end: i64,
    pub(super) reference: &'l [u8],
    pub(super) alt: &'l [u8],
}

impl<'l> Recent<'l> {
    /// Whether both have an alternative in common, in whatever words.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.alleles().any(|one| other.alleles().any(|two| one == two))
    }

    /// Each alternative with its position and bases, without what it shares with the reference.
    fn alleles(&self) -> impl Iterator<Item = (i64, &'l [u8], &'l [u8])> {
        let (position, reference) = (self.position, self.reference);
        let alts = self.alt.split(|&byte| byte == b',').filter(|alt| *alt != b"." && *alt != b"*");
        alts.map(move |alt| {
            let most = reference.len().min(alt.len()).saturating_sub(1);
            let (one, two) = (reference.iter().rev(), alt.iter().rev());
            let end = one.zip(two).take(most).take_while(|(a, b)| a == b).count();
            let (reference, alt) = (&reference[..reference.len() - end], &alt[..alt.len() - end]);
            let most = reference.len().min(alt.len()).saturating_sub(1);
            let start = reference.iter().zip(alt).take(most).take_while(|(a, b)| a == b).count();
            (position.saturating_add(start as i64), &reference[start..], &alt[start..])
        })
    }
}

/// A base as REF and ALT may have it.
pub(super) fn is_base(byte: u8) -> bool {
    matches!(byte, b'A' | b'C' | b'G' | b'T' | b'N' | b'a' | b'c' | b'g' | b't' | b'n')
}

/// A contig of an assembly file, as in `<ctg1>`.
pub(super) fn is_assembly(chrom: &[u8]) -> bool {
    symbol_of(chrom).is_some_and(|name| name.iter().all(|byte| byte.is_ascii_graphic()))
}

/// The name of a symbolic allele.
pub(super) fn symbol_of(allele: &[u8]) -> Option<&[u8]> {
    let name = allele.strip_prefix(b"<")?.strip_suffix(b">")?;
    let is_name = !name.is_empty() && !name.iter().any(|byte| b"<> ".contains(byte));
    is_name.then_some(name)
}

/// `*`, a breakend, a single breakend, or bases before a contig of an assembly file.
pub(super) fn is_other_allele(allele: &[u8]) -> bool {
    let are_bases = |text: &[u8]| !text.is_empty() && text.iter().all(|&byte| is_base(byte));
    match allele {
        b"*" => true,
        [b'.', bases @ ..] | [bases @ .., b'.'] => are_bases(bases),
        [bases @ .., b'>'] if bases.first().is_some_and(|&byte| is_base(byte)) => {
            let at = bases.iter().position(|&byte| byte == b'<');
            at.is_some_and(|at| are_bases(&bases[..at]) && at + 1 < bases.len())
        }
        _ => is_breakend(allele),
    }
}

/// `t[p[`, `t]p]`, `]p]t` or `[p[t`, where `p` is a contig, a colon and a position.
fn is_breakend(allele: &[u8]) -> bool {
    let is_bracket = |byte: &u8| matches!(byte, b'[' | b']');
    let Some(first) = allele.iter().position(is_bracket) else { return false };
    let bracket = allele[first];
    let Some(length) = allele[first + 1..].iter().position(is_bracket) else {
        return false;
    };
    let last = first + 1 + length;
    let (before, place, after) = (&allele[..first], &allele[first + 1..last], &allele[last + 1..]);
    let are_bases = |text: &[u8]| text.iter().all(|&byte| is_base(byte) || byte == b'.');
    let colon = place.iter().rposition(|&byte| byte == b':');
    allele[last] == bracket
        && before.is_empty() != after.is_empty()
        && are_bases(before)
        && are_bases(after)
        && colon.is_some_and(|at| {
            at > 0 && at + 1 < place.len() && place[at + 1..].iter().all(u8::is_ascii_digit)
        })
}

//! The header: lines, declarations, names of columns.

use std::collections::HashSet;

use super::reserved::{self, Reserved};
use super::value::{Count, Type};
use super::{Kind, Odd};

/// A structured line.
pub(super) struct Structured<'a> {
    /// Keys and values; whether a value stood in quotes.
    pub(super) pairs: Vec<(&'a str, &'a str, bool)>,
    /// Whether it ends as it should, in the angle bracket that closes it.
    pub(super) is_whole: bool,
}

impl<'a> Structured<'a> {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(name, ..)| *name == key).map(|&(_, value, _)| value)
    }

    /// Reads what stands between angle brackets, the opening one left out.
    pub(super) fn parse(body: &'a str) -> Self {
        let mut found = Self { pairs: Vec::new(), is_whole: false };
        let mut rest = body;
        loop {
            let Some(equals) =
                rest.find(['=', ',', '>', '"']).filter(|&at| rest[at..].starts_with('='))
            else {
                return found;
            };
            let (key, value) = (&rest[..equals], &rest[equals + 1..]);
            let quoted = value.strip_prefix('"');
            let end = match quoted {
                Some(text) => closing_quote(text).map(|end| end + 2),
                None if value.starts_with('[') => value.find(']').map(|end| end + 1),
                None => plain_end(value),
            };
            let Some(end) = end else { return found };
            let text = quoted.map_or(&value[..end], |text| &text[..end - 2]);
            found.pairs.push((key, text, quoted.is_some()));
            match value[end..].strip_prefix(',') {
                Some(after) => rest = after,
                None => {
                    found.is_whole = &value[end..] == ">";
                    return found;
                }
            }
        }
    }
}

/// Where a value without quotes ends: at a comma or an angle bracket that is not of a pair.
fn plain_end(value: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if depth > 0 => depth -= 1,
            b'>' => return Some(at),
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// The version, as in `VCFv4.3`, if it is one that there is.
pub(super) fn version(header: &[u8]) -> Option<u32> {
    let line = header.split(|&byte| byte == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.strip_prefix(b"##fileformat=VCFv4.")? {
        [minor @ b'1'..=b'5'] => Some(u32::from(minor - b'0')),
        _ => None,
    }
}

/// Looks at all lines of a header.
pub(super) fn check(header: &[u8], odd: &mut Odd) {
    let version = version(header);
    let mut seen = HashSet::new();
    for (line, number) in header.split_inclusive(|&byte| byte == b'\n').zip(1..) {
        let bytes = line.strip_suffix(b"\n").unwrap_or(line);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let mut add = |kind: Kind| odd.add(kind, number, 1, bytes);
        if number == 1 && version.is_none() {
            add(Kind::FileFormat);
        }
        let text = String::from_utf8_lossy(bytes);
        if std::str::from_utf8(bytes).is_err() {
            add(Kind::Utf8);
        }
        if text.starts_with("#CHROM") {
            let mut names = text.split('\t').skip(8);
            let is_right =
                names.next().is_none_or(|name| name == "FORMAT" && text.matches('\t').count() > 8)
                    && names.all(|name| !name.trim().is_empty())
                    && text.trim_end().len() == text.len();
            if !is_right {
                add(Kind::ColumnNames);
            }
            continue;
        }
        let line = text.strip_prefix("##").and_then(|line| line.split_once('='));
        match line {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => match value
                .strip_prefix('<')
            {
                Some(">") => add(Kind::HeaderLine),
                Some(body) if key != "pedigreeDB" => {
                    check_structured(key, &Structured::parse(body), version, &mut seen, &mut add);
                }
                _ => check_url(key, value, &mut add),
            },
            _ => add(Kind::HeaderLine),
        }
    }
}

fn check_url(key: &str, value: &str, add: &mut impl FnMut(Kind)) {
    if !matches!(key, "assembly" | "pedigreeDB") {
        return;
    }
    let value = value.trim_start_matches('<').trim_end_matches('>');
    if let Some((_, address)) = value.split_once("://") {
        let host = address.split([':', '/']).next().unwrap_or_default();
        if host.is_empty() || (host.bytes().all(|byte| byte.is_ascii_digit()) && host.len() < 8) {
            add(Kind::Url);
        }
    }
}

fn check_structured(
    class: &str,
    line: &Structured<'_>,
    version: Option<u32>,
    seen: &mut HashSet<(String, String)>,
    add: &mut impl FnMut(Kind),
) {
    if !line.is_whole {
        add(Kind::HeaderLine);
    }
    let is_field = matches!(class, "INFO" | "FORMAT");
    let is_declared = is_field || matches!(class, "FILTER" | "ALT" | "contig" | "META" | "SAMPLE");
    let needs_id = is_declared || (class == "PEDIGREE" && version.unwrap_or(3) >= 3);
    let is_missing = |key: &str| line.get(key).is_none();
    let lacks = (needs_id && line.get("ID").is_none_or(str::is_empty))
        || (is_field && ["Number", "Type", "Description"].into_iter().any(is_missing))
        || (class == "META" && ["Number", "Type", "Values"].into_iter().any(is_missing));
    if lacks && line.is_whole {
        add(Kind::HeaderKey);
    }
    let place = |key: &str| line.pairs.iter().position(|(name, ..)| *name == key);
    let order = ["ID", "Number", "Type", "Description"].into_iter().filter_map(place);
    // Of META the specification itself writes Type first.
    let is_ordered = match class {
        "META" => place("ID").is_none_or(|at| at == 0),
        _ => order.is_sorted(),
    };
    if is_declared && !(is_ordered && place("ID").is_none_or(|at| at == 0)) {
        add(Kind::HeaderOrder);
    }
    check_quotes(class, line, version, add);
    let id = line.get("ID").unwrap_or_default();
    if !id.is_empty() && is_declared && !seen.insert((class.to_owned(), id.to_owned())) {
        add(Kind::DeclaredTwice);
    }
    let is_plain =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let has_bad_name = match class {
        "contig" | "ALT" | "INFO" | "FORMAT" | "FILTER" => {
            id.contains(|c: char| c.is_whitespace() || "<>".contains(c))
        }
        "SAMPLE" => !is_plain(id),
        "PEDIGREE" => line.pairs.iter().any(|(_, value, quoted)| !quoted && !is_plain(value)),
        _ => false,
    };
    if has_bad_name {
        add(Kind::HeaderId);
    }
    let count = line.get("Number").map(Count::parse);
    let kind = line.get("Type").map(Type::parse);
    if is_field || matches!(class, "ALT" | "META") {
        let local = matches!(line.get("Number"), Some("P" | "LA" | "LR" | "LG" | "M"));
        let is_flag_of_some =
            kind == Some(Some(Type::Flag)) && count != Some(Some(Count::Fixed(0)));
        if count == Some(None) || (local && class != "FORMAT") || (is_field && is_flag_of_some) {
            add(Kind::Number);
        }
        if kind == Some(None) || (class == "FORMAT" && kind == Some(Some(Type::Flag))) {
            add(Kind::Type);
        }
    }
    if class == "ALT" {
        // Any name will do, but the kind before a colon is one of few.
        let kind = id.split_once(':').map(|(kind, _)| kind);
        if kind.is_some_and(|kind| !reserved::SYMBOLIC.contains(&kind)) {
            add(Kind::SymbolicKind);
        }
    }
    if let (true, Some(Some(count)), Some(Some(kind))) = (is_field, count, kind) {
        let list = if class == "INFO" { reserved::INFO } else { reserved::FORMAT };
        // Depths of alleles are reserved from VCF 4.3 on.
        let is_known = |field: &Reserved| version.unwrap_or(3) >= 3 || !field.id.starts_with("AD");
        let is_otherwise = |field: &Reserved| {
            field.id == id
                && is_known(field)
                && !(field.count == count && field.types.contains(&kind))
        };
        if list.iter().any(is_otherwise) {
            add(Kind::Reserved);
        }
    }
}

fn check_quotes(
    class: &str,
    line: &Structured<'_>,
    version: Option<u32>,
    add: &mut impl FnMut(Kind),
) {
    let is_text = |key: &str| matches!(key, "Description" | "Source" | "Version" | "URL" | "md5");
    let is_wrong = |&(key, value, quoted): &(&str, &str, bool)| match key {
        "Description" => !quoted,
        "Values" if class == "META" => !value.starts_with('['),
        // VCF 4.3 lets any value stand in quotes.
        key => {
            quoted && version.is_some_and(|minor| minor < 3) && class == "SAMPLE" && !is_text(key)
        }
    };
    if line.pairs.iter().any(is_wrong) {
        add(Kind::Quotes);
    }
}

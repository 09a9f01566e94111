//! How a file writes its records.

use serde::{Deserialize, Serialize};

use super::frame::{Frame, Framed, Kind, is_base};
use crate::error::{Error, Result};

/// How records are written; what a record deviates in is kept as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Style {
    /// Lines end in carriage return and line feed.
    pub crlf: bool,
    /// The header is repeated behind `+`.
    pub plus_header: bool,
    /// Bases and qualities are wrapped at so many a line; 0 for one line.
    pub wrap: u32,
    /// What separates the name from the description: a blank or a tab.
    pub separator: u8,
    /// FASTA, which has no qualities.
    pub fasta: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { crlf: false, plus_header: false, wrap: 0, separator: b' ', fasta: false }
    }
}

/// The parts of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The header up to its first blank or tab.
    pub name: &'a [u8],
    /// What follows that.
    pub description: Option<&'a [u8]>,
    /// The bases.
    pub bases: &'a [u8],
    /// The qualities as FASTQ writes them; none in FASTA.
    pub qualities: &'a [u8],
}

/// Splits a header at its first blank or tab.
pub(crate) fn split_header(header: &[u8]) -> (&[u8], Option<(u8, &[u8])>) {
    match memchr::memchr2(b' ', b'\t', header) {
        Some(at) => (&header[..at], Some((header[at], &header[at + 1..]))),
        None => (header, None),
    }
}

impl Style {
    /// The style of a file's first record.
    pub fn of(text: &[u8], frame: &Frame, kind: Kind) -> Self {
        let slice = |(start, end): (u32, u32)| &text[start as usize..end as usize];
        let header = slice((frame.start + 1, frame.header_end));
        let separator = split_header(header).1.map_or(b' ', |(separator, _)| separator);
        let bases = slice(frame.bases);
        let first = bases.iter().position(|&byte| matches!(byte, b'\r' | b'\n'));
        let is_name_there = !header.is_empty() && slice(frame.plus) == header;
        Self {
            crlf: text.get(frame.header_end as usize) == Some(&b'\r'),
            plus_header: kind == Kind::Fastq && is_name_there,
            wrap: first.map_or(0, |width| width as u32),
            separator,
            fasta: kind == Kind::Fasta,
        }
    }

    /// Writes a record.
    #[inline]
    pub fn push(&self, parts: &Parts<'_>, out: &mut Vec<u8>) {
        let end: &[u8] = if self.crlf { b"\r\n" } else { b"\n" };
        let push_header = |out: &mut Vec<u8>| {
            out.extend_from_slice(parts.name);
            if let Some(description) = parts.description {
                out.push(self.separator);
                out.extend_from_slice(description);
            }
        };
        out.push(if self.fasta { b'>' } else { b'@' });
        push_header(out);
        out.extend_from_slice(end);
        self.push_lines(parts.bases, end, out);
        if self.fasta {
            return;
        }
        out.push(b'+');
        if self.plus_header {
            push_header(out);
        }
        out.extend_from_slice(end);
        self.push_lines(parts.qualities, end, out);
    }

    #[inline]
    fn push_lines(&self, line: &[u8], end: &[u8], out: &mut Vec<u8>) {
        if self.wrap == 0 || line.is_empty() {
            out.extend_from_slice(line);
            out.extend_from_slice(end);
            return;
        }
        for piece in line.chunks(self.wrap as usize) {
            out.extend_from_slice(piece);
            out.extend_from_slice(end);
        }
    }

    /// Takes record `index` apart, with bases and qualities that are wrapped joined in `joined`, and
    /// says whether this style writes it as it was.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::error::ErrorKind::Input) with record and line for what FASTQ does not allow.
    pub fn parse<'a>(
        &self,
        framed: &'a Framed,
        index: usize,
        joined: &'a mut [Vec<u8>; 2],
        scratch: &mut Vec<u8>,
    ) -> Result<(Parts<'a>, bool)> {
        let frame = &framed.frames[index];
        let slice = |(start, end): (u32, u32)| &framed.text[start as usize..end as usize];
        let header = slice((frame.start + 1, frame.header_end));
        let (name, rest) = split_header(header);
        let plus = slice(frame.plus);
        if !plus.is_empty() && plus != header {
            let error = Error::input("the text behind '+' is not the read's header")
                .expected(format!("'+' alone, or {:?}", String::from_utf8_lossy(header)))
                .found(format!("{:?}", String::from_utf8_lossy(plus)))
                .help("repair or remove this record");
            return Err(framed.error(index, frame.plus.0, error));
        }
        let [joined_bases, joined_qualities] = joined;
        let (bases, qualities) = if frame.is_plain {
            (slice(frame.bases), slice(frame.qualities))
        } else {
            for (out, range) in
                [(&mut *joined_bases, frame.bases), (&mut *joined_qualities, frame.qualities)]
            {
                out.clear();
                out.extend(slice(range).iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
            }
            (joined_bases.as_slice(), joined_qualities.as_slice())
        };
        // Without a branch per byte, as nearly all are good.
        let bad_base = bases.iter().fold(false, |bad, &byte| bad | !is_base(byte));
        if bad_base {
            let byte = bases.iter().copied().find(|&byte| !is_base(byte)).unwrap_or_default();
            let error = Error::input("the bases hold a character that is no base")
                .expected("letters, '.', '-' or '*'")
                .found(format!("{:?}", char::from(byte)))
                .help("repair or remove this record");
            return Err(framed.error(index, frame.bases.0, error));
        }
        let bad = qualities.iter().fold(false, |bad, &byte| bad | !(33..=126).contains(&byte));
        if bad {
            let is_bad = |byte: &u8| !(33..=126).contains(byte);
            let byte = qualities.iter().copied().find(is_bad).unwrap_or_default();
            let error = Error::input("the qualities hold a character that is no quality")
                .expected("characters from '!' to '~'")
                .found(format!("{:?}", char::from(byte)))
                .help("repair or remove this record");
            return Err(framed.error(index, frame.qualities.0, error));
        }
        let description = rest.map(|(_, text)| text);
        let parts = Parts { name, description, bases, qualities };
        let is_separated = rest.is_none_or(|(separator, _)| separator == self.separator);
        let is_written_so = is_separated
            && if frame.is_plain {
                let is_short = self.wrap == 0 || bases.len() <= self.wrap as usize;
                let has_header = !plus.is_empty() || (header.is_empty() && self.plus_header);
                frame.crlf == self.crlf && is_short && has_header == self.plus_header
            } else {
                scratch.clear();
                self.push(&parts, scratch);
                *scratch == slice((frame.start, frame.end))
            };
        Ok((parts, is_written_so))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::reads::Framer;

    fn parsed(text: &[u8]) -> Vec<(String, String, bool)> {
        let mut framer = Framer::new(Box::new(std::io::Cursor::new(text.to_vec())), "x").unwrap();
        let style = framer.style();
        let framed = framer.next(99, usize::MAX).unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let parse = |index: usize| {
            let (mut joined, mut scratch) = ([Vec::new(), Vec::new()], Vec::new());
            let (parts, is_so) = style.parse(&framed, index, &mut joined, &mut scratch).unwrap();
            (text(parts.name), text(parts.bases), is_so)
        };
        (0..framed.frames.len()).map(parse).collect()
    }

    #[test]
    fn test_header_is_split_at_its_first_blank_or_tab() {
        assert_eq!(split_header(b"a b\tc"), (&b"a"[..], Some((b' ', &b"b\tc"[..]))));
        assert_eq!(split_header(b"a\tb c"), (&b"a"[..], Some((b'\t', &b"b c"[..]))));
        assert_eq!(split_header(b"abc"), (&b"abc"[..], None));
        assert_eq!(split_header(b" "), (&b""[..], Some((b' ', &b""[..]))));
    }

    #[test]
    fn test_records_unlike_the_first_are_told() {
        let is_so = |text: &[u8]| {
            let parsed = parsed(text);
            parsed.iter().map(|(.., is_so)| *is_so).collect::<Vec<_>>()
        };
        let plain = b"@a x\nACGT\n+\nIIII\n";
        let odd: [&[u8]; 4] = [
            b"@b\tx\nA\n+\nI\n",
            b"@b\nA\n+b\nI\n",
            b"@b\r\nA\r\n+\r\nI\r\n",
            b"@b\nA\nC\n+\nI\nI\n",
        ];
        for record in odd {
            assert_eq!(is_so(&[plain, record, plain].concat()), [true, false, true]);
            // As the first, they set the style.
            assert!(is_so(record)[0]);
        }
    }

    #[test]
    fn test_wrapped_lines_are_joined_and_written_again() {
        let text = b">a\nACG\nTAC\nGT\n>b\nACGTA\n";
        let parsed = parsed(text);
        assert_eq!(parsed[0].1, "ACGTACGT");
        assert_eq!((parsed[0].2, parsed[1].2), (true, false));
        let style = Style { fasta: true, wrap: 3, ..Style::default() };
        let mut out = Vec::new();
        style.push(&Parts { name: b"a", bases: b"ACGTACGT", ..Parts::default() }, &mut out);
        assert_eq!(out, b">a\nACG\nTAC\nGT\n");
    }
}

//! Fuzz targets of VCF, expressions, and parts; see [`crate::fuzzing`].

use std::io::Cursor;
use std::sync::LazyLock;

use bytes::Bytes;

use super::column::View;
use super::expression::{Dictionary, Expression, Record};
use super::file::Footer;
use super::group::{Decoded, Group, Section};
use super::index::{self as pages, PageRef, Quality};
use super::infer;
use super::schema::Schema;
use super::sites::SiteView;
use super::text;
use crate::error::{Error, ErrorKind, Result};
use crate::fuzzing::Choices;
use crate::store::Input;

/// Some lines, the schema they lead to, and the row group they make.
pub(crate) const VCF: &str = "##fileformat=VCFv4.3\n##FILTER=<ID=q10,Description=\"x\">\n\
    ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
    ##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n\
    ##INFO=<ID=DB,Number=0,Type=Flag,Description=\"x\">\n\
    ##INFO=<ID=STR,Number=.,Type=String,Description=\"x\">\n\
    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n\
    ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"x\">\n\
    ##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"x\">\n\
    ##FORMAT=<ID=GL,Number=G,Type=Float,Description=\"x\">\n\
    #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\tC\n\
    1\t1\trs1;rs2\tA\tC\t30\tPASS\tDP=10;AF=0.1;STR=a,b;DB\tGT:DP:AD:GL\t0/1:5:3,4:-1,0,-2.5\t1|1:9:0,9:.\t./.:.:.:.\n\
    1\t2\t.\tA\tC,G\t.\t.\tDP=.;AF=0.5,.\tGT:DP\t0/0:1\t0|2:30\t1/2:7\n\
    1\t3\trs3\tA\t.\t29.50\tq10;s50\t.\tDP\t5\t6\t.\n\
    1\t4\trs4\tAT\tA,<DEL>\t1e3\tq10\tDP=16777217;STR=.;X=;DP=2\tGT:AD\t0:1,2,3\t1:4\t.:.\n";

struct Example {
    schema: Schema,
    group: Group,
    rows: usize,
}

static EXAMPLE: LazyLock<Example> = LazyLock::new(|| {
    let example = groups(VCF.as_bytes()).map(|mut groups| groups.remove(0));
    example.unwrap_or_else(|error| unreachable!("the example is well-formed: {error}"))
});

fn input(data: &[u8]) -> Input {
    Input { name: "x".into(), size: None, reader: Box::new(Cursor::new(data.to_vec())) }
}

/// Reads a VCF or BCF, and makes a row group of its lines, which checks that they come back.
fn groups(data: &[u8]) -> Result<Vec<Example>> {
    let mut lines = text::open(input(data))?;
    let mut section = Section { chrom: b"1".to_vec(), ..Section::default() };
    while section.len() < 100 {
        let Some(line) = lines.source.next_line()?.map(<[u8]>::to_vec) else { break };
        let (first, last) = lines.source.place(&line)?;
        section.push(&line, first, last, None);
    }
    let mut found = Vec::new();
    for most_columns in [64, 1] {
        let schema = infer::schema(&lines.declarations, Some(&section), false, most_columns);
        let group = Group::encode(&schema, &section)?;
        found.push(Example { schema, group, rows: section.len() });
    }
    Ok(found)
}

/// A VCF: its lines come back from the columns they are put into.
pub(crate) fn vcf(data: &[u8]) {
    if let Err(error) = groups(data) {
        assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
    }
}

static DICTIONARY: LazyLock<Dictionary> =
    LazyLock::new(|| Dictionary::of_header(VCF, ["A", "B", "C"].map(str::to_owned).to_vec()));

/// An expression of `-i`, and what it says of some records and of a row group.
pub(crate) fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = |name: &str| match name {
        "ids" => Ok("rs4 x\nrs9\n".to_owned()),
        "samples" => Ok("B\nC\n".to_owned()),
        _ => Err(Error::usage("no file")),
    };
    let Ok(expression) = Expression::parse(text, &DICTIONARY, &read) else { return };
    for line in VCF.lines().filter(|line| !line.starts_with('#')) {
        if let Err(error) = expression.test(&Record::new(line.as_bytes())) {
            assert_ne!(error.kind(), ErrorKind::Internal, "{text:?}: {error}");
        }
    }
    let _ = expression.may(&Quality { qual: Some((0.0, 50.0)), ..Quality::default() });
}

/// Pages of the index, uncompressed: what is read is written as it was, but for empty texts.
pub(crate) fn index(data: &[u8]) {
    let mut choices = Choices(data);
    let kind = choices.byte();
    let mut coded = vec![0];
    crate::codec::varint::put(&mut coded, choices.0.len() as u64);
    coded.extend_from_slice(choices.0);
    let page = PageRef { offset: 0, size: coded.len() as u32, crc32c: crc32c::crc32c(&coded) };
    let again = |bytes: &[u8]| PageRef {
        offset: 0,
        size: bytes.len() as u32,
        crc32c: crc32c::crc32c(bytes),
    };
    match kind % 4 {
        0 => {
            let _ = pages::decode_spatial(&page, &coded);
        }
        1 => {
            let _ = pages::decode_quality(&page, &coded);
        }
        2 => {
            if let Ok(layout) = pages::decode_layout(&page, &coded) {
                let bytes = pages::encode_layout(&layout);
                let read = pages::decode_layout(&again(&bytes), &bytes).map_err(|e| e.to_string());
                assert_eq!(read, Ok(layout));
            }
        }
        _ => {
            if let Ok(directory) = serde_json::from_slice::<pages::Directory>(choices.0) {
                let _ = directory.read();
            }
            let _ = Schema::from_json(choices.0);
        }
    }
}

/// The residuals of a row group, whose columns are as they were.
pub(crate) fn residual(data: &[u8]) {
    let Example { schema, group, rows } = &*EXAMPLE;
    let mut choices = Choices(data);
    let (sites, calls) = (choices.slice(), choices.0);
    let views = |arrays: &[arrow_array::ArrayRef]| -> Result<Vec<Option<View>>> {
        arrays.iter().map(|array| View::of(array).map(Some)).collect()
    };
    let read = || -> Result<()> {
        let columns = views(&group.sites[schema.first_sample_column()..])?;
        let decoded = Decoded {
            rows: *rows,
            sites: views(&group.sites)?,
            residual: Some(SiteView::decode(sites, *rows, schema)?),
            blocks: vec![Some(Decoded::block(schema, columns, calls, *rows, 3)?)],
        };
        let mut line = Vec::new();
        for row in 0..*rows {
            let _ = decoded.push_line(row, schema, &[0, 1, 2], &mut line);
            let _ = decoded.push_line(row, schema, &[1], &mut line);
        }
        Ok(())
    };
    let _ = read();
}

/// The metadata of a Parquet file, and the row groups it speaks of.
pub(crate) fn parquet(data: &[u8]) {
    let mut choices = Choices(data);
    let footer = choices.slice();
    let bytes = Bytes::copy_from_slice(choices.0);
    let Ok(footer) = Footer::parse(footer) else { return };
    let roots: Vec<usize> = (0..8).collect();
    for group in 0..2 {
        let parts = footer.ranges(group, &roots).into_iter().filter_map(|(_, range)| {
            let (start, end) =
                (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
            (start <= end && end <= bytes.len()).then(|| (range, bytes.slice(start..end)))
        });
        let _ = footer.read(group, &roots, parts.collect());
    }
}

#[cfg(test)]
pub(crate) mod seeds {
    use super::*;
    use crate::codec::cursor::Cursor as Bytes;
    use crate::codec::{self, Codec};
    use crate::vcs::PageCompression;
    use crate::vcs::file::{FileBuilder, Kind};
    use crate::vcs::index::{FileLayout, Layout};

    fn raw(coded: &[u8]) -> Vec<u8> {
        let mut cursor = Bytes::new(coded, "page");
        let codec = Codec::from_u8(cursor.byte().unwrap()).unwrap();
        let size = cursor.number().unwrap();
        let left = cursor.left();
        codec::decode(codec, cursor.take(left).unwrap(), size).unwrap()
    }

    pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
        let Example { schema, group, .. } = &*EXAMPLE;
        let mut all = Vec::new();
        let sites = &group.residuals[0];
        let length = (sites.len() as u16).to_le_bytes();
        all.push(("vcs_residual", [&length[..], sites, &group.residuals[1]].concat()));
        let kind = Kind::new(schema.site_columns(), PageCompression::default()).unwrap();
        let mut file = FileBuilder::new(&kind).unwrap();
        file.push(kind.encode(&group.sites).unwrap()).unwrap();
        let file = file.finish().unwrap();
        let footer = &file.bytes[file.footer.clone()];
        let length = (footer.len() as u16).to_le_bytes();
        all.push(("vcs_parquet", [&length[..], footer, &file.bytes].concat()));
        let layout = Layout {
            files: vec![FileLayout {
                path: "data/a.parquet".into(),
                footer: vec![1, 2, 3],
                checksums: file.checksums,
            }],
            exact: "_exact/a.bin".into(),
            sections: vec![vec![PageRef { offset: 1, size: 2, crc32c: 3 }]],
            digests: vec![[1; 32]],
        };
        let spatial = pages::encode_spatial(&[group.spatial, group.spatial]);
        let quality = pages::encode_quality(&[group.quality.clone(), Quality::default()]);
        let layout = pages::encode_layout(&layout);
        for (kind, page) in [(0, spatial), (1, quality), (2, layout)] {
            all.push(("vcs_index", [&[kind][..], &raw(&page)].concat()));
        }
        all.push(("vcs_index", [&[3][..], &schema.to_json().unwrap()].concat()));
        let directory = pages::Directory::new(&[pages::Part::default(), pages::Part::default()]);
        all.push(("vcs_index", [&[3][..], &serde_json::to_vec(&directory).unwrap()].concat()));
        all
    }
}

//! Fuzz targets of batches and their index; see [`crate::fuzzing`].

use super::batch::{Batch, Fields};
use super::index::{ChunkRef, parse_columns};
use super::plain::Shape;
use super::{compact as compact_layout, ids, ipc, plain as plain_layout};
use crate::codec::Effort;
use crate::fuzzing::{Choices, is_chosen};
use crate::records::reads::Style;

/// Pages of the index, and the head of a message.
pub(crate) fn index(data: &[u8]) {
    let mut choices = Choices(data);
    match choices.byte() % 4 {
        0 => {
            let mates = 1 + usize::from(choices.byte() & 1);
            if let Ok(chunk) = ChunkRef::parse(choices.0, mates) {
                let mut bytes = Vec::new();
                chunk.push(&mut bytes);
                assert_eq!(bytes, choices.0);
            }
        }
        1 => {
            let (batches, count) = (choices.number(), usize::from(choices.byte()));
            let _ = parse_columns(choices.0, batches, count);
        }
        2 => {
            let pages = 1 << (choices.byte() % 12);
            let wanted = u64::from(choices.byte()) << 56 | choices.number() as u64;
            let _ = ids::find(choices.0, pages, wanted, &mut Vec::new());
        }
        _ => {
            let head = choices.number() as u32;
            let _ = ipc::buffers(choices.0, head);
        }
    }
}

/// What a batch is decoded with: styles, fixed lengths, numbers, rows; then its buffers.
struct Given<'a> {
    styles: Vec<Style>,
    fixed: [u32; 2],
    has_numbers: bool,
    rows: usize,
    buffers: Vec<&'a [u8]>,
}

impl<'a> Given<'a> {
    fn of(data: &'a [u8], is_compact: bool) -> Self {
        let mut choices = Choices(data);
        let kind = choices.byte();
        let style = Style {
            crlf: kind & 1 != 0,
            plus_header: kind & 2 != 0,
            wrap: u32::from(kind & 4) * 10,
            fasta: kind & 8 != 0,
            ..Style::default()
        };
        let styles = vec![style; if kind & 16 != 0 { 2 } else { 1 }];
        let has_numbers = kind & 32 != 0;
        let fixed =
            if kind & 64 != 0 { [choices.byte().into(), choices.byte().into()] } else { [0; 2] };
        let mut rows = choices.number();
        if kind & 128 != 0 {
            rows = u32::MAX as usize - rows;
        }
        let shape = Shape { styles: &styles, fixed, has_numbers };
        let count = match is_compact {
            true => 3 * (1 + 6 * styles.len() + usize::from(has_numbers)),
            false => shape.buffer_count(),
        };
        // Of the compact layout, every third buffer says something.
        let buffers = (0..count)
            .map(|at| if is_compact && at % 3 != 2 { &[][..] } else { choices.slice() })
            .collect();
        Self { styles, fixed, has_numbers, rows, buffers }
    }

    fn shape(&self) -> Shape<'_> {
        Shape { styles: &self.styles, fixed: self.fixed, has_numbers: self.has_numbers }
    }
}

fn look(batch: &Batch) {
    let mut scratch = [Vec::new(), Vec::new()];
    for mate in 0..batch.mates() {
        let mut text = Vec::new();
        batch.push_file(mate, &mut text);
        for row in 0..batch.rows().min(10) {
            let _ = (batch.quality(row, mate), batch.length(row, mate));
            batch.push_text(row, mate, &mut scratch, &mut text);
        }
    }
}

/// A batch of the plain layout.
pub(crate) fn plain(data: &[u8]) {
    let given = Given::of(data, false);
    for fields in [Fields::TEXT, Fields::NAMES, Fields::TEXT.and(Fields::SCORES)] {
        let batch = plain_layout::batch(&given.buffers, given.rows, given.shape(), fields);
        if let Ok(batch) = batch {
            look(&batch);
        }
    }
}

/// A batch of the compact layout: what is decoded is encoded and decoded again.
pub(crate) fn compact(data: &[u8]) {
    let given = Given::of(data, true);
    let Ok(batch) = compact_layout::batch(&given.buffers, given.shape(), given.rows) else {
        return;
    };
    look(&batch);
    if is_chosen(data) {
        let again = compact_layout::message(batch.clone(), Effort::Fast).and_then(|message| {
            let buffers = ipc::buffers(&message.bytes, message.head)?;
            compact_layout::batch(&buffers, given.shape(), given.rows)
        });
        assert_eq!(again.map_err(|error| error.to_string()).as_ref(), Ok(&batch));
    }
}

#[cfg(test)]
pub(crate) mod seeds {
    use super::*;
    use crate::fuzzing::tests::FASTQ;
    use crate::records::reads::Framer;
    use crate::srf::index::{BatchRef, push_columns};

    fn pack(kind: u8, fixed: &[u8], rows: usize, buffers: &[&[u8]], step: usize) -> Vec<u8> {
        let mut out = [&[kind], fixed, &(rows as u16).to_le_bytes()].concat();
        for buffer in buffers.iter().skip(step - 1).step_by(step) {
            out.extend((buffer.len() as u16).to_le_bytes());
            out.extend_from_slice(buffer);
        }
        out
    }

    pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
        let reader = Box::new(std::io::Cursor::new(FASTQ.as_bytes().to_vec()));
        let framed = Framer::new(reader, "x").unwrap().next(10, 1 << 20).unwrap().unwrap();
        let mut batch = Batch::parse(&[framed], &[Style::default()]).unwrap();
        let rows = batch.rows();
        batch.mates[0].scores = (0..rows).map(|row| batch.quality(row, 0)).collect();
        let shape = Shape { styles: &[Style::default()], fixed: [0; 2], has_numbers: false };
        let mut all = Vec::new();
        for effort in [Effort::Fast, Effort::Archive] {
            let message = plain_layout::message(batch.clone(), shape, effort).unwrap();
            let buffers = ipc::buffers(&message.bytes, message.head).unwrap();
            all.push(("srf_plain", pack(0, &[], rows, &buffers, 1)));
            let head = (message.head as u16).to_le_bytes();
            all.push(("srf_index", [&[3][..], &head, &message.bytes].concat()));
            let message = compact_layout::message(batch.clone(), effort).unwrap();
            let buffers = ipc::buffers(&message.bytes, message.head).unwrap();
            all.push(("srf_compact", pack(0, &[], rows, &buffers, 3)));
        }
        let mut page = Vec::new();
        let batch =
            BatchRef { offset: 8, size: 90, head: 40, rows: 5, crc: 7, digests: vec![[1; 8]] };
        let chunk = ChunkRef { path: "a/b".into(), fixed: [0, 9], batches: vec![batch] };
        chunk.push(&mut page);
        all.push(("srf_index", [&[0, 0][..], &page].concat()));
        let mut page = Vec::new();
        push_columns(&[vec![(5, 6), (0, 0)], vec![(9, 9), (7, 7)]], &mut page);
        all.push(("srf_index", [&[1, 2, 0, 2][..], &page].concat()));
        let mut builder = ids::Builder::new(1);
        for name in 0..300_u64 {
            builder.push(ids::hash(&name.to_le_bytes()), name % 7).unwrap();
        }
        let (object, _) = builder.finish(7).unwrap();
        all.push(("srf_index", [&[2, 0, 1, 2, 3][..], &object].concat()));
        all
    }
}

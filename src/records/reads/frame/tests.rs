use super::*;

/// Gives a few bytes at a time, and then fails or ends.
struct Slow(Vec<u8>, usize, bool);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(self.1).min(buffer.len());
        if count == 0 && self.2 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0.drain(..count);
        Ok(count)
    }
}

fn framer(text: &[u8]) -> Result<Framer> {
    Framer::new(Box::new(Slow(text.to_vec(), 7, false)), "x.fastq")
}

fn all(text: &[u8], most: usize) -> Result<Vec<Framed>> {
    let mut framer = framer(text)?;
    std::iter::from_fn(|| framer.next(most, usize::MAX).transpose()).collect()
}

#[test]
fn test_records_are_cut_where_counts_say() {
    let text = b"@a\nACGT\n+\n@@@@\n@b x\nAC\nGT\n+b x\n@I\n+I\n@c\n\n+\n\n@d\r\nA\r\n+\r\nI\r\n";
    for most in 1..6 {
        let parts = all(text, most).unwrap();
        let frames: Vec<&Frame> = parts.iter().flat_map(|part| &part.frames).collect();
        assert_eq!(frames.iter().map(|frame| frame.length).collect::<Vec<_>>(), [4, 4, 0, 1]);
        let joined: Vec<u8> = parts.iter().flat_map(|part| part.text.to_vec()).collect();
        assert_eq!(joined, text);
        let numbers: Vec<u64> = parts.iter().map(|part| part.first_record).collect();
        assert_eq!(numbers, (0..4).step_by(most).collect::<Vec<_>>());
        let lines = [1, 5, 11, 15];
        parts.iter().for_each(|p| assert_eq!(p.first_line, lines[p.first_record as usize]));
    }
}

#[test]
fn test_what_is_no_record_is_refused_with_its_place() {
    for (text, place) in [
        (&b"@a\nA\n+\nI\nACGT\n"[..], "record 2, from line 5"),
        (b"@a\nACGT\n+\nII\n", "record 1, from line 1"),
        (b"@a\nA\n+\nI\n@b\nAC\n+\nIII\n@c\n", "record 2, from line 5"),
        (b"@a\nA\n+\nI\n@b\nA7\n+\nII\n", "record 2, from line 5"),
        (b"@a\nA\n+\nI\n@b\nAC\n", "record 2, from line 5"),
    ] {
        let error = all(text, 9).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains("x.fastq"), "{error}");
    }
    assert!(framer(b"").is_err() && framer(b"ACGT\n").is_err());
}

#[test]
fn test_records_before_a_failure_are_counted() {
    let text = b"@a\nACGT\n+\nIIII\n".repeat(60_000);
    let mut framer = Framer::new(Box::new(Slow(text, 1 << 16, true)), "x.fastq").unwrap();
    let mut records = 0;
    let error = loop {
        match framer.next(1000, usize::MAX) {
            Ok(framed) => records += framed.unwrap().frames.len(),
            Err(error) => break error.to_string(),
        }
    };
    // Whether the last record is whole is not known.
    assert_eq!(records, 59_000);
    assert!(error.contains("after record 59999, in the record from line 239997"), "{error}");
}

#[test]
fn test_pairs_by_turns_are_taken_apart() {
    let mut reads = framer(b"@a\nA\n+\nI\n@a\nC\n+\nI\n@b\nG\n+\nI\n@b\nT\n+\nI\n").unwrap();
    let [first, second] = reads.next_even(9, 1).unwrap().unwrap().deinterleave().unwrap();
    assert_eq!((first.frames.len(), second.first_record, second.stride), (1, 1, 2));
    let mut odd = framer(b"@a\nA\n+\nI\n").unwrap();
    let error = odd.next_even(9, 9).unwrap().unwrap().deinterleave().unwrap_err();
    assert!(error.to_string().contains("record 1, line 1"), "{error}");
}

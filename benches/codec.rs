//! Speed and size of the codecs, on generated data or on files given as arguments:
//! `cargo bench --bench codec -- [FILE…]`. A file `*.names` holds read names, one a line.
//!
//! Speeds are raw megabytes (10^6) a second on one thread, the best of several rounds.

use std::time::Instant;

use genomic_objects::codec::{self, Effort, Nature, names};

/// A generator good enough for benches: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Quality-like bytes: a walk among `symbols` values that prefers to stay, and to be high.
fn qualities(symbols: u64, len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut current = symbols - 1;
    let step = (symbols / 8).max(1);
    (0..len)
        .map(|_| {
            current = match random.below(16) {
                0 => random.below(symbols),
                1..=3 => current.saturating_sub(random.below(step + 1)),
                4..=6 => (current + random.below(step + 1)).min(symbols - 1),
                7..=8 => symbols - 1,
                _ => current,
            };
            current as u8 + 2
        })
        .collect()
}

/// The least time of several rounds, in megabytes a second.
fn rate<T>(len: usize, mut run: impl FnMut() -> T) -> f64 {
    let mut best = f64::MAX;
    let started = Instant::now();
    while started.elapsed().as_millis() < 400 {
        let round = Instant::now();
        std::hint::black_box(run());
        best = best.min(round.elapsed().as_secs_f64());
    }
    len as f64 / best / 1e6
}

fn measure(name: &str, data: &[u8]) {
    for (nature, effort) in [
        (Nature::Symbols, Effort::Fast),
        (Nature::Symbols, Effort::Default),
        (Nature::Bytes, Effort::Default),
    ] {
        let coded = codec::encode_as(data, nature, effort);
        let encode = rate(data.len(), || codec::encode_as(data, nature, effort));
        let decode = rate(data.len(), || codec::decode(coded.codec, &coded.bytes, data.len()));
        let (nature, codec) = (format!("{nature:?}"), format!("{:?}", coded.codec));
        print_row(name, &nature, effort, &codec, data.len(), coded.bytes.len(), encode, decode);
    }
}

#[allow(clippy::too_many_arguments)]
fn print_row(
    name: &str,
    nature: &str,
    effort: Effort,
    codec: &str,
    raw: usize,
    coded: usize,
    encode: f64,
    decode: f64,
) {
    let bits = coded as f64 * 8.0 / raw.max(1) as f64;
    let effort = format!("{effort:?}");
    println!(
        "{name:<28} {nature:<8} {effort:<8} {codec:<9} {raw:>10} {coded:>10} {bits:>7.3} {encode:>8.0} {decode:>8.0}"
    );
}

/// Illumina-like names of reads in coordinate order.
fn illumina_names(count: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut names = Vec::new();
    for _ in 0..count {
        let (lane, swath, tile) = (1 + random.below(4), random.below(6), 1 + random.below(78));
        let (x, y) = (1000 + random.below(31_000), 1000 + random.below(36_000));
        let tile = 1100 + 100 * swath + tile;
        names.extend(format!("A00111:42:HXXDSXX:{lane}:{tile}:{x}:{y}\n").into_bytes());
    }
    names
}

/// Names, one a line, in blocks of 10,000.
fn measure_names(name: &str, lines: &[u8]) {
    let mut blocks: Vec<(Vec<u8>, Vec<u32>)> = Vec::new();
    for (i, line) in lines.split(|&c| c == b'\n').enumerate() {
        if i % 10_000 == 0 {
            blocks.push(Default::default());
        }
        if let Some((names, lens)) = blocks.last_mut() {
            names.extend_from_slice(line);
            lens.push(line.len() as u32);
        }
    }
    let raw: usize = blocks.iter().map(|(names, _)| names.len()).sum();
    for effort in [Effort::Fast, Effort::Default, Effort::Archive] {
        let encode_all = || -> Vec<Vec<u8>> {
            blocks.iter().map(|(names, lens)| names::encode(names, lens, effort)).collect()
        };
        let coded = encode_all();
        let size: usize = coded.iter().map(Vec::len).sum();
        let encode = rate(raw, encode_all);
        let decode = rate(raw, || {
            for (bytes, (names, lens)) in coded.iter().zip(&blocks) {
                std::hint::black_box(names::decode(bytes, lens.len(), names.len()).is_ok());
            }
        });
        print_row(name, "Names", effort, "Names", raw, size, encode, decode);
    }
}

fn main() {
    println!(
        "{:<28} {:<8} {:<8} {:<9} {:>10} {:>10} {:>7} {:>8} {:>8}",
        "data", "nature", "effort", "codec", "bytes", "coded", "bits", "enc MB/s", "dec MB/s"
    );
    // `cargo bench` passes `--bench` itself.
    let files: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    if files.is_empty() {
        for symbols in [4, 8, 40] {
            measure(&format!("{symbols} qualities"), &qualities(symbols, 1_500_000, symbols));
        }
        let mut random = Random(7);
        let independent: Vec<u8> = (0..1_500_000)
            .map(|_| (random.next().trailing_zeros() * 8) as u8 | (random.below(8) as u8))
            .collect();
        measure("independent bytes", &independent);
        measure_names("Illumina names", &illumina_names(100_000, 1));
        return;
    }
    for file in files {
        match std::fs::read(&file) {
            Ok(data) if file.ends_with(".names") => measure_names(&file, data.trim_ascii_end()),
            Ok(data) => {
                let name = file.rsplit('/').next().unwrap_or(&file).to_owned();
                for (i, block) in data.chunks(1_000_000).take(1).enumerate() {
                    measure(&format!("{name} {i}"), block);
                }
            }
            Err(error) => println!("{file}: {error}"),
        }
    }
}

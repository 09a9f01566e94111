#!/usr/bin/env python3
"""Prints how large the objects of PAF datasets are, as the table of RESULTS.md.

    cargo build --release --workspace
    python3 benches/object_sizes.py --data ../shared/data

Each alignment file under DATA/alignments is converted; and simulated reads at 30-fold coverage, whose
chunks are those of a human genome at that coverage, since a chunk depends on its own window alone.
"""

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = (".bam", ".sam", ".sam.gz", ".cram")
# Bases and windows of a human genome (GRCh38's primary contigs).
GENOME_BASES = 3_100_000_000
WINDOW = 1_000_000
BOUNDS = [(0, 64_000), (64_000, 1_000_000), (1_000_000, 16_000_000), (16_000_000, 64_000_000)]


def sizes_of(dataset):
    """Sizes in bytes of chunks, and of all other objects."""
    files = [path for path in dataset.rglob("*") if path.is_file()]
    chunks = sorted(path.stat().st_size for path in files if path.suffix == ".bin")
    return chunks, [path.stat().st_size for path in files if path.suffix != ".bin"]


def row(name, chunks, others):
    spread = [sum(low <= size < high for size in chunks) for low, high in BOUNDS]
    assert sum(spread) == len(chunks), "a chunk is larger than 64 MB"
    figures = [len(chunks), *spread, chunks[0], int(statistics.median(chunks)), chunks[-1], len(others)]
    print("| " + " | ".join([name, *(f"{figure:,}" for figure in figures)]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target/release")
    parser.add_argument("--reads", default="2M", help="simulated reads at 30-fold coverage")
    options = parser.parse_args()
    tool = options.bin_dir / "format-tools"
    folder = options.data / "alignments"
    files = sorted(p for p in folder.rglob("*") if p.name.endswith(SUFFIXES) and "hts-specs" not in str(p))

    print("| file | chunks | < 64 kB | < 1 MB | < 16 MB | < 64 MB | smallest | median | largest | other objects |")
    print("|---" + "|---:" * 9 + "|")
    with tempfile.TemporaryDirectory() as work:
        dataset = Path(work) / "x.paf"

        def convert(path):
            reference = options.data / "reference" / "ecoli_K12.fa.gz"
            extra = ["--reference", reference] if path.suffix == ".cram" and "ecoli" in path.name else []
            subprocess.run([tool, "bam-to-paf", "--quiet", "--overwrite", *extra, path, dataset], check=True)
            sizes = sizes_of(dataset)
            subprocess.run(["rm", "-r", dataset], check=True)
            return sizes

        for path in files:
            chunks, others = convert(path)
            if chunks:
                row(f"`{path.relative_to(folder)}`", chunks, others)
        bam = Path(work) / "simulated.bam"
        subprocess.run([tool, "simulate", "--quiet", "--reads", options.reads, "-o", bam], check=True)
        chunks, others = convert(bam)
        row(f"{options.reads} simulated reads, 30-fold", chunks, others)
    full = [size for size in chunks if size >= 1_000_000]
    print(
        f"\nA window of {WINDOW:,} bases at 30-fold coverage makes one chunk of "
        f"{statistics.median(full) / 1e6:,.1f} MB (median of {len(full)} simulated windows). A human "
        f"genome of {GENOME_BASES:,} bases is then {GENOME_BASES // WINDOW:,} such chunks, "
        f"{GENOME_BASES // WINDOW * statistics.median(full) / 1e9:,.0f} GB (computed), and a handful of other objects."
    )


if __name__ == "__main__":
    main()

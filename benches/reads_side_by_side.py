#!/usr/bin/env python3
"""Compares fastq-to-srf and srf-to-fastq with gzip, samtools import and bqtools on generated reads.

    benches/reads_side_by_side.py --reads 12000000 --tools target/release/format-tools

Reads come from a seed, with names, lengths and qualities as an Illumina machine gives them. The
table goes into benches/RESULTS.md under a heading of its own; nothing else there is touched.
bqtools is compared where it is on PATH (cargo install bqtools).
"""

import argparse
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HEADING = "## Reads (SRF)"


def generate(path, reads, seed):
    """Writes reads of 150 bases out of a genome of 2 Mb, with 0.5 % errors."""
    dice = random.Random(seed)
    genome = "".join(dice.choices("ACGT", k=2_000_000))
    # Runs of a level, as binned qualities have them.
    patterns = []
    for _ in range(20_000):
        text = ""
        while len(text) < 150:
            text += dice.choices("F:,#", weights=[90, 7, 2, 1])[0] * dice.randint(1, 30)
        patterns.append(text[:150])
    with open(path, "w", buffering=1 << 20) as out:
        for read in range(reads):
            at = dice.randrange(len(genome) - 150)
            bases = genome[at:at + 150]
            if dice.random() < 0.5:
                place = dice.randrange(150)
                bases = bases[:place] + dice.choice("ACGTN") + bases[place + 1:]
            tile, x, y = 1101 + read // 50_000, dice.randrange(1_000, 40_000), 1_000 + read % 50_000
            out.write(f"@LH00001:7:22ABCDLT4:1:{tile}:{x}:{y} 1:N:0:ACGTACGT\n{bases}\n+\n{dice.choice(patterns)}\n")


def run(command, output=None):
    """Runs a command; seconds on the wall and of CPU, and peak memory of all children so far in MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with open(output or os.devnull, "wb") as out:
        subprocess.run([str(word) for word in command], stdout=out, check=True)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def size(path):
    path = pathlib.Path(path)
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reads", type=int, default=12_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tools", default="target/release/format-tools")
    parser.add_argument("--results", default=str(pathlib.Path(__file__).parent / "RESULTS.md"))
    options = parser.parse_args()
    tools, threads = options.tools, options.threads
    rows = []
    with tempfile.TemporaryDirectory(prefix="reads-side-by-side-") as folder:
        folder = pathlib.Path(folder)
        fastq, gz = folder / "reads.fastq", folder / "reads.fastq.gz"
        generate(fastq, options.reads, options.seed)
        text = size(fastq)
        subprocess.run(["gzip", "-k", "-6", str(fastq)], check=True)

        def measure(name, command, result=None, output=None):
            wall, cpu = run(command, output)
            rows.append((name, wall, cpu, text / cpu / 1e6, size(result) if result else None))

        measure("gzip -dc", ["gzip", "-dc", gz])
        for layout in ("plain", "compact"):
            srf = folder / f"{layout}.srf"
            measure(f"fastq-to-srf --layout {layout}",
                    [tools, "fastq-to-srf", "--quiet", "-@", threads, "--layout", layout, gz, srf], srf)
            back = folder / "back.fastq"
            measure(f"srf-to-fastq ({layout})",
                    [tools, "srf-to-fastq", "--quiet", "-@", threads, srf], output=back)
            subprocess.run(["cmp", str(back), str(fastq)], check=True)
            back.unlink()
        if shutil.which("samtools"):
            cram = folder / "reads.cram"
            measure("samtools import, CRAM 3.0",
                    ["samtools", "import", f"-@{threads}", "-i", "-O", "cram,version=3.0", "-0", gz, "-o", cram], cram)
            measure("samtools fastq", ["samtools", "fastq", f"-@{threads}", cram])
        if shutil.which("bqtools"):
            cbq = folder / "reads.cbq"
            measure("bqtools encode", ["bqtools", "encode", f"-T{threads}", gz, "-o", cbq], cbq)
            measure("bqtools decode", ["bqtools", "decode", f"-T{threads}", cbq])
        gz_bytes = size(gz)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    lines = [
        HEADING, "",
        f"{options.reads:,} generated reads of 150 bases, {text:,} bytes of FASTQ, {gz_bytes:,} as "
        f"fastq.gz; {threads} threads; made by `benches/reads_side_by_side.py --reads {options.reads} "
        f"--seed {options.seed}`. MB/s are of FASTQ text per second of CPU. The largest process took "
        f"{peak:.0f} MiB.", "",
        "| | wall s | CPU s | MB/s per core | bytes |", "|---|--:|--:|--:|--:|",
    ]
    for name, wall, cpu, rate, found in rows:
        lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {rate:.0f} | {f'{found:,}' if found else ''} |")
    section = "\n".join(lines) + "\n"
    sys.stdout.write(section)
    results = pathlib.Path(options.results)
    old = results.read_text() if results.exists() else "# Results\n"
    if HEADING in old:
        head, tail = old.split(HEADING, 1)
        end = tail.find("\n## ")
        old = head.rstrip() + "\n" + (tail[end:] if end >= 0 else "")
    results.write_text(old.rstrip() + "\n\n" + section)


if __name__ == "__main__":
    main()

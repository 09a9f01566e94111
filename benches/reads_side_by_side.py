#!/usr/bin/env python3
"""Compares fastq-to-srf and srf-to-fastq with gzip, samtools import and bqtools on generated reads.

    benches/reads_side_by_side.py --reads 12000000 --tools target/release/format-tools

Reads come from a seed, with names, lengths and qualities as an Illumina machine gives them. The
tables go into benches/RESULTS.md under a heading of their own; nothing else there is touched.
bqtools is compared where it is on PATH (cargo install bqtools --no-default-features). With
--corpus, the sizes of real files are compared too.
"""

import argparse
import gzip
import itertools
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

HEADING = "# Reads"


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


def run(command, output=None, stdin=None):
    """Runs a command; seconds on the wall and of CPU, and its peak memory in MiB."""
    started = time.monotonic()
    with open(output or os.devnull, "wb") as out:
        child = subprocess.Popen([str(word) for word in command], stdout=out, stdin=stdin)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {child.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def size(path):
    path = pathlib.Path(path)
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) if path.is_dir() else path.stat().st_size


def is_same(command, path):
    """Whether a command prints what a file holds."""
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    same = subprocess.run(["cmp", "-", str(path)], stdin=child.stdout).returncode == 0
    return child.wait() == 0 and same


def version(command):
    """What a program says of its version."""
    return subprocess.run([command, "--version"], stdout=subprocess.PIPE, text=True).stdout.split("\n")[0]


def queries(tools, folder, fastq, threads):
    """What queries of a dataset of all reads twice cost."""
    srf = folder / "twice.srf"
    cat = subprocess.Popen(["cat", str(fastq), str(fastq)], stdout=subprocess.PIPE)
    _, _, memory = run([tools, "fastq-to-srf", "--quiet", "-@", threads, "-", srf], stdin=cat.stdout)
    cat.wait()
    info = json.loads(subprocess.run([tools, "info", "--json", srf], stdout=subprocess.PIPE, check=True).stdout)
    total = info["total_reads"]
    middle = total // 2 + total // 37
    with open(fastq) as text:
        name = next(itertools.islice(text, 4 * (total // 7), None)).split()[0][1:]
    lines = [
        f"Queries of {total:,} reads (all of them twice; writing them took {memory:.0f} MiB):", "",
        "| | reads | batches | requests | dependent round trips | bytes |", "|---|--:|--:|--:|--:|--:|",
    ]
    for title, words in [
        ("1,000 reads by number", ["--reads", f"{middle}-{middle + 999}"]),
        ("a name, which two reads have", ["--read-id", name]),
        ("`-c --min-avg-quality 36`", ["-c", "--min-avg-quality", "36"]),
    ]:
        result = subprocess.run([str(w) for w in [tools, "srf-query", "--stats", "--json", *words, srf]],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
        stats = json.loads(result.stderr.splitlines()[-1])
        lines.append(f"| {title} | {stats['reads']:,} | {stats['batches']:,} of {stats['batches_total']:,} | "
                     f"{stats['requests']:,} | {stats['round_trips']} | {stats['bytes_fetched']:,} |")
    shutil.rmtree(srf)
    return lines


def corpus(tools, folder, data):
    """Sizes of real files: whole datasets, against one file each."""
    lines = [
        "Sizes of real files, whole datasets with indexes and manifests:", "",
        "| | fastq.gz | SRF plain | SRF compact | CRAM 3.0 | CBQ |", "|---|--:|--:|--:|--:|--:|",
    ]
    for path in sorted(pathlib.Path(data).glob("*.f*q*")):
        text, gz = folder / "text.fastq", folder / "text.fastq.gz"
        content = path.read_bytes()
        if path.suffix == ".gz":
            shutil.copyfile(path, gz)
            content = gzip.decompress(content)
        text.write_bytes(content)
        if path.suffix != ".gz":
            with open(gz, "wb") as out:
                subprocess.run(["gzip", "-6", "-c", str(text)], stdout=out, check=True)
        sizes = [size(gz)]
        for layout in ("plain", "compact"):
            srf = folder / "corpus.srf"
            run([tools, "fastq-to-srf", "--quiet", "--layout", layout, gz, srf])
            sizes.append(size(srf))
            shutil.rmtree(srf)
        for command, out in [
            (["samtools", "import", "-i", "-O", "cram,version=3.0", "-0", text, "-o"], folder / "corpus.cram"),
            (["bqtools", "encode", text, "-o"], folder / "corpus.cbq"),
        ]:
            out.unlink(missing_ok=True)
            if shutil.which(command[0]):
                subprocess.run([str(word) for word in [*command, out]], stderr=subprocess.DEVNULL)
            sizes.append(size(out) if out.exists() else None)
        lines.append(f"| {path.name} | " + " | ".join("" if n is None else f"{n:,}" for n in sizes) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reads", type=int, default=12_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tools", default="target/release/format-tools")
    parser.add_argument("--corpus", help="folder of FASTQ files whose sizes are compared")
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

        def measure(name, command, result=None):
            wall, cpu, memory = run(command)
            rows.append((name, wall, cpu, text / cpu / 1e6, memory, size(result) if result else None))

        measure("gzip -dc", ["gzip", "-dc", gz])
        for layout, level in (("plain", "default"), ("plain", "fast"), ("compact", "default")):
            srf = folder / f"{layout}-{level}.srf"
            name = f"{layout}, level {level}"
            measure(f"fastq-to-srf, {name}",
                    [tools, "fastq-to-srf", "--quiet", "-@", threads, "--layout", layout, "--level", level, gz, srf], srf)
            for count in (1, threads):
                measure(f"srf-to-fastq, {name}, {count} threads", [tools, "srf-to-fastq", "--quiet", "-@", count, srf])
            if not is_same([tools, "srf-to-fastq", "--quiet", "-@", threads, srf], fastq):
                raise SystemExit(f"{srf} gives other reads back")
            shutil.rmtree(srf)
        if shutil.which("samtools"):
            cram = folder / "reads.cram"
            measure("samtools import, CRAM 3.0",
                    ["samtools", "import", f"-@{threads}", "-i", "-O", "cram,version=3.0", "-0", gz, "-o", cram], cram)
            measure("samtools fastq", ["samtools", "fastq", f"-@{threads}", cram])
            cram.unlink()
        if shutil.which("bqtools"):
            cbq = folder / "reads.cbq"
            measure("bqtools encode", ["bqtools", "encode", f"-T{threads}", gz, "-o", cbq], cbq)
            measure("bqtools decode, 1 thread", ["bqtools", "decode", "-T1", "-f", "q", cbq])
            measure(f"bqtools decode, {threads} threads", ["bqtools", "decode", f"-T{threads}", "-f", "q", cbq])
            cbq.unlink()
        gz_bytes = size(gz)
        gz.unlink()
        details = queries(tools, folder, fastq, threads)
        if options.corpus:
            details += [""] + corpus(tools, folder, options.corpus)
    versions = [version(program) for program in ("samtools", "bqtools") if shutil.which(program)]
    lines = [
        HEADING, "",
        f"{options.reads:,} generated reads of 150 bases, {text:,} bytes of FASTQ, {gz_bytes:,} as "
        f"fastq.gz; {threads} threads; made by `benches/reads_side_by_side.py --reads {options.reads} "
        f"--seed {options.seed}`, with {', '.join(versions)}. MB/s are of FASTQ text per second of CPU; all output went to /dev/null.", "",
        "| | wall s | CPU s | MB/s per core | peak MiB | bytes |", "|---|--:|--:|--:|--:|--:|",
    ]
    for name, wall, cpu, rate, memory, found in rows:
        found = f"{found:,}" if found else ""
        lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {rate:.0f} | {memory:.0f} | {found} |")
    section = "\n".join([*lines, "", *details]) + "\n"
    sys.stdout.write(section)
    results = pathlib.Path(options.results)
    old = results.read_text() if results.exists() else "# Results\n"
    if f"\n{HEADING}\n" in old:
        head, tail = old.split(f"\n{HEADING}\n", 1)
        end = tail.find("\n# ")
        old = head.rstrip() + "\n" + (tail[end:] if end >= 0 else "")
    results.write_text(old.rstrip() + "\n\n" + section)


if __name__ == "__main__":
    main()

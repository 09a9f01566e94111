#!/usr/bin/env python3
"""Measures genomic-objects side by side with samtools, and prints the tables of RESULTS.md.

Runs of the two programs alternate, so that a slow minute of the machine hits both; the figures are
medians. Every pair of results is also compared: a fast wrong answer is no answer.

    cargo build --release --workspace
    python3 benches/side_by_side.py > benches/RESULTS.md

Needs samtools on PATH, and pysam for the table of sizes. `--only convert,query` limits the tables,
`--reads`, `--runs` and `--threads` their cost.
"""

import argparse
import hashlib
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The files of the size target.
SIZE_FILES = [
    "CHM1.wgs.chr1_10k-100k.bam",
    "cohort_ceph1463/NA12878_restricted.bam",
    "cohort_ceph1463/NA12889_restricted.bam",
    "cohort_ceph1463/NA12890_restricted.bam",
    "NA12878.exome.chr11_chr20_unmapped.bam",
    "HG002.10x_linked_reads.b37.bam",
    "HCC1395.rnaseq.chr22.bam",
    "HG002.pacbio_hifi.mm_ml.GRCh38.bam",
]


def note(text):
    print(text, file=sys.stderr, flush=True)


def run(command, cwd=None, stdout=subprocess.DEVNULL):
    """Runs a command; returns seconds of wall time, seconds of CPU, and peak memory in bytes."""
    command = [str(part) for part in command]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=stdout, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"failed with {process.returncode}: {' '.join(command)}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def output(command, cwd=None):
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, check=True, stdout=subprocess.PIPE
    ).stdout


def digest_of_records(command):
    """SHA-256 of the text of all records, without the header."""
    digest = hashlib.sha256()
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE) as process:
        while block := process.stdout.read(1 << 20):
            digest.update(block)
    if process.returncode != 0:
        sys.exit(f"failed: {command}")
    return digest.hexdigest()


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def folder_size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def megabytes(count):
    return f"{count / 1e6:,.1f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + "|".join("---" if i == 0 else "---:" for i in range(len(head))) + "|")
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


class Bench:
    def __init__(self, options):
        self.options = options
        options.bin_dir = options.bin_dir.resolve()
        self.tool = options.bin_dir / "format-tools"
        self.work = options.work
        self.threads = options.threads
        self.bam = self.work / f"reads-{options.reads}-{options.seed}.bam"

    def simulate(self, reads):
        bam = self.work / f"reads-{reads}-{self.options.seed}.bam"
        if not bam.exists():
            note(f"simulating {reads:,} reads")
            run([self.tool, "simulate", "--quiet", "--reads", reads, "--seed", self.options.seed,
                 "-@", self.threads, "-o", bam])
            run(["samtools", "index", bam])
        return bam

    def alternate(self, pairs):
        """Runs each of the (name, command, result) in turn, several times; medians by name."""
        seen = {name: [] for name, _, _ in pairs}
        for round_number in range(self.options.runs):
            for name, command, result in pairs:
                remove(result)
                seen[name].append(run(command))
                note(f"  run {round_number + 1}: {name} {seen[name][-1][0]:.2f} s")
        return {
            name: tuple(statistics.median(figures) for figures in zip(*runs))
            for name, runs in seen.items()
        }

    # Conversions --------------------------------------------------------------------------------

    def convert(self):
        bam, work, threads = self.simulate(self.options.reads), self.work, self.threads
        paf, cram = work / "bench.paf", work / "bench.cram"
        to_cram = ["samtools", "view", "-@", threads, "-C", "--output-fmt-option", "version=3.0",
                   "--output-fmt-option", "embed_ref=2", "-o", cram, bam]
        note("bam-to-paf against samtools view -C")
        there = self.alternate([
            ("bam-to-paf", [self.tool, "bam-to-paf", "--quiet", "-@", threads, bam, paf], paf),
            ("samtools view -C", to_cram, cram),
        ])
        sizes = {"bam-to-paf": folder_size(paf), "samtools view -C": cram.stat().st_size}

        back_paf, back_cram = work / "paf.bam", work / "cram.bam"
        note("paf-to-bam against samtools view -b")
        back = self.alternate([
            ("paf-to-bam", [self.tool, "paf-to-bam", "--quiet", "-@", threads, "-o", back_paf, paf],
             back_paf),
            ("samtools view -b", ["samtools", "view", "-@", threads, "-b", "-o", back_cram, cram],
             back_cram),
        ])
        sizes |= {"paf-to-bam": back_paf.stat().st_size, "samtools view -b": back_cram.stat().st_size}
        note("comparing all records")
        view = ["samtools", "view", "-@", threads]
        if digest_of_records(view + [bam]) != digest_of_records(view + [back_paf]):
            sys.exit("paf-to-bam gave other records than went in")

        rows = []
        for ours, theirs, figures in [
            ("bam-to-paf", "samtools view -C", there), ("paf-to-bam", "samtools view -b", back)
        ]:
            for name in (ours, theirs):
                wall, cpu, peak = figures[name]
                ratio = wall / figures[theirs][0]
                rows.append([f"`{name}`", f"{wall:.2f}", f"{cpu:.2f}", f"{ratio:.2f}",
                             megabytes(peak), megabytes(sizes[name])])
        print(f"## Conversion\n\n{self.options.reads:,} reads, {megabytes(bam.stat().st_size)} MB of "
              f"BAM, `-@ {threads}`, median of {self.options.runs} alternating runs. samtools counts "
              "threads beside its main one, so it has one more. The CRAM is "
              "`--output-fmt-option version=3.0 --output-fmt-option embed_ref=2`, which needs no "
              "reference either. All records of the BAM that comes back are compared with those "
              "that went in.\n")
        print(table(["", "wall s", "CPU s", "wall, of samtools", "peak MB", "output MB"], rows) + "\n")

    # Memory -------------------------------------------------------------------------------------

    def memory(self):
        rows = []
        for reads in (self.options.reads // 5, self.options.reads):
            bam, paf = self.simulate(reads), self.work / "memory.paf"
            remove(paf)
            wall, _, peak = run([self.tool, "bam-to-paf", "--quiet", "-@", self.threads, bam, paf])
            rows.append([f"{reads:,}", megabytes(bam.stat().st_size), megabytes(peak), f"{wall:.1f}"])
            remove(paf)
        print("## Peak memory of a sorted conversion\n")
        print(table(["reads", "BAM MB", "peak MB", "wall s"], rows) + "\n")

    # Region queries -----------------------------------------------------------------------------

    def query(self):
        bam, folder = self.simulate(self.options.reads), self.work / "served"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.link(bam, folder / "sample.bam")
        os.link(f"{bam}.bai", folder / "sample.bam.bai")
        run([self.tool, "bam-to-paf", "--quiet", "-@", self.threads, bam, folder / "sample.paf"])
        run(["samtools", "view", "-@", self.threads, "-C", "--output-fmt-option", "embed_ref=2",
             "-o", folder / "sample.cram", bam])
        run(["samtools", "index", folder / "sample.cram"])
        rows = []
        latency = self.options.latency
        log = self.work / "requests.log"
        with Server(self.options.bin_dir / "serve", folder, latency, log) as server:
            for width in (10_000, 1_000_000):
                rows += self.query_width(server, bam, width)
        print(f"## Region queries over HTTP\n\nBoth from one server with {latency} ms of added latency "
              f"before each answer, {self.options.regions} random regions per width, each a process of "
              f"its own, median of {self.options.runs} alternating rounds. `samtools view` fetches "
              "the index first (cold), or has it from an earlier query (index kept). `paf-query` "
              "keeps nothing. Its SAM text is compared with that from the BAM.\n")
        head = ["region", "", "seconds a query", "of BAM cold", "requests", "MB fetched"]
        print(table(head, rows) + "\n")

    def query_width(self, server, bam, width):
        regions = self.regions(bam, width)
        names = ["paf-query", "samtools, BAM, cold", "samtools, BAM, index kept",
                 "samtools, CRAM, cold", "samtools, CRAM, index kept"]
        seconds = {name: [] for name in names}
        costs = {}
        kept = Path(tempfile.mkdtemp(dir=self.work))
        paf = f"{server.url}/sample.paf"
        samtools = {kind: ["samtools", "view", f"{server.url}/sample.{kind.lower()}"]
                    for kind in ("BAM", "CRAM")}
        for command in samtools.values():
            output(command + [regions[0]], cwd=kept)
        for round_number in range(self.options.runs):
            totals = dict.fromkeys(names, 0.0)
            before = {name: [0, 0] for name in names}
            for region in regions:
                answers = []
                for name in names:
                    cold = Path(tempfile.mkdtemp(dir=self.work))
                    cwd = kept if name.endswith("kept") else cold
                    kind = next((kind for kind in samtools if f" {kind}," in name), None)
                    command = samtools.get(kind) or [self.tool, "paf-query", "--quiet", paf]
                    start = server.cost()
                    began = time.perf_counter()
                    answers.append(output(command + [region], cwd=cwd))
                    totals[name] += time.perf_counter() - began
                    after = server.cost()
                    before[name] = [b + y - x for b, x, y in zip(before[name], start, after)]
                    shutil.rmtree(cold)
                # From CRAM, tags come in another order.
                if len(set(answers[:3])) != 1 or len({a.count(b"\n") for a in answers}) != 1:
                    sys.exit(f"{region}: paf-query and samtools view give different reads")
            for name in names:
                seconds[name].append(totals[name] / len(regions))
            costs = {name: [value / len(regions) for value in before[name]] for name in names}
            note(f"  {width:,} round {round_number + 1}: {totals}")
        shutil.rmtree(kept)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        base = medians[names[1]]
        return [
            [f"{width:,} bases" if name == names[0] else "", name, f"{medians[name]:.3f}",
             f"{medians[name] / base:.2f}", f"{costs[name][0]:.1f}", f"{costs[name][1] / 1e6:.2f}"]
            for name in names
        ]

    def regions(self, bam, width):
        """Random regions where there are reads, the same for the same seed."""
        draw = random.Random(self.options.seed)
        lines = lines_of(["samtools", "idxstats", bam])
        contigs = [(f[0], int(f[1]), int(f[2])) for f in map(lambda l: l.split("\t"), lines)]
        contigs = [contig for contig in contigs if contig[2] > 0]
        regions = []
        for _ in range(self.options.regions):
            name, length, _ = draw.choices(contigs, weights=[c[2] for c in contigs])[0]
            start = draw.randint(1, max(1, length - width))
            regions.append(f"{name}:{start}-{start + width - 1}")
        return regions

    # Sizes --------------------------------------------------------------------------------------

    def sizes(self):
        try:
            import pysam
        except ImportError:
            note("pysam is not installed: no table of sizes")
            return
        data = Path(os.environ.get("GENOMIC_OBJECTS_TEST_DATA", ROOT.parent / "shared/data"))
        rows, sums = [], [0] * 5
        for name in SIZE_FILES:
            source = data / "alignments" / name
            if not source.exists():
                note(f"{source} is missing: no table of sizes")
                return
            figures = [source.stat().st_size]
            for version in ("3.0", "3.1"):
                cram = self.work / "size.cram"
                pysam.view("-C", "--no-PG", "--output-fmt-option", f"version={version}",
                           "--output-fmt-option", "embed_ref=2", "-o", str(cram), str(source),
                           catch_stdout=False)
                figures.append(cram.stat().st_size)
            for level in ("default", "archive"):
                paf = self.work / "size.paf"
                remove(paf)
                run([self.tool, "bam-to-paf", "--quiet", "--level", level, source, paf])
                figures.append(folder_size(paf))
            sums = [a + b for a, b in zip(sums, figures)]
            rows.append([f"`{Path(name).stem}`"] + self.size_cells(figures))
        rows.append(["**sum**"] + self.size_cells(sums))
        version = f"pysam {pysam.__version__} (htslib {pysam.__samtools_version__})"
        print(f"## Size\n\nBytes of all objects of a dataset, manifest and index among them, against "
              f"CRAM with `embed_ref=2` by {version}. Nobody uses a reference.\n")
        print(table(["", "BAM", "CRAM 3.0", "CRAM 3.1", "PAF default", "of CRAM 3.0", "PAF archive",
                     "of CRAM 3.1"], rows) + "\n")

    @staticmethod
    def size_cells(figures):
        bam, cram30, cram31, default, archive = figures
        return [f"{bam:,}", f"{cram30:,}", f"{cram31:,}", f"{default:,}", f"{default / cram30:.3f}",
                f"{archive:,}", f"{archive / cram31:.3f}"]


class Server:
    """The web server of `testkit`, with a delay before each answer and a log of requests."""

    def __init__(self, program, folder, latency, log):
        self.log = log
        self.command = [program, folder, "--latency-ms", latency, "--log", log]

    def __enter__(self):
        command = [str(part) for part in self.command]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip().rstrip("/")
        if not self.url.startswith("http://"):
            sys.exit(f"{command[0]} did not tell its address: {self.url!r}")
        return self

    def cost(self):
        """Requests answered and bytes sent since the start, once the log has settled."""
        size = -1
        while size != self.log.stat().st_size:
            size = self.log.stat().st_size
            time.sleep(0.15)
        lines = [line.split("\t") for line in self.log.read_text().splitlines()]
        return len(lines), sum(int(line[4]) for line in lines)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def cpu_model():
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found.group(1) if found else platform.machine()


def lines_of(command):
    # samtools writes a name in Latin-1.
    return output(command).decode(errors="replace").splitlines()


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin-dir", type=Path, default=target / "release")
    parser.add_argument("--work", type=Path, help="folder for the files made [a temporary one]")
    parser.add_argument("--reads", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--regions", type=int, default=20)
    parser.add_argument("--latency", type=int, default=30, help="milliseconds before each answer")
    parser.add_argument("--only", default="convert,memory,query,sizes", help="tables, comma-separated")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="side-by-side-") as temporary:
        options.work = (options.work or Path(temporary)).resolve()
        options.work.mkdir(parents=True, exist_ok=True)
        bench = Bench(options)
        print("# Measured\n")
        print(f"By `{' '.join(['python3 benches/side_by_side.py', *sys.argv[1:]])}`.\n")
        print(f"- {lines_of([bench.tool, '--version'])[0]}, release build")
        samtools = [line.strip() for line in lines_of(["samtools", "--version"])[:2]]
        print(f"- {', '.join(samtools)}")
        print(f"- {cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}\n")
        for name in options.only.split(","):
            getattr(bench, name)()


if __name__ == "__main__":
    main()

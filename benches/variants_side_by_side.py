#!/usr/bin/env python3
"""Measures VCS side by side with bcftools, vcf2zarr and DuckDB, and prints a section of RESULTS.md.

    cargo build --release --workspace
    python3 benches/variants_side_by_side.py CORPORA > variants.md

Two cohorts are made from the corpora's 1000 Genomes files, tiled along the contig: 100,000 sites of
2,504 samples and 1,000,000 sites of 100. Every answer is compared with bcftools' before its time
counts. Needs bcftools and bgzip on PATH; vcf2zarr and Python's duckdb where their lines are wanted.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = os.environ.get("FORMAT_TOOLS", str(ROOT / "target/release/format-tools"))

COHORTS = [
    "variants/1000g_phase3.chr22_16-16.5M.2504samples.vcf.gz",
    "variants/1000g_phase3.chr20_1-4M.300samples.vcf.gz",
    "variants/1000g_highcov.chr1_head.3202samples.vcf.gz",
    "variants/1000g_highcov.chr12.3202samples_full_format.vcf.gz",
    "variants/1000g_phase1.chr1_head.1092samples_gt_ds_gl.vcf.gz",
    "annotation/exac_r1_vep_chr1.vcf.gz",
    "annotation/gnomad_exomes_r2.1.1_chr1.vcf.gz",
    "gvcf/NA12878.wgs_sparse.hg38.g.vcf.gz",
    "gvcf/NA12878.platinum_illumina_gvcf.chr21.vcf.gz",
    "gvcf/CEUTrio.NA12878.20.21.gatk3.4.g.vcf.gz",
]


def run(command, stdout=subprocess.DEVNULL, shell=False):
    """Runs a command; returns seconds of wall time and seconds of CPU."""
    command = command if shell else [str(part) for part in command]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, shell=shell)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"failed with {process.returncode}: {command}")
    return wall, usage.ru_utime + usage.ru_stime


def output(command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True).stdout


def median(runs, command):
    samples = [run(command) for _ in range(runs)]
    return tuple(statistics.median(column) for column in zip(*samples))


def peak(command):
    """The most memory that a command takes, in MB; asked of a small process, whose own is not more."""
    small = "import os, sys; pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]); print(os.wait4(pid, 0)[2].ru_maxrss // 1000)"
    return int(output([sys.executable, "-c", small, *command]).split()[-1])


def folder_bytes(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def plain_vcf(source, target, limit=None):
    text = output(["bgzip", "-dc", source]) if str(source).endswith(".gz") else Path(source).read_bytes()
    Path(target).write_bytes(text)
    return text


def with_contigs(vcf, target):
    """A copy whose header declares every contig, which BCF needs."""
    text = Path(vcf).read_bytes()
    head, _, body = text.partition(b"#CHROM")
    declared = set(re.findall(rb"##contig=<ID=([^,>]+)", head))
    used = {line.split(b"\t", 1)[0] for line in body.split(b"\n")[1:] if line}
    for contig in sorted(used - declared):
        head += b"##contig=<ID=" + contig + b">\n"
    Path(target).write_bytes(head + b"#CHROM" + body)


def tile(source, target, copies, samples, step):
    """Tiles the records of a file along its contig, in order, with the first samples only."""
    text = output(["bgzip", "-dc", source])
    lines = text.split(b"\n")
    header = [line for line in lines if line.startswith(b"#")]
    width = 9 + samples
    header[-1] = b"\t".join(header[-1].split(b"\t")[:width])
    body = [line.split(b"\t", 2) for line in lines if line and not line.startswith(b"#")]
    rows = [(int(row[1]), row[0], b"\t".join(row[2].split(b"\t")[: width - 2])) for row in body]
    rows = [(at, chrom, re.sub(rb";END=[0-9]+(?=;|\t)", b"", rest, count=1)) for at, chrom, rest in rows]
    plan = sorted((at + copy * step, index) for copy in range(copies) for index, (at, _, _) in enumerate(rows))
    with subprocess.Popen(["bgzip", "-c", "-@2"], stdin=subprocess.PIPE, stdout=open(target, "wb")) as pipe:
        pipe.stdin.write(b"\n".join(header) + b"\n")
        for at, index in plan:
            _, chrom, rest = rows[index]
            pipe.stdin.write(chrom + b"\t%d\t" % at + rest + b"\n")
        pipe.stdin.close()
    return len(plan)


def sizes(corpora, work):
    print("### Size\n")
    print("Bytes of all objects of a dataset, manifests, schema and index included.\n")
    print("| file | VCS | BCF | VCF.gz | VCS / BCF | kept as text |\n|---|---:|---:|---:|---:|---:|")
    total = [0, 0, 0]
    for name in COHORTS:
        vcf, bcf, vcs, gz = work / "x.vcf", work / "x.bcf", work / "x.vcs", work / "x.vcf.gz"
        shutil.rmtree(vcs, ignore_errors=True)
        plain_vcf(corpora / name, work / "raw.vcf")
        with_contigs(work / "raw.vcf", vcf)
        run(["bcftools", "view", "--no-version", "-Ob", "-o", bcf, vcf])
        run(["bcftools", "view", "--no-version", "-Oz", "-o", gz, vcf])
        run([TOOLS, "vcf-to-vcs", "--quiet", vcf, vcs])
        assert output([TOOLS, "vcs-to-vcf", vcs]) == vcf.read_bytes(), name
        kept = re.search(rb'"rows_with_exceptions":(\d+)', output([TOOLS, "info", "--json", vcs])).group(1)
        row = [folder_bytes(vcs), bcf.stat().st_size, gz.stat().st_size]
        total = [a + b for a, b in zip(total, row)]
        short = Path(name).name.removesuffix(".vcf.gz")
        print(f"| {short} | {row[0]:,} | {row[1]:,} | {row[2]:,} | {row[0] / row[1]:.2f} | {kept.decode()} |")
    print(f"| **sum** | **{total[0]:,}** | **{total[1]:,}** | **{total[2]:,}** | **{total[0] / total[1]:.2f}** | |\n")


def stats(command):
    """The bytes that a query fetched."""
    text = subprocess.run([str(part) for part in command + ["--stats", "--json"]], check=True, capture_output=True).stderr
    return int(re.search(rb'"bytes_fetched":(\d+)', text).group(1))


def cohort(name, vcf, work, runs, threads):
    bcf, vcs = work / "cohort.bcf", work / "cohort.vcs"
    run(["bcftools", "view", "--no-version", "--threads", threads, "-Ob", "-o", bcf, vcf])
    run(["bcftools", "index", "-f", bcf])

    def convert():
        shutil.rmtree(vcs, ignore_errors=True)
        return run([TOOLS, "vcf-to-vcs", "--quiet", f"-@{threads}", vcf, vcs])

    ours = tuple(statistics.median(column) for column in zip(*[convert() for _ in range(runs)]))
    theirs = median(runs, ["bcftools", "view", "--no-version", "--threads", threads, "-Ob", "-o", work / "y.bcf", vcf])
    print(f"### {name}\n")
    print(f"VCF.gz {vcf.stat().st_size:,} B, BCF {bcf.stat().st_size:,} B, VCS {folder_bytes(vcs):,} B ({folder_bytes(vcs) / bcf.stat().st_size:.2f} of BCF).\n")
    print("| job | ours | theirs | ratio |\n|---|---:|---:|---:|")
    cell = lambda run: f"{run[0]:.3f} s, {run[1]:.2f} s CPU"
    line = lambda job, a, b: print(f"| {job} | {cell(a)} | {cell(b)} | {a[0] / b[0]:.3f} |", flush=True)
    line(f"`vcf-to-vcs` against `bcftools view -Ob`, {threads} threads", ours, theirs)
    shutil.rmtree(vcs)
    print(f"| peak memory of `vcf-to-vcs` | {peak([TOOLS, 'vcf-to-vcs', '--quiet', f'-@{threads}', vcf, vcs])} MB | | |")
    if shutil.which("vcf2zarr"):
        zarr = work / "z.vcz"
        shutil.rmtree(zarr, ignore_errors=True)
        try:
            run(["bcftools", "index", "-f", vcf])
            line("against `vcf2zarr convert`", ours, run(["vcf2zarr", "convert", "--no-progress", "-f", "-p", threads, vcf, zarr]))
            print(f"| bytes of the same | {folder_bytes(vcs):,} | {folder_bytes(zarr):,} | {folder_bytes(vcs) / folder_bytes(zarr):.2f} |")
        except RuntimeError as error:
            print(f"(vcf2zarr: {error})", file=sys.stderr)
        shutil.rmtree(zarr, ignore_errors=True)
    back = median(runs, [TOOLS, "vcs-to-vcf", f"-@{threads}", "-o", work / "back.vcf", vcs])
    line("`vcs-to-vcf` against `bcftools view`", back, median(runs, ["bcftools", "view", "--no-version", "--threads", threads, "-o", work / "y.vcf", bcf]))
    assert (work / "back.vcf").read_bytes() == output(["bgzip", "-dc", vcf])
    os.remove(work / "back.vcf"), os.remove(work / "y.vcf")

    field = [TOOLS, "vcs-query", "-H", "--columns", "INFO_AC", vcs]
    mine, other = output(field), output(["bcftools", "query", "-f", "%INFO/AC\n", bcf])
    assert mine == other
    line("INFO/AC of all records", median(runs, field), median(runs, ["bcftools", "query", "-f", "%INFO/AC\n", bcf]))

    chrom, first = output(["bcftools", "query", "-f", "%CHROM\t%POS\n", bcf]).split(b"\n")[5000].decode().split("\t")
    region = f"{chrom}:{first}-{int(first) + 1000}"
    mine = [TOOLS, "vcs-query", "-H", vcs, region]
    assert output(mine) == output(["bcftools", "view", "--no-version", "-H", bcf, region]), region
    fetched = stats([TOOLS, "vcs-query", "-H", "-o", "/dev/null", vcs, region])
    print(f"| bytes fetched for 1 kb of all samples, of the BCF's | {fetched:,} | {bcf.stat().st_size:,} | {fetched / bcf.stat().st_size:.3f} |")

    sample = output(["bcftools", "query", "-l", bcf]).decode().split("\n")[37]
    called = [TOOLS, "vcs-query", "-H", "--columns", f"POS,REF,ALT,{sample}_GT", vcs]
    other_way = ["bcftools", "query", "-s", sample, "-f", "%POS\t%REF\t%ALT[\t%GT]\n", bcf]
    assert output(called) == output(other_way)
    fetched = stats(called + ["-o", "/dev/null"])
    print(f"| bytes fetched for all genotypes of one sample, with POS, REF and ALT, of the BCF's | {fetched:,} | {bcf.stat().st_size:,} | {fetched / bcf.stat().st_size:.3f} |")
    line("all genotypes of one sample", median(runs, called), median(runs, other_way))

    mine = [TOOLS, "vcs-query", "-I", "-H", "-s", sample, vcs]
    other_way = ["bcftools", "view", "--no-version", "-I", "-H", "-s", sample, bcf]
    genotypes = lambda text: [line.rsplit(b"\t", 1)[1] for line in text.splitlines()]
    assert genotypes(output(mine)) == genotypes(output(other_way))
    fetched = stats(mine + ["-o", "/dev/null"])
    print(f"| bytes fetched for all lines of one sample, of the BCF's | {fetched:,} | {bcf.stat().st_size:,} | {fetched / bcf.stat().st_size:.3f} |")
    line("all lines of one sample", median(runs, mine), median(runs, other_way))

    counts = sorted(int(value.split(b",")[0]) for value in output(["bcftools", "query", "-f", "%INFO/AC\n", bcf]).split())
    limit = counts[int(len(counts) * 0.99)]
    expression = f"INFO/AC[0]>{limit}"
    filtered = ["bcftools", "view", "--no-version", "-H", "-G", "-i", expression, bcf]
    ours = [TOOLS, "vcs-query", "-c", "-i", expression, vcs]
    hits = output(filtered).count(b"\n")
    assert int(output(ours)) == hits
    line(f"{hits:,} hits of `{expression}`: `vcs-query -c -i` against `bcftools view -i`", median(runs, ours), median(runs, filtered))
    column = "INFO_AC[1]" if "AC,Number=A" in output(["bcftools", "view", "-h", bcf]).decode() else "INFO_AC"
    where = f"WHERE {column} > {limit}"
    plain = work / "plain.parquet"
    make = f"import duckdb; duckdb.sql(\"COPY (FROM read_parquet('{vcs}/data/**/*.parquet', hive_partitioning=false)) TO '{plain}' (FORMAT parquet, COMPRESSION zstd)\")"
    ask = f"import duckdb; print(duckdb.sql(\"SELECT count(*) FROM read_parquet('{plain}') {where}\").fetchall()[0][0])"
    try:
        output([sys.executable, "-c", make])
        assert int(output([sys.executable, "-c", ask])) == hits
        line("the same against DuckDB on a plain Parquet of the sites (Python's start included)", median(runs, ours), median(runs, [sys.executable, "-c", ask]))
        plain.unlink()
    except subprocess.CalledProcessError as error:
        print(f"(duckdb: {error.stderr[-200:]})", file=sys.stderr)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="sizes,2504,100")
    options = parser.parse_args()
    only = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="variants-") as folder:
        work = Path(folder)
        if "sizes" in only:
            sizes(options.corpora, work)
        if "2504" in only:
            vcf = work / "c2504.vcf.gz"
            count = tile(options.corpora / COHORTS[0], vcf, 17, 2504, 600_000)
            cohort(f"{count:,} sites of 2,504 samples", vcf, work, options.runs, options.threads)
        if "100" in only:
            vcf = work / "c100.vcf.gz"
            count = tile(options.corpora / COHORTS[1], vcf, 41, 100, 1_450_000)
            cohort(f"{count:,} sites of 100 samples", vcf, work, options.runs, options.threads)


main()

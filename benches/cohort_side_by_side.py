#!/usr/bin/env python3
"""A region of a cohort: ram-query against samtools view over the same BAMs, from one server.

    python3 benches/cohort_side_by_side.py [--samples 200] [--reads 60k] [--coverage 4]
        [--region chr1:400001-500000] [--latency-ms 30] [--bin target/release] [--work DIR]

Simulates BAMs, indexes them, converts them, serves all of it with some latency, and asks. Needs
samtools; `serve` is a program of the package testkit.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import tempfile
import time


def run(command, **options):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done, time.perf_counter() - started, cpu


def peak(command):
    """Peak memory of a process of its own, in MB."""
    code = (
        "import resource,subprocess,sys;"
        "subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)"
    )
    return float(subprocess.run(["python3", "-c", code, *command], check=True, capture_output=True).stdout)


def size(path):
    return sum(file.stat().st_size for file in pathlib.Path(path).rglob("*") if file.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--reads", default="60k")
    parser.add_argument("--coverage", default="4")
    parser.add_argument("--region", default="chr1:400001-500000")
    parser.add_argument("--latency-ms", default="30")
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--serve", default=None)
    parser.add_argument("--work", default=None)
    args = parser.parse_args()
    tool = os.path.abspath(f"{args.bin}/format-tools")
    serve = os.path.abspath(args.serve or f"{args.bin}/serve")
    work = pathlib.Path(args.work or tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    names = [f"NA{number:05}" for number in range(args.samples)]
    for number, name in enumerate(names):
        bam = work / f"{name}.bam"
        if not bam.exists():
            subprocess.run(
                [tool, "simulate", "--quiet", "--reads", args.reads, "--coverage", args.coverage,
                 "--seed", str(number + 1), "--sample", name, "-o", bam], check=True)
            subprocess.run(["samtools", "index", bam], check=True)
    bams = sum((work / f"{name}.bam").stat().st_size for name in names)
    dataset = work / "cohort.ram"
    if not dataset.exists():
        command = [tool, "bam-to-ram", "--json", "--progress", "none", "--input",
                   *[work / f"{name}.bam" for name in names], "--output", dataset]
        started = time.perf_counter()
        memory = peak([str(word) for word in command])
        print(f"conversion: {time.perf_counter() - started:.1f} s, peak {memory:.0f} MB")
    print(f"{args.samples} BAMs of {bams / 1e6:.1f} MB; dataset of {size(dataset) / 1e6:.1f} MB")
    server = subprocess.Popen(
        [serve, work, "--latency-ms", args.latency_ms], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip().rstrip("/")
        ask = [tool, "ram-query", "--json", "--stats", f"{url}/cohort.ram", args.region]
        view = "samtools view -X {0}/{1}.bam {0}/{1}.bam.bai {2}"
        each = "\n".join(view.format(url, name, args.region) for name in names)
        one = names[len(names) // 2]
        rows = []
        for label, command in [
            ("all samples, ram-query (SAM)", ask),
            ("all samples, ram-query (Arrow)", [*ask, "-O", "arrow"]),
            ("one sample, ram-query", [*ask, "-s", one]),
        ]:
            times = [run(command) for _ in range(3)]
            done, seconds, cpu = sorted(times, key=lambda timed: timed[1])[1]
            stats = json.loads(done.stderr)
            rows.append((label, seconds, cpu, stats["requests"], stats["bytes_fetched"],
                         stats["bytes_used"], stats["rows"], peak([str(w) for w in command])))
        _, seconds, cpu = run(["sh", "-c", each])
        rows.append(("all samples, samtools view, one after another", seconds, cpu) + ("",) * 5)
        _, seconds, cpu = run(["xargs", "-P", "8", "-I{}", "sh", "-c", "{}"], input=each.encode())
        rows.append(("all samples, samtools view, 8 at a time", seconds, cpu) + ("",) * 5)
        _, seconds, cpu = run(["sh", "-c", view.format(url, one, args.region)])
        rows.append(("one sample, samtools view", seconds, cpu) + ("",) * 5)
        ours = run([tool, "ram-query", f"{url}/cohort.ram", args.region, "-s", one])[0].stdout
        theirs = run(["sh", "-c", view.format(url, one, args.region)])[0].stdout
        assert ours == theirs, "the answers differ"
    finally:
        server.terminate()
    print("| | seconds | CPU s | requests | MB fetched | MB of batches | rows | peak MB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for label, seconds, cpu, requests, fetched, used, count, memory in rows:
        megabytes = [f"{value / 1e6:.2f}" if value != "" else "" for value in (fetched, used)]
        memory = f"{memory:.0f}" if memory != "" else ""
        print(f"| {label} | {seconds:.3f} | {cpu:.2f} | {requests} | {megabytes[0]} | {megabytes[1]} | {count} | {memory} |")


if __name__ == "__main__":
    main()

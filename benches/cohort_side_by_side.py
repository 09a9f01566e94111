#!/usr/bin/env python3
"""A region of a cohort: ram-query against samtools view over the same BAMs, from one server.

    python3 benches/cohort_side_by_side.py [--samples 200] [--reads 60k] [--coverage 4]
        [--region chr1:400001-500000] [--latency-ms 30] [--bin target/release] [--work DIR]
    python3 benches/cohort_side_by_side.py --scale 50,200,400 --reads 5k [--memory 256M] …

With `--scale`, what conversion and queries take as samples grow: memory, open files, requests.

Simulates BAMs, indexes them, converts them, serves all of it with some latency, and asks. Needs
samtools; `serve` is a program of the package testkit.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
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


def view(command, **options):
    """Runs samtools where no earlier run has left the indexes that it fetches."""
    with tempfile.TemporaryDirectory() as folder:
        return run(command, cwd=folder, **options)


def peak(command):
    """Peak memory of a process of its own, in MB."""
    code = (
        "import resource,subprocess,sys;"
        "subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)"
    )
    return float(subprocess.run(["python3", "-c", code, *command], check=True, capture_output=True).stdout)


def watch(command):
    """Seconds, peak memory in MB and most open files of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        try:
            most = max(most, len(os.listdir(f"/proc/{process.pid}/fd")))
        except FileNotFoundError:
            pass
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - started, usage.ru_maxrss / 1024, most


def scale(args, tool, work, names, serve):
    """What grows with samples, and what does not."""
    rows = []
    for count in [int(count) for count in args.scale.split(",")]:
        dataset = work / f"cohort{count}.ram"
        shutil.rmtree(dataset, ignore_errors=True)
        bams = [work / f"{name}.bam" for name in names[:count]]
        total = sum(bam.stat().st_size for bam in bams)
        row = [count, f"{total / 1e6:.0f}"]
        seconds, memory, files = watch(
            [tool, "bam-to-ram", "--quiet", "--memory", args.memory, *bams, dataset])
        row += [f"{seconds:.1f}", f"{memory:.0f}", files]
        server = subprocess.Popen(
            [serve, work, "--latency-ms", args.latency_ms], stdout=subprocess.PIPE, text=True)
        try:
            url = f"{server.stdout.readline().strip()}/{dataset.name}"
            ask = [tool, "ram-query", "--json", "--stats", url, args.region]
            for command in [ask, [*ask, "-s", names[count // 2]]]:
                stats = json.loads(run(command)[0].stderr)
                seconds, memory, files = sorted(watch(command) for _ in range(3))[1]
                row += [stats["requests"], f"{stats['bytes_fetched'] / 1e6:.2f}",
                        f"{seconds:.3f}", f"{memory:.0f}", files]
        finally:
            server.terminate()
        rows.append(row)
    heads = ["samples", "MB of BAM", "conversion: s", "peak MB", "most open files"]
    for which in ["all", "one"]:
        heads += [f"query of {which}: requests", "MB fetched", "s", "peak MB", "most open files"]
    print("| " + " | ".join(heads) + " |\n" + "|---:" * len(heads) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


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
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--scale", default=None)
    parser.add_argument("--serve", default=None)
    parser.add_argument("--work", default=None)
    args = parser.parse_args()
    tool = os.path.abspath(f"{args.bin}/format-tools")
    serve = os.path.abspath(args.serve or f"{args.bin}/serve")
    work = pathlib.Path(args.work or tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    if args.scale:
        args.samples = max(int(count) for count in args.scale.split(","))
    names = [f"NA{number:05}" for number in range(args.samples)]
    for number, name in enumerate(names):
        bam = work / f"{name}.bam"
        if not bam.exists():
            subprocess.run(
                [tool, "simulate", "--quiet", "--reads", args.reads, "--coverage", args.coverage,
                 "--seed", str(number + 1), "--sample", name, "-o", bam], check=True)
            subprocess.run(["samtools", "index", bam], check=True)
    if args.scale:
        return scale(args, tool, work, names, serve)
    bams = sum((work / f"{name}.bam").stat().st_size for name in names)
    dataset = work / "cohort.ram"
    if not dataset.exists():
        command = [tool, "bam-to-ram", "--json", "--progress", "none", "--memory", args.memory,
                   "--input", *[work / f"{name}.bam" for name in names], "--output", dataset]
        started = time.perf_counter()
        memory = peak([str(word) for word in command])
        print(f"conversion: {time.perf_counter() - started:.1f} s, peak {memory:.0f} MB")
    print(f"{args.samples} BAMs of {bams / 1e6:.1f} MB; dataset of {size(dataset) / 1e6:.1f} MB")
    server = subprocess.Popen(
        [serve, work, "--latency-ms", args.latency_ms], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip().rstrip("/")
        ask = [tool, "ram-query", "--json", "--stats", f"{url}/cohort.ram", args.region]
        template = "samtools view -X {0}/{1}.bam {0}/{1}.bam.bai {2}"
        each = "\n".join(template.format(url, name, args.region) for name in names)
        one = names[len(names) // 2]
        of_one = template.format(url, one, args.region)
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
        _, seconds, cpu = view(["sh", "-c", each])
        rows.append(("all samples, samtools view, one after another", seconds, cpu) + ("",) * 5)
        _, seconds, cpu = view(["xargs", "-P", "8", "-I{}", "sh", "-c", "{}"], input=each.encode())
        rows.append(("all samples, samtools view, 8 at a time", seconds, cpu) + ("",) * 5)
        _, seconds, cpu = view(["sh", "-c", of_one])
        rows.append(("one sample, samtools view", seconds, cpu) + ("",) * 5)
        ours = run([tool, "ram-query", f"{url}/cohort.ram", args.region, "-s", one])[0].stdout
        theirs = view(["sh", "-c", of_one])[0].stdout
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

#!/usr/bin/env python3
"""Pushing, converting and asking over S3: with latency against without, and against other programs.

    python3 benches/transfer_side_by_side.py [--chunks 2000] [--reads 2M] [--rounds 3]
        [--bin target/release] [--work DIR] [--only push,latency,query,memory]

Starts the S3 server of the tests (`serve --s3` of the package testkit). Pushes a dataset of so many
chunks with `format-tools push`, `aws s3 sync`, `rclone copy` and `s5cmd sync` in turn, as far as they
are on the PATH; pushes and converts with 30 ms before each answer and with none; and compares a cold
query with what its round trips and bytes must take. Prints tables in Markdown.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

KEYS = {
    "AWS_ACCESS_KEY_ID": "test-access-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret-key",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
LATENCY = 30


class Server:
    def __init__(self, program, latency):
        self.process = subprocess.Popen(
            [program, "--s3", "--latency-ms", str(latency)], stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()
        self.environment = dict(os.environ, AWS_ENDPOINT_URL=self.url, **KEYS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def run(self, command):
        """Wall and CPU seconds, and standard output."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(
            [str(word) for word in command], env=self.environment, capture_output=True, text=True
        )
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{command}: {done.stderr}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return wall, cpu, done.stdout


def median(values):
    return statistics.median(values)


def size(path):
    return sum(file.stat().st_size for file in pathlib.Path(path).rglob("*") if file.is_file())


def pushes(tool, dataset, url):
    """The commands that push, by name."""
    commands = {"format-tools push": lambda to: [tool, "push", "--quiet", dataset, f"s3://bucket/{to}"]}
    if shutil.which("aws"):
        commands["aws s3 sync"] = lambda to: [
            "aws", "s3", "sync", "--only-show-errors", dataset, f"s3://bucket/{to}"]
    if shutil.which("rclone"):
        remote = f":s3,provider=Other,env_auth,no_check_bucket,endpoint='{url}':bucket"
        commands["rclone copy, 16 transfers"] = lambda to: [
            "rclone", "copy", "--config", "/dev/null", "--transfers", "16", dataset, f"{remote}/{to}"]
    if shutil.which("s5cmd"):
        commands["s5cmd sync"] = lambda to: [
            "s5cmd", "--endpoint-url", url, "--log", "error", "sync", f"{dataset}/", f"s3://bucket/{to}/"]
    return commands


def compare_pushes(args, tool, work):
    dataset = work / "chunks.srf"
    if not dataset.exists():
        rng = random.Random(1)
        fastq = work / "chunks.fastq"
        with open(fastq, "w") as file:
            for read in range(args.chunks * 1000):
                bases = f"{rng.getrandbits(300):075x}".translate(str.maketrans("0123456789abcdef", "ACGT" * 4))
                file.write(f"@r{read}\n{bases[:75]}\n+\n{'F' * 75}\n")
        command = [tool, "fastq-to-srf", "--quiet", "--chunk-reads", "1000", fastq, dataset]
        subprocess.run(command, check=True)
    objects = sum(1 for file in dataset.rglob("*") if file.is_file())
    print(f"\n{objects:,} objects, {size(dataset) / 1e6:.1f} MB.\n")
    print("|  | latency ms | wall s | CPU s | wall, of push |\n|---|---:|---:|---:|---:|")
    for latency in (0, LATENCY):
        times = {}
        for round_ in range(args.rounds):
            with Server(args.serve, latency) as server:
                for name, command in pushes(tool, dataset, server.url).items():
                    wall, cpu, _ = server.run(command(f"{round_}-{name.split()[0]}"))
                    times.setdefault(name, []).append((wall, cpu))
        own = median(wall for wall, _ in times["format-tools push"])
        for name, values in times.items():
            wall, cpu = median(w for w, _ in values), median(c for _, c in values)
            print(f"| `{name}` | {latency} | {wall:.2f} | {cpu:.2f} | {wall / own:.2f} |")


def compare_latencies(args, tool, work):
    bam = work / "convert.bam"
    if not bam.exists():
        subprocess.run([tool, "simulate", "--quiet", "--reads", args.reads, "-o", bam], check=True)
    dataset = work / "convert.paf"
    if not dataset.exists():
        subprocess.run([tool, "bam-to-paf", "--quiet", bam, dataset], check=True)
    jobs = {
        "bam-to-paf": lambda to: [tool, "bam-to-paf", "--quiet", bam, f"s3://bucket/{to}.paf"],
        "push": lambda to: [tool, "push", "--quiet", dataset, f"s3://bucket/{to}.paf"],
    }
    print(f"\n{size(dataset) / 1e6:.1f} MB, median of {args.rounds} alternating runs.\n")
    print(f"|  | wall s, no latency | wall s, {LATENCY} ms | rate kept |\n|---|---:|---:|---:|")
    for name, command in jobs.items():
        walls = {0: [], LATENCY: []}
        for round_ in range(args.rounds):
            for latency in walls:
                with Server(args.serve, latency) as server:
                    walls[latency].append(server.run(command(f"{name}{round_}"))[0])
        without, with_ = median(walls[0]), median(walls[LATENCY])
        print(f"| `{name}` | {without:.2f} | {with_:.2f} | {without / with_:.2f} |")


def compare_queries(args, tool, work):
    dataset = work / "convert.paf"
    rng = random.Random(5)
    print("\n| region | round trips | MB | seconds | trips × 30 ms + bytes at the server's rate | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    with Server(args.serve, 0) as fast, Server(args.serve, LATENCY) as slow:
        for server in (fast, slow):
            server.run([tool, "push", "--quiet", dataset, "s3://bucket/q.paf"])
        for width in (10_000, 1_000_000):
            rows = []
            for _ in range(5 * args.rounds):
                start = rng.randrange(1, 1_000_000)
                region = f"chr1:{start}-{start + width}"
                query = [tool, "paf-query", "--quiet", "-c", "s3://bucket/q.paf", region]
                walls = [median(s.run(query)[0] for _ in range(3)) for s in (fast, slow)]
                stats = subprocess.run(
                    query[:2] + ["--stats", "--json", "-c", "s3://bucket/q.paf", region],
                    env=slow.environment, capture_output=True, text=True, check=True)
                stats = json.loads(next(l for l in (stats.stderr + stats.stdout).splitlines() if l.startswith("{")))
                stats = stats.get("stats", stats)
                trips = stats["round_trips"]
                # Without latency, the time is that of the bytes at this server's rate, and of the program.
                rows.append((trips, stats["bytes_fetched"] / 1e6, walls[1], trips * LATENCY / 1e3 + walls[0]))
            trips, megabytes, wall, bound = (median(row[at] for row in rows) for at in range(4))
            ratio = median(row[2] / row[3] for row in rows)
            print(f"| {width:,} bases | {trips} | {megabytes:.2f} | {wall:.3f} | {bound:.3f} | {ratio:.2f} |")


def measure_memory(args, tool, work):
    """Peak memory of pushing objects that are sent in parts."""
    code = (
        "import resource,subprocess,sys;"
        "subprocess.run(sys.argv[1:],check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)"
    )
    folder = work / "large.srf"
    if not folder.exists():
        command = [tool, "fastq-to-srf", "--quiet", "--chunk-reads", "1000000", work / "chunks.fastq", folder]
        subprocess.run(command, check=True)
        # The same bytes under more names, as large objects are rarely alone.
        subprocess.run([tool, "fastq-to-srf", "--quiet", "--overwrite", *command[3:]], check=True)
        subprocess.run([tool, "fastq-to-srf", "--quiet", "--overwrite", *command[3:]], check=True)
    print("\n| objects | objects at once | peak MB |\n|---|---:|---:|")
    for folder in sorted(work.glob("large*.srf")):
        for at_once in (1, 16, 64):
            with Server(args.serve, 0) as server:
                command = [tool, "push", "--quiet", "-@", str(at_once), folder, "s3://bucket/l.srf"]
                done = subprocess.run(
                    ["python3", "-c", code, *map(str, command)],
                    env=server.environment, capture_output=True, text=True, check=True)
            sizes = sorted(file.stat().st_size for file in folder.rglob("*.srf"))
            shown = f"{len(sizes)} of {sizes[-1] / 1e6:.0f} MB"
            print(f"| {shown} | {at_once} | {float(done.stdout):.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=2000)
    parser.add_argument("--reads", default="2M")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--work", default=None)
    parser.add_argument("--only", default="push,latency,query,memory")
    args = parser.parse_args()
    tool = os.path.abspath(f"{args.bin}/format-tools")
    args.serve = os.path.abspath(f"{args.bin}/serve")
    work = pathlib.Path(args.work or tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    parts = {
        "push": compare_pushes,
        "latency": compare_latencies,
        "query": compare_queries,
        "memory": measure_memory,
    }
    for name in args.only.split(","):
        parts[name](args, tool, work)


if __name__ == "__main__":
    main()

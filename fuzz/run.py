#!/usr/bin/env python3
"""Runs the fuzz targets in turn, a slice of time each, until each was executed often enough.

    python3 fuzz/run.py [--executions N] [--slice SECONDS] [--until HH:MM] [TARGET…]

Build them before: cargo +nightly fuzz build -s none -O. A target that found something is left out;
the input is in fuzz/artifacts/TARGET/. Counts are kept in fuzz/artifacts/executions.json.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import time

FUZZ = pathlib.Path(__file__).resolve().parent
# A length that lies must not become an allocation: so many bytes of addresses, and of memory.
ADDRESSES = 2 << 30
MEMORY_MB = 512
TIMEOUT = 10
# What a decoder frees stays with the process: faulting it in again takes longer than most inputs.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}
# Inputs longer than the structure needs only cost time.
MOST_BYTES = {
    **dict.fromkeys(["region"], 48),
    **dict.fromkeys(["bed", "filter_expression", "vcf_expression", "hail_types"], 160),
    **dict.fromkeys(["codec", "codec_names", "codec_models", "codec_round_trip", "sam", "bam_record", "fastq"], 400),
    **dict.fromkeys(["srf_index", "ram_index", "hail_part", "paf_index"], 400),
    **dict.fromkeys(["vcs_parquet", "alignment_file", "ram_batch"], 4096),
}


def run(target, binary, executions, seconds):
    """Runs a slice: how many executions, and whether nothing was found."""
    corpus, artifacts = FUZZ / "corpus" / target, FUZZ / "artifacts" / target
    corpus.mkdir(parents=True, exist_ok=True)
    artifacts.mkdir(parents=True, exist_ok=True)
    command = [
        "prlimit", f"--as={ADDRESSES}", "nice", "-n", "19", binary, corpus,
        f"-runs={executions}", f"-max_total_time={seconds}", f"-timeout={TIMEOUT}",
        f"-rss_limit_mb={MEMORY_MB}", f"-max_len={MOST_BYTES.get(target, 2048)}",
        "-print_final_stats=1", f"-artifact_prefix={artifacts}/",
    ]
    with open(artifacts.with_suffix(".log"), "wb") as log:
        done = subprocess.run(command, stdout=log, stderr=log, check=False, env=os.environ | ALLOCATOR)
    log = artifacts.with_suffix(".log").read_text(errors="replace")
    counts = re.findall(r"^stat::number_of_executed_units: +(\d+)", log, re.M)
    # Where it did not live to count, its last line of progress did.
    counts = counts or re.findall(r"^#(\d+)\t", log, re.M) or ["0"]
    return int(counts[-1]), done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--executions", type=int, default=10_000_000)
    parser.add_argument("--slice", type=int, default=60)
    parser.add_argument("--until", help="no slice starts after this time of day")
    arguments = parser.parse_args()
    triple = subprocess.run(["rustc", "+nightly", "-vV"], capture_output=True, text=True, check=True)
    triple = re.search(r"^host: (.*)$", triple.stdout, re.M).group(1)
    binaries = FUZZ / "target" / triple / "release"
    every = sorted(path.stem for path in (FUZZ / "fuzz_targets").glob("*.rs"))
    kept = FUZZ / "artifacts" / "executions.json"
    kept.parent.mkdir(exist_ok=True)
    counts = json.loads(kept.read_text()) if kept.exists() else {}
    found, turns = set(), []
    while arguments.until is None or time.strftime("%H:%M") < arguments.until:
        if not turns:
            turns = [t for t in arguments.targets or every if t not in found]
            turns = [t for t in turns if counts.get(t, 0) < arguments.executions]
        if not turns:
            break
        target = turns.pop(0)
        rest = arguments.executions - counts.get(target, 0)
        count, is_clean = run(target, binaries / target, rest, arguments.slice)
        counts[target] = counts.get(target, 0) + count
        kept.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
        if not is_clean:
            found.add(target)
        outcome = "nothing found" if is_clean else f"see fuzz/artifacts/{target}.log"
        print(f"{target}: {counts[target]:,} executions, {outcome}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())

#!/usr/bin/env python3
"""What one query of 1 kb on an export costs DuckDB, Polars and pyarrow, over S3.

    cargo build --release -p testkit --bin serve
    python3 benches/query_bytes.py --serve target/release/serve OUT [OUT ...]

Each OUT is a folder of `contig=…` on the disk of the temporary folder, from which it is linked into
the bucket of a server of the tests. Every query is `SELECT *` of 1,000 positions of chr1, asked by a
process of its own; of three queries the dearest is told: requests, bytes of listings, bytes of
objects, and how many different objects they were of.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

KEYS = ("test-access-key", "test-secret-key")
STARTS = (100_000_000, 5_000_000, 200_123_000)

QUERY = r"""
import sys
engine, endpoint, root, first, last, key, secret = sys.argv[1:]
first, last = int(first), int(last)
if engine == 'duckdb':
    import duckdb, duckdb_extension_httpfs, pathlib
    folder = pathlib.Path(duckdb_extension_httpfs.__file__).parent
    duckdb.sql(f"LOAD '{folder}/extensions/v{duckdb.__version__}/httpfs.duckdb_extension'")
    duckdb.sql(f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION 'us-east-1', ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)")
    print(len(duckdb.sql(f"SELECT * FROM parquet_scan('{root}/**/*.parquet', hive_partitioning=1) WHERE contig='chr1' AND position BETWEEN {first} AND {last}").fetchall()))
elif engine.startswith('polars'):
    import polars as pl
    if engine.endswith('folder'):
        root += '/contig=chr1'
    options = {'aws_access_key_id': key, 'aws_secret_access_key': secret, 'aws_region': 'us-east-1', 'aws_endpoint_url': 'http://' + endpoint, 'aws_allow_http': 'true'}
    frame = pl.scan_parquet(root + '/', hive_partitioning=True, storage_options=options)
    print(frame.filter((pl.col('contig') == 'chr1') & pl.col('position').is_between(first, last)).collect().height)
else:
    import pyarrow.dataset as ds, pyarrow.fs as fs
    files = fs.S3FileSystem(endpoint_override=endpoint, scheme='http', access_key=key, secret_key=secret, region='us-east-1')
    dataset = ds.dataset(root.removeprefix('s3://'), format='parquet', partitioning='hive', filesystem=files)
    where = (ds.field('contig') == 'chr1') & (ds.field('position') >= first) & (ds.field('position') <= last)
    print(dataset.to_table(filter=where).num_rows)
"""


def requests(log, start):
    """Lines of the log from byte `start` on, once it has not grown for a while."""
    size = -1
    while size != log.stat().st_size:
        size = log.stat().st_size
        time.sleep(0.3)
    with log.open() as lines:
        lines.seek(start)
        return [line.rstrip("\n").split("\t") for line in lines], size


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", required=True)
    parser.add_argument("--show", action="store_true", help="print every request")
    parser.add_argument("--engines", default="duckdb,polars,polars-folder,pyarrow")
    parser.add_argument("outputs", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        log = folder / "log"
        server = subprocess.Popen(
            [arguments.serve, "--s3", "--log", log],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        try:
            endpoint = server.stdout.readline().strip().removeprefix("http://")
            bucket = next(folder.glob("*/bucket"))
            read = 0
            print("| export | engine | rows | requests | listings | of objects | objects |")
            print("|---|---|---:|---:|---:|---:|---:|")
            for output in arguments.outputs:
                subprocess.run(["cp", "-al", output, bucket / output.name], check=True)
                for engine in arguments.engines.split(","):
                    worst = None
                    for first in STARTS:
                        asked = subprocess.run(
                            [sys.executable, "-c", QUERY, engine, endpoint]
                            + [f"s3://bucket/{output.name}", str(first), str(first + 999), *KEYS],
                            stdout=subprocess.PIPE,
                            text=True,
                            check=True,
                        )
                        lines, read = requests(log, read)
                        if arguments.show:
                            print(*lines, sep="\n")
                        objects = [line for line in lines if ".parquet" in line[1]]
                        listings = sum(int(line[4]) for line in lines if line not in objects)
                        told = (
                            sum(int(line[4]) for line in objects),
                            listings,
                            len(lines),
                            len({line[1] for line in objects}),
                            asked.stdout.strip(),
                        )
                        worst = max(worst, told) if worst else told
                    size, listings, count, touched, rows = worst
                    print(f"| {output.name} | {engine} | {rows} | {count} | {listings:,} | {size:,} | {touched} |")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What a model of Amazon's own service (moto, from PyPI) says to the commands that move datasets.

    pip install 'moto[s3,server]' && python3 benches/moto_by_hand.py [--bin target/release]

Not part of CI, because moto brings 300 MB of other packages. Ends with "all is well", or fails.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

import boto3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="target/release")
    args = parser.parse_args()
    tool = os.path.abspath(f"{args.bin}/format-tools")
    work = pathlib.Path(tempfile.mkdtemp())
    address = "http://127.0.0.1:5055"
    server = subprocess.Popen(
        ["moto_server", "-H", "127.0.0.1", "-p", "5055"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(address)
                break
            except OSError:
                time.sleep(0.1)
        check(tool, work, address)
    finally:
        server.terminate()
        server.wait()
    print("all is well")


def check(tool, work, address):
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}
    bare = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment = dict(bare, AWS_ENDPOINT_URL=address, **keys)

    def run(*words, code=0, env=environment):
        done = subprocess.run([tool, *words], env=env, cwd=work, capture_output=True, text=True)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    s3 = boto3.client("s3", endpoint_url=address, region_name="eu-west-1",
                      aws_access_key_id="key", aws_secret_access_key="secret")
    run("simulate", "--quiet", "--reads", "400k", "-o", "x.bam")
    run("bam-to-paf", "--quiet", "x.bam", "x.paf")

    run("push", "--create-bucket", "x.paf", "s3://new-bucket/x.paf")
    assert s3.get_bucket_location(Bucket="new-bucket")["LocationConstraint"] == "eu-west-1"
    run("push", "--create-bucket", "x.paf", "s3://new-bucket/x.paf")
    run("verify", "s3://new-bucket/x.paf")
    run("pull", "s3://new-bucket/x.paf", "back.paf")
    run("verify", "back.paf")

    objects = s3.list_objects_v2(Bucket="new-bucket")["Contents"]
    largest = max(objects, key=lambda o: o["Size"])["Key"]
    head = s3.head_object(Bucket="new-bucket", Key=largest, ChecksumMode="ENABLED")
    assert head.get("ChecksumSHA256"), head

    run("cors", "--origin", "https://igv.org", "s3://new-bucket")
    rule = s3.get_bucket_cors(Bucket="new-bucket")["CORSRules"][0]
    assert rule["AllowedOrigins"] == ["https://igv.org"] and "GET" in rule["AllowedMethods"], rule

    run("push", "--storage-class", "STANDARD_IA", "--sse", "aws:kms", "--sse-kms-key-id", "key-1",
        "x.paf", "s3://new-bucket/choices.paf")
    head = s3.head_object(Bucket="new-bucket", Key=largest.replace("x.paf/", "choices.paf/"))
    assert head["StorageClass"] == "STANDARD_IA" and head["ServerSideEncryption"] == "aws:kms", head
    assert head["SSEKMSKeyId"] == "key-1", head

    count = run("paf-query", "-c", "x.paf", "chr1:1k-200k")
    run("share", "--expires", "3s", "-o", "x.share", "s3://new-bucket/x.paf")
    assert run("paf-query", "-c", "x.share", "chr1:1k-200k", env=bare) == count

    s3.copy_object(Bucket="new-bucket", Key=largest, StorageClass="GLACIER",
                   CopySource={"Bucket": "new-bucket", "Key": largest})
    said = run("verify", "s3://new-bucket/x.paf", code=1)
    assert "archive" in said and "restore-object" in said, said
    print(json.dumps({"objects": len(objects), "largest": largest}))


if __name__ == "__main__":
    main()

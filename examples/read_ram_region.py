#!/usr/bin/env python3
"""Prints the alignments of a sample in a region of a RAM dataset, from its files alone.

    python3 examples/read_ram_region.py cohort.ram chr1:1000-2000 NA12878

It follows spec/ram.md with nothing of this project, for a dataset in a folder. The lines are those
of `samtools view`. Needs pyarrow.
"""

import base64
import json
import pathlib
import struct
import sys

import pyarrow as pa

UNPLACED = 0xFFFFFFFF


class Bytes:
    """Numbers, one after another."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def uint32(self):
        return struct.unpack("<I", self.take(4))[0]


def crc32c(data):
    """Slow, and enough for pages of the index."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def regions(text):
    """For each region: contig, number on it, how many contigs; where the page of alignments lies."""
    data, offset, found = Bytes(base64.b64decode(text)), 0, []
    for _ in range(data.varint()):
        place = data.varint(), data.varint(), data.varint()
        pages = []
        for _ in range(3):
            size = data.varint()
            pages.append((offset, size, data.uint32() if size else 0))
            offset += size
        found.append((place, pages[0]))
    return found


def page(data):
    """Files, and batches with where they lie and what they hold."""
    data, batches = Bytes(data), []
    files = [data.take(data.varint()).decode() for _ in range(data.varint())]
    for _ in range(data.varint()):
        batch = {
            "file": files[data.varint()],
            "offset": data.varint(),
            "size": data.varint(),
            "head": data.varint(),
            "crc": data.uint32(),
            "start": data.varint(),
        }
        batch["end"] = batch["start"] + data.varint()
        first = data.varint()
        batch["rows"] = {first + at: data.varint() for at in range(data.varint())}
        batches.append(batch)
    return batches


def rows_of(folder, batch):
    """The rows of a batch, with numbers in place of the names that dictionaries hold."""
    with open(folder / batch["file"], "rb") as file:
        schema = pa.ipc.open_file(file).schema
        file.seek(batch["offset"])
        message = file.read(batch["size"])
    for at, field in enumerate(schema):
        if pa.types.is_dictionary(field.type):
            schema = schema.set(at, field.with_type(field.type.index_type))
    return pa.ipc.read_record_batch(pa.ipc.read_message(message), schema).to_pylist()


def line(row, names):
    def or_star(value):
        return "*" if value is None else value

    def name(key):
        return "*" if key is None else names[key]

    mate = "=" if row["mate_contig"] is not None and row["mate_contig"] == row["contig"] else None
    fields = [
        or_star(row["read_name"]),
        row["flags"],
        name(row["contig"]),
        row["position"] or 0,
        row["mapping_quality"],
        or_star(row["cigar"]),
        mate or name(row["mate_contig"]),
        row["mate_position"] or 0,
        row["template_length"],
        "*" if row["sequence"] is None else row["sequence"].decode(),
        "*" if row["quality"] is None else "".join(chr(value + 33) for value in row["quality"]),
    ]
    return "\t".join(str(field) for field in fields + ([row["tags"]] if row["tags"] else []))


def alignments(folder, contig_name, start, end, sample):
    """Lines of the reads that overlap start to end, 0-based and half-open, in the sample's order."""
    newest = max((folder / "_manifests").glob("v*.json"))
    manifest = json.loads(newest.read_text())
    lengths, size = manifest["lengths"], manifest["region_size"]
    contig = manifest["chromosomes"].index(contig_name)
    for layer in manifest["layers"]:
        stream = pa.CompressedInputStream(pa.OSFile(str(folder / layer["samples"])), "zstd")
        listed = json.loads(stream.read())
        numbers = [at for at, of in enumerate(listed["samples"]) if of["name"] == sample]
        if not numbers:
            continue
        names = [manifest["chromosomes"][of] for of in listed["contigs"]]
        for (first, ordinal, contigs), (offset, length, crc) in regions(layer["regions"]):
            if first == UNPLACED or not first <= contig < first + contigs or not length:
                continue
            shown = start, end
            if contigs > 1:
                # Counted through all contigs of the region, with a position behind each.
                before = sum(of + 1 for of in lengths[first:contig])
                shown = tuple(before + min(at, lengths[contig] + 1) for at in shown)
            with open(folder / layer["index"], "rb") as file:
                file.seek(offset)
                data = file.read(length)
            assert crc32c(data) == crc, "the page is not as it was written"
            for batch in page(data):
                is_near = batch["start"] < shown[1] and shown[0] < max(batch["end"], batch["start"] + 1)
                if not is_near or not batch["rows"].get(numbers[0]):
                    continue
                for row in rows_of(folder, batch):
                    if row["sample_id"] != numbers[0] or row["contig"] is None:
                        continue
                    of = listed["contigs"][row["contig"]]
                    begins = row["position"] - 1
                    if of != contig or begins >= end or row["end"] <= start:
                        continue
                    # Of the regions that a read is in, one hands it on.
                    last = max(-(-lengths[contig] // size), 1) - 1
                    if min(max(begins, start) // size, last) == ordinal:
                        yield line(row, names)


def main():
    folder, region, sample = sys.argv[1:]
    contig, _, bounds = region.rpartition(":")
    start, end = (int(bound.replace(",", "")) for bound in bounds.split("-"))
    for text in alignments(pathlib.Path(folder), contig, start - 1, end, sample):
        print(text)


if __name__ == "__main__":
    main()

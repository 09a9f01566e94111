#!/usr/bin/env python3
"""Prints the alignments of one PAF chunk as SAM lines, from spec/paf.md and spec/codecs.md alone.

    python3 examples/read_paf_chunk.py sample.paf chr1/chunk_0000000000-0001000000.….bin

The dataset is a folder on this disk. With `--raw`, records are written as BAM has them, each after
its `block_size`. Needs Python 3.9 and the package `zstandard`. Made to be read, not to be fast: it
shows that the specification is complete.
"""

import argparse
import hashlib
import json
import struct
import sys
from itertools import accumulate
from pathlib import Path

from paf_codecs import Cursor, decode, require, unfold

BASES = "=ACMGRSVTWYHKDBN"
OPERATIONS = "MIDNSHP=X"
ACGT = [1, 2, 4, 8]
PAIRED, PROPER, UNMAPPED, MATE_UNMAPPED, REVERSE, MATE_REVERSE = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
READ1, READ2, QC_FAIL, DUPLICATE = 0x40, 0x80, 0x200, 0x400
ARRAY = 0x80
LONGEST_CIGAR = 65_535


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def crc_table():
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in table]
    return table


CRC_TABLE = crc_table()


# The chunk -----------------------------------------------------------------------------------------


def blocks_of(chunk):
    """Checks a chunk's header and directory; yields the number of records and streams per block."""
    magic, version, compression = chunk[:4], *struct.unpack("<HB", chunk[4:7])
    require(magic == b"PAF1" and (version, compression) == (1, 1), "no chunk of PAF 1")
    reads, digest = struct.unpack("<I32s", chunk[16:52])
    directory_len, check = struct.unpack("<II", chunk[56:64])
    require(crc32c(chunk[:60]) == check, "the chunk's header is damaged")
    require(hashlib.sha256(chunk[64:]).digest() == digest, "the chunk is damaged")
    directory = chunk[64 : 64 + directory_len - 4]
    check = struct.unpack("<I", chunk[60 + directory_len : 64 + directory_len])[0]
    require(crc32c(directory) == check, "the directory is damaged")
    cursor, at, total = Cursor(directory), 64 + directory_len, 0
    for _ in range(cursor.varint()):
        block = block_entry(cursor)
        for stream in block["streams"]:
            stream["data"] = chunk[at : at + stream["len"]]
            at += stream["len"]
        total += block["records"]
        yield block
    cursor.finish()
    require(at == len(chunk) and total == reads, "the chunk and its directory disagree")


def block_entry(cursor):
    block = {"records": cursor.varint(), "bytes": cursor.varint()}
    block["first"] = cursor.signed(), cursor.signed()
    block["last"] = cursor.signed(), cursor.signed()
    block["reach"] = cursor.varint()
    block["far"] = [(cursor.varint(), cursor.varint()) for _ in range(cursor.varint())]
    block["digest"] = cursor.take(16)
    block["streams"] = [stream_entry(cursor) for _ in range(cursor.varint())]
    return block


def stream_entry(cursor):
    series = cursor.u8()
    key = (series, cursor.take(3)) if series >= 0x80 else series
    stream = {"key": key, "codec": cursor.u8(), "len": cursor.varint(), "raw": cursor.varint()}
    return stream | {"check": cursor.u32()}


class Streams:
    """The streams of a block by series; a missing one is empty."""

    def __init__(self, block):
        self.coded = {stream["key"]: stream for stream in block["streams"]}
        self.open = {}

    def __getitem__(self, key):
        if key not in self.open:
            self.open[key] = Cursor(self.raw(key))
        return self.open[key]

    def raw(self, key, reads=None):
        stream = self.coded.get(key)
        if stream is None:
            return b""
        require(crc32c(stream["data"]) == stream["check"], f"stream {key} is damaged")
        return decode(stream["codec"], stream["data"], stream["raw"], reads)

    def finish(self):
        for cursor in self.open.values():
            cursor.finish()


# The series ----------------------------------------------------------------------------------------


class Block:
    """The records of a block, column by column."""

    def __init__(self, entry):
        self.count = entry["records"]
        self.streams = Streams(entry)
        self.read_core()
        self.read_links()
        self.read_flags_and_mapq()
        self.read_mates()
        self.read_reference()
        self.read_bases()
        self.read_rest()

    def read_core(self):
        s = self.streams
        self.contig, self.position, self.length, self.cigar, self.end = [], [], [], [], []
        contig = position = 0
        for _ in range(self.count):
            step = s[0x01].signed()
            position = s[0x02].signed() + (position if step == 0 else 0)
            contig += step
            length = s[0x03].varint()
            cigar = self.read_cigar(length)
            span = sum(n for n, op in cigar if op in (0, 2, 3, 7, 8))
            self.contig.append(contig)
            self.position.append(position)
            self.length.append(length)
            self.cigar.append(cigar)
            self.end.append(position + max(span, 1))

    def read_cigar(self, length):
        s = self.streams
        shape = s[0x04].varint()
        if shape < 2:
            return [(length, 0)] if shape else []
        codes = list(s[0x05].take(shape - 1))
        all_stated = codes[0] & 0x80
        codes[0] &= 0x7F
        along_read = [at for at, op in enumerate(codes) if op in (0, 1, 4, 7, 8)]
        implied = along_read[-1] if along_read and not all_stated else None
        series = {0: 0x06, 7: 0x06, 8: 0x06, 1: 0x07, 2: 0x07, 6: 0x07, 4: 0x08, 5: 0x08, 3: 0x09}
        lengths = [0 if at == implied else s[series[op]].varint() for at, op in enumerate(codes)]
        if implied is not None:
            lengths[implied] = length - sum(lengths[at] for at in along_read)
        return list(zip(lengths, codes))

    def is_aligned(self, i):
        covered = sum(n for n, op in self.cigar[i] if op in (0, 1, 4, 7, 8))
        return self.contig[i] >= 0 and self.position[i] >= 0 and covered == self.length[i] > 0

    def read_links(self):
        self.upper, self.lower = [None] * self.count, [None] * self.count
        for i in range(self.count):
            distance = 0 if self.upper[i] is not None else self.streams[0x0A].varint()
            if distance:
                self.lower[i], self.upper[i + distance] = i + distance, i

    def mate(self, i):
        return self.lower[i] if self.lower[i] is not None else self.upper[i]

    def read_flags_and_mapq(self):
        s = self.streams
        self.flags, self.mapq = [], []
        for upper in self.upper:
            if upper is None:
                self.flags.append(s[0x0C].u8() | s[0x0D].u8() << 8)
                self.mapq.append(s[0x0F].u8())
                continue
            of_upper = self.flags[upper]
            expected = of_upper & (PAIRED | PROPER | QC_FAIL | DUPLICATE) | ~of_upper & REVERSE
            expected |= (READ1 if of_upper & READ2 else 0) | (READ2 if of_upper & READ1 else 0)
            self.flags.append(expected ^ s[0x0E].varint())
            self.mapq.append((self.mapq[upper] + s[0x10].u8()) % 256)
        stored = list(self.flags)
        for i in range(self.count):
            if self.mate(i) is not None:
                of_mate = stored[self.mate(i)]
                self.flags[i] |= MATE_REVERSE if of_mate & REVERSE else 0
                self.flags[i] |= MATE_UNMAPPED if of_mate & UNMAPPED else 0

    def read_mates(self):
        s = self.streams
        self.mate_place, self.tlen = [None] * self.count, [0] * self.count
        for i in range(self.count):
            if self.mate(i) is not None:
                mate = self.mate(i)
                self.mate_place[i] = self.contig[mate], self.position[mate]
                if self.lower[i] is not None:
                    self.tlen[i], self.tlen[mate] = self.pair_tlen(i, mate, s[0x0B].u8())
                continue
            choice = s[0x11].varint()
            contig = {0: -1, 1: self.contig[i]}.get(choice, choice - 2)
            contig = contig - (1 << 32) if contig >= 1 << 31 else contig
            base = self.position[i] if choice == 1 else -1
            position = base + s[0x12].signed()
            self.mate_place[i] = contig, position
            self.tlen[i] = s[0x13].signed() + self.estimated_tlen(i, contig, position)

    def pair_tlen(self, upper, lower, rule):
        if rule in (4, 5):
            first = self.streams[0x13].signed()
            return first, -first if rule == 4 else self.streams[0x13].signed()
        if rule == 3:
            return 0, 0
        start = self.position
        if rule == 2:
            five = [self.end[i] - 1 if self.flags[i] & REVERSE else start[i] for i in (upper, lower)]
            step = five[1] - five[0]
            span = step + (step > 0) - (step < 0)
            return span, -span
        span = max(self.end[upper], self.end[lower]) - min(start[upper], start[lower])
        upper_is_left = start[upper] <= start[lower]
        if start[upper] == start[lower] and rule == 0:
            upper_is_left = bool(self.flags[upper] & READ1)
        return (span, -span) if upper_is_left else (-span, span)

    def estimated_tlen(self, i, contig, position):
        if contig < 0 or contig != self.contig[i]:
            return 0
        if position < self.position[i]:
            return position - self.end[i]
        return position + self.length[i] - self.position[i]

    # Bases

    def read_reference(self):
        """The bases under aligned reads, as a dictionary from (contig, position) to code."""
        spans = []
        for i in filter(self.is_aligned, range(self.count)):
            at = self.position[i]
            for length, op in self.cigar[i]:
                if op in (0, 7, 8) or op == 2 and length <= 1000:
                    spans.append((self.contig[i], at, at + length))
                at += length if op in (0, 2, 3, 7, 8) else 0
        places, reached = [], (None, 0)
        for contig, start, end in sorted(spans):
            start = max(start, reached[1]) if reached[0] == contig else start
            places += [(contig, position) for position in range(start, end)]
            reached = contig, max(end, reached[1] if reached[0] == contig else 0)
        packed = self.streams[0x20].take(-(-len(places) // 4))
        codes = [ACGT[packed[at // 4] >> 2 * (at % 4) & 3] for at in range(len(places))]
        odd, at = self.streams[0x21], 0
        while not odd.is_done():
            at += odd.varint()
            codes[at] = odd.u8()
        self.reference = dict(zip(places, codes))

    def read_bases(self):
        s = self.streams
        self.bases, self.differing = [], []
        for i in range(self.count):
            if not self.is_aligned(i):
                self.bases.append(list(s[0x26].take(self.length[i])))
                self.differing.append(0)
                continue
            count = s[0x22].varint()
            gap = s[0x23].varint() if count else None
            codes, at, left = [], self.position[i], count
            for length, op in self.cigar[i]:
                if op in (1, 4):
                    codes += s[0x25].take(length)
                for position in range(at, at + length if op in (0, 7, 8) else at):
                    code = self.reference[self.contig[i], position]
                    if gap == 0:
                        code, left = self.substitute(code, s[0x24].u8()), left - 1
                        gap = s[0x23].varint() if left else None
                    elif gap is not None:
                        gap -= 1
                    codes.append(code)
                at += length if op in (0, 2, 3, 7, 8) else 0
            self.bases.append(codes)
            self.differing.append(count)

    @staticmethod
    def substitute(code, symbol):
        if symbol < 3:
            return ACGT[(ACGT.index(code) + (2, 1, 3)[symbol]) % 4]
        return 15 if symbol == 3 else symbol - 4

    # Names, qualities, tags, and what is out of the ordinary

    def read_rest(self):
        s = self.streams
        present = list(s[0x30].take(self.count))
        stored = [i for i in range(self.count) if present[i]]
        reads = [(self.length[i], int(bool(self.flags[i] & READ2))) for i in stored]
        qualities = Cursor(s.raw(0x31, reads))
        self.qualities = [
            qualities.take(n) if there else b"\xff" * n for n, there in zip(self.length, present)
        ]
        qualities.finish()
        self.names = []
        for upper in self.upper:
            self.names.append(s[0x38].until_nul() if upper is None else self.names[upper])
        self.bins = dict(self.exceptions(0x14, lambda cursor: struct.unpack("<H", cursor.take(2))[0]))
        self.padding = dict(self.exceptions(0x27, Cursor.u8))
        self.lists = []
        while not s[0x40].is_done():
            self.lists.append([s[0x40].take(3) for _ in range(s[0x40].varint())])
        self.dictionaries = {}
        self.tags = [b"".join(self.tag(i, key) for key in self.tag_list()) for i in range(self.count)]
        input_order = s[0x48]
        if not input_order.is_done():
            self.ordinals = list(accumulate(input_order.signed() for _ in range(self.count)))
        s.finish()

    def exceptions(self, series, read):
        cursor, at = self.streams[series], 0
        while not cursor.is_done():
            at += cursor.varint()
            yield at, read(cursor)

    def tag_list(self):
        return self.lists[self.streams[0x41].varint()]

    def tag(self, i, key):
        """One tag of record `i` as BAM has it."""
        name, kind = key[:2], key[2]
        values, extras = self.streams[0x80, key], self.streams[0x81, key]
        if kind in b"ZH":
            return key + self.text(i, key, values, extras) + b"\0"
        letter = chr(kind & ~ARRAY)
        width = {"A": 1, "c": 1, "C": 1, "s": 2, "S": 2, "i": 4, "I": 4, "f": 4}[letter]
        if kind & ARRAY:
            count = extras.varint()
            return name + b"B" + letter.encode() + struct.pack("<I", count) + values.take(count * width)
        if letter in "cCsSiI" and name in (b"NM", b"MQ"):
            value = values.signed() + self.expected(i, name)
        elif letter in "si":
            value = values.signed()
        elif letter in "SI":
            value = values.varint()
        else:
            return key + values.take(width)
        return key + value.to_bytes(width, "little", signed=letter.islower())

    def expected(self, i, name):
        if name == b"MQ":
            return 0 if self.mate(i) is None else self.mapq[self.mate(i)]
        if not self.is_aligned(i):
            return 0
        return self.differing[i] + sum(n for n, op in self.cigar[i] if op in (1, 2))

    def text(self, i, key, values, extras):
        if key in (b"MDZ", b"MCZ") and self.streams[0x82, key].u8():
            return self.md(i) if key == b"MDZ" else cigar_text(self.cigar[self.mate(i)]).encode()
        if key not in self.dictionaries:
            form, listed = values.u8(), []
            while form == 1 and not extras.is_done():
                listed.append(extras.until_nul())
            self.dictionaries[key] = form, listed
        form, listed = self.dictionaries[key]
        if form == 1:
            return listed[values.varint()]
        text = values.until_nul()
        if form == 0:
            return text
        return b"".join(b"%d" % extras.varint() if c == 1 else bytes([c]) for c in text)

    def md(self, i):
        text, equal, at, read_at = "", 0, self.position[i], 0
        for length, op in self.cigar[i]:
            if op == 2 and length:
                deleted = (self.reference[self.contig[i], p] for p in range(at, at + length))
                text += f"{equal}^" + "".join(BASES[code] for code in deleted)
                equal = 0
            for k in range(length if op in (0, 7, 8) else 0):
                code = self.reference[self.contig[i], at + k]
                if code == self.bases[i][read_at + k]:
                    equal += 1
                else:
                    text += f"{equal}{BASES[code]}"
                    equal = 0
            read_at += length if op in (0, 1, 4, 7, 8) else 0
            at += length if op in (0, 2, 3, 7, 8) else 0
        return f"{text}{equal}".encode()

    # Records

    def bin(self, i):
        if i in self.bins:
            return self.bins[i]
        start = self.position[i]
        last = (start if self.flags[i] & UNMAPPED else self.end[i] - 1)
        for shift, offset in ((14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)):
            if start >> shift == last >> shift:
                return offset + (start >> shift) & 0xFFFF
        return 0

    def record(self, i):
        """Record `i` as BAM has it, without `block_size`."""
        name, cigar, codes = self.names[i] + b"\0", self.cigar[i], list(self.bases[i])
        tags = self.tags[i]
        if len(cigar) > LONGEST_CIGAR:
            tags += b"CGBI" + struct.pack("<I", len(cigar)) + packed_cigar(cigar)
            span = sum(n for n, op in cigar if op in (0, 2, 3, 7, 8))
            cigar = [(self.length[i], 4), (span, 3)]
        if len(codes) % 2:
            codes.append(self.padding.get(i, 0))
        fixed = struct.pack(
            "<iiBBHHHIiii", self.contig[i], self.position[i], len(name), self.mapq[i], self.bin(i),
            len(cigar), self.flags[i], self.length[i], *self.mate_place[i], self.tlen[i],
        )
        sequence = bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2]))
        return fixed + name + packed_cigar(cigar) + sequence + self.qualities[i] + tags

    def sam(self, i, chromosomes):
        """Record `i` as a line of SAM."""
        mate_contig, mate_position = self.mate_place[i]
        same = mate_contig >= 0 and mate_contig == self.contig[i]
        contig = chromosomes[self.contig[i]] if self.contig[i] >= 0 else "*"
        mate = "=" if same else chromosomes[mate_contig] if mate_contig >= 0 else "*"
        quality = self.qualities[i]
        has_quality = quality and any(q != 255 for q in quality)
        fields = [
            self.names[i].decode("latin-1"), self.flags[i], contig, self.position[i] + 1,
            self.mapq[i], cigar_text(self.cigar[i]), mate, mate_position + 1, self.tlen[i],
            "".join(BASES[code] for code in self.bases[i]) or "*",
            "".join(chr(q + 33) for q in quality) if has_quality else "*",
        ]
        return "\t".join([*map(str, fields), *tags_text(self.tags[i])])


def packed_cigar(cigar):
    return b"".join(struct.pack("<I", length << 4 | op) for length, op in cigar)


def cigar_text(cigar):
    return "".join(f"{length}{OPERATIONS[op]}" for length, op in cigar) or "*"


def tags_text(tags):
    cursor = Cursor(tags)
    formats = {"c": "b", "C": "B", "s": "h", "S": "H", "i": "i", "I": "I", "f": "f"}
    numbers = lambda kind, count: struct.unpack(
        f"<{count}{formats[kind]}", cursor.take(count * struct.calcsize(formats[kind]))
    )
    shown = lambda kind, number: f"{number:g}" if kind == "f" else str(number)
    while not cursor.is_done():
        name, kind = cursor.take(2).decode("latin-1"), chr(cursor.u8())
        if kind in "ZH":
            yield f"{name}:{kind}:{cursor.until_nul().decode('latin-1')}"
        elif kind == "A":
            yield f"{name}:A:{chr(cursor.u8())}"
        elif kind == "B":
            of = chr(cursor.u8())
            values = numbers(of, cursor.u32())
            yield f"{name}:B:{of}" + "".join("," + shown(of, value) for value in values)
        else:
            yield f"{name}:{'f' if kind == 'f' else 'i'}:{shown(kind, numbers(kind, 1)[0])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path, help="the folder of a PAF dataset")
    parser.add_argument("chunk", help="a chunk's path within it, as `format-tools files` lists it")
    parser.add_argument("--raw", action="store_true", help="write records as BAM has them")
    options = parser.parse_args()
    manifest = json.loads((options.dataset / "_metadata.json").read_text())
    require(manifest["format"] == "paf", "no PAF dataset")
    chunk = (options.dataset / options.chunk).read_bytes()
    for entry in blocks_of(chunk):
        block = Block(entry)
        for i in range(block.count):
            if options.raw:
                record = block.record(i)
                sys.stdout.buffer.write(struct.pack("<I", len(record)) + record)
            else:
                line = block.sam(i, manifest["chromosomes"]) + "\n"
                sys.stdout.buffer.write(line.encode("latin-1"))


if __name__ == "__main__":
    main()

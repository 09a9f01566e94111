"""The stream codecs of spec/codecs.md, in plain Python: made to be read, not to be fast.

Needs the package `zstandard` for codec 1 and nothing else. `decode` is the way in; everything that
breaks a rule of the specification raises `Damaged`.
"""

import struct
from itertools import accumulate

import zstandard


class Damaged(Exception):
    """Bytes that the specification does not allow."""


def require(condition, what):
    if not condition:
        raise Damaged(what)


class Cursor:
    """Bytes read from the front."""

    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, count):
        require(self.at + count <= len(self.data), "bytes end early")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                require(value < 1 << 64 and (byte or shift == 7), "a varint is too long")
                return value

    def signed(self):
        return unfold(self.varint())

    def until_nul(self):
        end = self.data.find(b"\0", self.at)
        require(end >= 0, "a text has no NUL")
        text = self.take(end - self.at)
        self.at += 1
        return text

    def rest(self):
        return self.take(len(self.data) - self.at)

    def is_done(self):
        return self.at == len(self.data)

    def finish(self):
        require(self.is_done(), "bytes are left over")


def unfold(value):
    """Zigzag folding undone: 0, 1, 2, 3 become 0, -1, 1, -2."""
    return (value >> 1) ^ -(value & 1)


def decode(codec, data, raw_len, reads=None):
    """The `raw_len` bytes of a stream. `reads` are (length, selector) pairs, for codec 4 alone."""
    if codec == 0:
        raw = data
    elif codec == 1:
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=raw_len) if raw_len else b""
    elif codec == 2:
        raw = rans(data, raw_len)
    elif codec == 3:
        raw = names(data)
    elif codec == 4:
        raw = quality(data, reads)
    elif codec == 5:
        require(len(data) == 1, "a constant is one byte")
        raw = data * raw_len
    elif codec == 6:
        raw = planes(data, raw_len)
    elif codec == 7:
        raw = order2(data, raw_len)
    else:
        raise Damaged(f"codec {codec} is unknown")
    require(len(raw) == raw_len, "a stream has another length than stated")
    return bytes(raw)


def embedded(cursor, raw_len):
    """stream(n) of the specification."""
    codec = cursor.u8()
    return decode(codec, cursor.take(cursor.varint()), raw_len)


# 6 Planes ------------------------------------------------------------------------------------------


def planes(data, raw_len):
    cursor, raw = Cursor(data), bytearray(raw_len)
    width = cursor.u8()
    for plane in range(width):
        raw[plane::width] = embedded(cursor, len(range(plane, raw_len, width)))
    cursor.finish()
    return raw


# 2 rANS --------------------------------------------------------------------------------------------

ORDER1, WIDE, PACKED, RUNS = 1, 2, 4, 8


def rans(data, raw_len):
    cursor = Cursor(data)
    flags = cursor.u8()
    require(flags < 16, "unknown flags of a rANS stream")
    if not flags & PACKED:
        return rans_runs(flags, cursor, raw_len)
    letters = alphabet(cursor)
    require(len(letters) <= 16, "too many symbols are packed")
    bits = 1 if len(letters) <= 2 else 2 if len(letters) <= 4 else 4
    packed = rans_runs(flags, cursor, -(-raw_len * bits // 8))
    ranks = [byte >> shift & (1 << bits) - 1 for byte in packed for shift in range(0, 8, bits)]
    require(all(rank < len(letters) for rank in ranks), "a packed rank is unknown")
    return bytes(letters[rank] for rank in ranks[:raw_len])


def rans_runs(flags, cursor, count):
    lanes = 32 if flags & WIDE else 4
    plain = order1 if flags & ORDER1 else order0
    if not flags & RUNS:
        return plain(cursor.rest(), lanes, count)
    literal_count = cursor.varint()
    coded = cursor.take(cursor.varint())
    literals = plain(coded, lanes, literal_count)
    contexts = alphabet(Cursor(coded))
    letters = alphabet(cursor)
    tables = read_tables(cursor, len(contexts), len(letters))
    states = States(cursor, lanes)
    out = bytearray()
    for index, literal in enumerate(literals):
        rank = states.symbol(index % lanes, tables[contexts.index(literal)])
        out += bytes([literal]) * (1 + letters[rank])
    states.finish()
    require(len(out) == count, "runs do not add up")
    return out


def alphabet(cursor):
    letters, start = [], 0
    for _ in range(cursor.u8() + 1):
        start += cursor.u8()
        length = cursor.u8() + 1
        letters += range(start, start + length)
        start += length
    require(start <= 256, "an alphabet passes 255")
    return letters


def frequency_row(cursor, symbols, shift):
    """Per value of the state's lower bits: (rank, frequency, offset within the symbol)."""
    frequencies = []
    while len(frequencies) < symbols:
        frequencies.append(cursor.varint())
        if frequencies[-1] == 0:
            frequencies += [0] * cursor.u8()
    total = sum(frequencies)
    require(len(frequencies) == symbols, "a row has too many zeros")
    if total == 0:
        return None
    require(total & total - 1 == 0 and total <= 1 << shift, "a row has a wrong sum")
    scale = (1 << shift) // total
    scaled = [frequency * scale for frequency in frequencies]
    return shift, [(rank, f, offset) for rank, f in enumerate(scaled) for offset in range(f)]


def read_tables(cursor, contexts, symbols):
    shift = cursor.u8()
    require(shift in (10, 12), "unknown precision")
    length, coded_length = cursor.varint(), cursor.varint()
    if coded_length:
        rows = Cursor(order0(cursor.take(coded_length), 4, length))
    else:
        rows = Cursor(cursor.take(length))
    tables = [frequency_row(rows, symbols, shift) for _ in range(contexts)]
    rows.finish()
    return tables


class States:
    """States and words of a coded stream; what is left of `cursor` is taken."""

    def __init__(self, cursor, lanes):
        self.states = [cursor.u32() for _ in range(lanes)]
        require(all(1 << 15 <= x < 1 << 31 for x in self.states), "a state is out of range")
        data = cursor.rest()
        require(len(data) % 2 == 0, "half a word is left")
        self.words, self.used = struct.unpack(f"<{len(data) // 2}H", data), 0

    def symbol(self, lane, row):
        require(row is not None, "an unused row is used")
        shift, slots = row
        state = self.states[lane]
        rank, frequency, offset = slots[state & (1 << shift) - 1]
        state = frequency * (state >> shift) + offset
        if state < 1 << 15:
            require(self.used < len(self.words), "words end early")
            state = state << 16 | self.words[self.used]
            self.used += 1
        self.states[lane] = state
        return rank

    def finish(self):
        require(self.used == len(self.words), "words are left over")
        require(all(x == 1 << 15 for x in self.states), "a state does not end where it began")


def order0(data, lanes, count):
    cursor = Cursor(data)
    letters = alphabet(cursor)
    row = frequency_row(cursor, len(letters), 12)
    states = States(cursor, lanes)
    out = bytes(letters[states.symbol(index % lanes, row)] for index in range(count))
    states.finish()
    return out


def order1(data, lanes, count):
    cursor = Cursor(data)
    letters = alphabet(cursor)
    tables = read_tables(cursor, len(letters), len(letters))
    states = States(cursor, lanes)
    part, ranks, context = count // lanes, [0] * count, [0] * lanes
    for step in range(part):
        for lane in range(lanes):
            context[lane] = ranks[lane * part + step] = states.symbol(lane, tables[context[lane]])
    for index in range(lanes * part, count):
        context[-1] = ranks[index] = states.symbol(lanes - 1, tables[context[-1]])
    states.finish()
    return bytes(letters[rank] for rank in ranks)


# 3 Names -------------------------------------------------------------------------------------------


def names(data):
    cursor = Cursor(data)
    count = cursor.varint()
    templates = [cursor.take(cursor.u8()) for _ in range(cursor.u8())]
    kinds = embedded(cursor, count)
    distances = iter(column_numbers(cursor, kinds.count(1))) if 1 in kinds else iter(())
    verbatim = iter(verbatim_names(cursor, kinds.count(0))) if 0 in kinds else iter(())
    tables = [
        [iter(column(cursor, kinds.count(2 + i))) if c in b"A0" else bytes([c]) for c in template]
        for i, template in enumerate(templates)
    ]
    cursor.finish()
    out = []
    for kind in kinds:
        if kind == 0:
            out.append(next(verbatim))
        elif kind == 1:
            distance = next(distances)
            require(1 <= distance <= len(out), "a repeated name has no original")
            out.append(out[-distance])
        else:
            parts = tables[kind - 2]
            out.append(b"".join(p if isinstance(p, bytes) else next(p) for p in parts))
    return b"".join(name + b"\0" for name in out)


def verbatim_names(cursor, count):
    lengths = Cursor(embedded(cursor, cursor.varint()))
    lengths = [lengths.varint() for _ in range(count)]
    texts = Cursor(embedded(cursor, sum(lengths)))
    return [texts.take(length) for length in lengths]


def column(cursor, rows):
    """The texts of a column."""
    kind = cursor.u8()
    if kind == 0:
        lengths = embedded(cursor, rows)
        texts = Cursor(embedded(cursor, sum(lengths)))
        return [texts.take(length) for length in lengths]
    if kind == 1:
        count = cursor.u8() + 1
        listed = Cursor(embedded(cursor, cursor.varint()))
        listed = [listed.take(listed.u8()) for _ in range(count)]
        return [listed[index] for index in embedded(cursor, rows)]
    style, values = numbers_of(kind, cursor, rows)
    return [formatted(value, style) for value in values]


def column_numbers(cursor, rows):
    return numbers_of(cursor.u8(), cursor, rows)[1]


def numbers_of(kind, cursor, rows):
    style = cursor.u8()
    if kind == 3:
        count = cursor.u8() + 1
        steps = Cursor(embedded(cursor, cursor.varint()))
        listed = list(accumulate(steps.varint() for _ in range(count)))
        return style, [listed[index] for index in embedded(cursor, rows)]
    require(kind in (2, 4), "a column's kind is unknown")
    base = cursor.u8() or 256
    values = [0] * rows
    for plane in range(cursor.u8()):
        digits = embedded(cursor, rows)
        values = [v + digit * base**plane for v, digit in zip(values, digits)]
    if kind == 4:
        values = list(accumulate(unfold(value) for value in values))
    return style, [value % (1 << 64) for value in values]


def formatted(value, style):
    if style == 0:
        return b"%d" % value
    return b"%0*d" % (style, value) if style < 20 else b"%0*x" % (style & 0x7F, value)


# Adaptive coding -----------------------------------------------------------------------------------

LOGISTIC = [
    int(number)
    for number in """
    0 1 1 2 3 5 8 13 22 36 60 98 162 267 439 720 1179 1921 3108 4971 7812 11955 17625 24743 32768
    40793 47911 53581 57724 60565 62428 63615 64357 64816 65097 65269 65374 65438 65476 65500 65514
    65523 65528 65531 65533 65534 65535 65535 65536""".split()
]


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def squash(x):
    step, within = divmod(x + 3072, 128)
    above = LOGISTIC[step + 1] if within else 0
    return min(max((LOGISTIC[step] * (128 - within) + above * within) // 128, 32), 65504)


def stretch_table():
    table, x = [], -3071
    for q in range(4096):
        while x < 3071 and squash(x) < 16 * q + 8:
            x += 1
        table.append(f32(x / 256))
    return table


STRETCH = stretch_table()


def slot(context, bits):
    return (context * 0x9E3779B1 & 0xFFFFFFFF) >> 32 - bits


class Decisions:
    """Binary decisions, each predicted by counters whose opinions are mixed."""

    def __init__(self, cursor, weight, rate):
        self.cursor, self.weight, self.rate = cursor, f32(weight), f32(f32(rate) / 65536)
        self.low, self.high = 0, 0xFFFFFFFF
        self.code = int.from_bytes(cursor.take(4), "big")
        self.counters, self.weights = {}, {}

    def next(self, keys, node):
        counters = [self.counters.setdefault((i, key), [1 << 21, 0]) for i, key in enumerate(keys)]
        opinions = [STRETCH[p >> 10] for p, _ in counters] + [0.0] * (7 - len(keys)) + [0.25]
        fresh = [self.weight] * len(keys) + [0.0] * (8 - len(keys))
        weights = self.weights.setdefault(node, fresh)
        products = [f32(opinion * weight) for opinion, weight in zip(opinions, weights)]
        s = [f32(products[k] + products[k + 4]) for k in range(4)]
        mixed = f32(f32(s[0] + s[2]) + f32(s[1] + s[3]))
        p = squash(min(max(int(256 * mixed), -3071), 3071))
        bit = self.decide(p)
        error = f32(((65536 if bit else 0) - p) * self.rate)
        for k in range(8):
            weights[k] = f32(weights[k] + f32(error * opinions[k]))
        for counter in counters:
            target = (1 << 22) - 1 if bit else 0
            counter[0] += (target - counter[0]) * (131072 // (2 * counter[1] + 3)) >> 16
            counter[1] = min(counter[1] + 1, 255)
        return bit

    def decide(self, p):
        middle = self.low + ((self.high - self.low) * p >> 16)
        bit = int(self.code <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while (self.low ^ self.high) >> 24 == 0:
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = (self.high << 8 | 255) & 0xFFFFFFFF
            self.code = (self.code << 8 | self.cursor.u8()) & 0xFFFFFFFF
        return bit


# 4 Quality -----------------------------------------------------------------------------------------


def prefix_tree(lengths):
    """Nodes of a canonical code: per decision the next node, or ~rank for a leaf."""
    nodes, code, previous = [[None, None]], 0, 0
    for length, rank in sorted((length, rank) for rank, length in enumerate(lengths)):
        code <<= length - previous
        previous, node = length, 0
        for shift in range(length - 1, 0, -1):
            bit = code >> shift & 1
            if nodes[node][bit] is None:
                nodes.append([None, None])
                nodes[node][bit] = len(nodes) - 1
            node = nodes[node][bit]
        nodes[node][code & 1] = ~rank
        code += 1
    return nodes


def quality(data, reads):
    cursor = Cursor(data)
    letters = alphabet(cursor)
    nodes = prefix_tree(cursor.take(len(letters)))
    decisions = Decisions(cursor, 0.3, 0.004)
    out = bytearray()
    for length, selector in reads:
        q1 = q2 = q3 = total = wander = 0
        for t in range(length):
            average = total // t if t else 0
            rough = max(q2, q3) << 8 | min(wander >> 3, 31) << 16 | (q2 == q3) << 24
            contexts = [
                slot(q1 | selector << 8, 9),
                slot(q1 | q2 << 8, 11),
                slot(q1 | q2 << 8 | q3 << 16, 12),
                slot(q1 | (min(t, 511) >> 1) << 8 | selector << 24, 11),
                slot(q1 | rough, 12),
                slot(q1 | average << 8 | (min(t, 255) >> 4) << 16, 12),
            ]
            node = 0
            while node >= 0:
                node = nodes[node][decisions.next([(c, node) for c in contexts], node)]
            out.append(letters[~node])
            total = min(total + ~node, 0xFFFFFFFF)
            wander = min(wander + abs(~node - q1), 0xFFFFFFFF)
            q3, q2, q1 = q2, q1, ~node
    cursor.finish()
    return out


# 7 Order 2 -----------------------------------------------------------------------------------------


def order2(data, raw_len):
    cursor = Cursor(data)
    decisions = Decisions(cursor, 0.35, 0.006)
    bits = min(max(raw_len.bit_length() - 1, 4), 12)
    history, out = 0, bytearray()
    for _ in range(raw_len):
        node, hashes = 1, (slot(history & 0xFFFF, bits), slot(history & 0xFFFFFF, bits))
        for _ in range(8):
            keys = [node, (history & 0xFF, node), (hashes[0], node), (hashes[1], node)]
            node = 2 * node + decisions.next(keys, node)
        out.append(node & 0xFF)
        history = (history << 8 | node & 0xFF) & 0xFFFFFFFF
    cursor.finish()
    return out

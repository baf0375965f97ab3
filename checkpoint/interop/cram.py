"""Reads cram checkpoints of versions 1 and 2, as ../FORMAT.md specifies them. It needs msgpack and numpy.

    f = cram.open("net.cram")
    f.meta["model"], f.inputs, f.outputs, f.steps, list(f.levels), f.programs["infer"], f.state
    t = f.levels["topk:0.9"].tensors["fc.weight"]      # t.array(), t.dtype, t.dims, t.encoding, t.stored, t.quantization

How a file is read, from the outside in:

 1. The frame (open): "cram", the version, a checksum, the header, and then chunks of raw bytes, each at a multiple of 64.
    The lengths of the chunks give their offsets; anything else is refused.
 2. The header (Checkpoint): one MessagePack map. It is canonical if encoding what was decoded gives the same bytes: that
    checks shortest forms, keys that occur twice and the width of floats in one comparison.
 3. The parts (Part): an index gives the offsets of the stored elements, the values are these elements, others are zero.
 4. The tensors (put_together): several parts are a stack, each with other elements, and perhaps a mask over them.
 5. The blobs of quantizations, and the programs.

open checks all of it, down to the values. An error is a FormatError with the byte of the file or the place in the header.
Programs must be canonical, and a program of a level must have the names and the types of the inputs, and the names of the
outputs, of the one that it reoffsets; types of outputs follow from the operations, which this reader does not interpret.
"""
import math
import pathlib
import re
import unicodedata
from collections import namedtuple
from dataclasses import dataclass

import msgpack
import numpy as np

MAX_CHUNK = 128 << 20
MAX_ELEMENTS = 1 << 46
MAX_LINES = 1 << 17
RUN = 1 << 16  # elements that share a count in an index16

SIZES = {"f32": 4, "f64": 8, "f16": 2, "bf16": 2, "i8": 1, "i32": 4, "i64": 8, "bit": 1}  # bytes of an element; in a file, bits are packed
VIEWS = {"f32": "<f4", "f64": "<f8", "f16": "<f2", "bf16": "<f4", "i8": "i1", "i32": "<i4", "i64": "<i8", "bit": "?"}  # what array() gives
SPARSE = ["bitmask", "index16"]


class FormatError(ValueError):
    """The bytes are not a cram file of version 1 or 2."""


def need(ok, problem):
    if not ok:
        raise FormatError(problem)


TABLE = np.arange(256, dtype=np.uint32)
for _ in range(8):
    TABLE = TABLE >> 1 ^ (TABLE & 1) * np.uint32(0x82F63B78)


def crc32c(data):
    """The Castagnoli checksum.

    It goes byte by byte, which Python does slowly. So the data is cut into rows, and numpy takes every row one byte further at once. Then
    the rows are joined: a CRC is linear, so the state behind a row is what the row alone gives, xor what the state before it becomes over
    as many zeros. bits holds what each of the 32 bits of a state becomes.
    """
    data = np.frombuffer(data, np.uint8)
    rows = max(1, math.isqrt(len(data)))
    length = len(data) // rows
    positions = np.arange(32, dtype=np.uint32)
    bits = np.uint32(1) << positions
    states = np.zeros(rows, np.uint32)
    states[0] = 0xFFFFFFFF
    for column in np.ascontiguousarray(data[: rows * length].reshape(rows, length).T):
        states = TABLE[(states ^ column) & 255] ^ states >> 8
        bits = TABLE[bits & 255] ^ bits >> 8
    crc = states[0]
    for state in states[1:]:
        crc = np.bitwise_xor.reduce(bits[(crc >> positions) & 1 == 1]) ^ state
    for byte in data[rows * length :]:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return int(crc) ^ 0xFFFFFFFF


def decode(data, at, single_floats):
    """The canonical MessagePack value that data, which begins at byte `at` of the file, must be."""
    try:
        value = msgpack.unpackb(data, timestamp=3, ext_hook=lambda code, content: object())  # extension types cannot be encoded again
        again = msgpack.packb(value, use_single_float=single_floats)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as e:
        raise FormatError(f"at byte {at}: no MessagePack value: {e}") from e
    if again != data:
        same = next((i for i, (a, b) in enumerate(zip(data, again)) if a != b), min(len(data), len(again)))
        raise FormatError(f"at byte {at + same}: not canonical MessagePack")
    return value


def fields(value, where, *keys):
    need(type(value) is dict and tuple(value) == keys, f"{where}: want a map of {', '.join(keys)}, in this order")
    return value.values()


def array(value, where, length=None):
    need(type(value) is list and length in (None, len(value)), f"{where}: want an array" + (f" of {length}" if length else ""))
    return value


def integer(value, where, low, high):
    need(type(value) is int and low <= value <= high, f"{where}: want an integer from {low} to {high}")
    return value


def text(value, where):
    need(type(value) is str and len(value.encode()) <= 64 << 10, f"{where}: want a text of at most 64 KiB")


def name(value, where):
    need(type(value) is str and 1 <= len(value.encode()) <= 255 and value.isprintable(), f"{where}: want a name")  # of this Python's Unicode
    return value


def ascending(values, where):
    need(all(a < b for a, b in zip(values, values[1:])), f"{where}: not in order, or one comes twice")


def named(value, where, check, *args):
    """A map from names to what check accepts."""
    need(type(value) is dict, f"{where}: want a map")
    ascending([name(key, where).encode() for key in value], where)
    for key, v in value.items():
        check(v, f"{where}[{key!r}]", *args)
    return value


def dims(value, where):
    need(len(array(value, where)) <= 16, f"{where}: more than 16 dims")
    need(math.prod(integer(dim, where, 1, MAX_ELEMENTS) for dim in value) <= MAX_ELEMENTS, f"{where}: too many elements")
    return value


@dataclass
class Blob:
    """A run of bytes, in chunks of (offset, length, checksum). open fills in what they hold, and where in the file that begins."""

    where: str
    chunks: list
    bytes: bytes = b""
    at: int = 0

    @property
    def length(self):
        return sum(length for _, length, _ in self.chunks)


Encoding = namedtuple("Encoding", "kind n m axis", defaults=(0, 0, 0))  # n, m and axis belong to nm:N:M:A
Port = namedtuple("Port", "name dtype shape mean std classes")
Step = namedtuple("Step", "kind port settings tensors")
Level = namedtuple("Level", "notes programs activations tensors")
Quantization = namedtuple("Quantization", "axis scale zero")
State = namedtuple("State", "ints tensors")


def parse_encoding(value, where, dtype, dims, *more):
    """The encoding of a tensor or, with more encodings, of a part of one."""
    match = type(value) is str and re.fullmatch("nm:([1-9][0-9]{0,2}):([1-9][0-9]{0,2}):(0|[1-9][0-9]?)", value)
    need(match or value in ["dense", *SPARSE, *more], f"{where}: encoding {value!r} is unknown or does not belong here")
    need(dtype != "bit" or value == "dense", f"{where}: bits have the encoding dense")
    if not match:
        return Encoding(value)
    n, m, axis = map(int, match.groups())
    need(n <= m <= 256 and axis < len(dims) and dims[axis] % m == 0, f"{where}: encoding {value!r} does not fit {dims}")
    return Encoding("nm", n, m, axis)


@dataclass
class Part:
    """Stored elements of a tensor, or a mask. Elements are unsigned integers here, so zero is zero in every bit."""

    tensor: int  # in the header's table
    dtype: str
    dims: list
    encoding: Encoding
    index: Blob
    values: Blob

    @property
    def n(self):
        return math.prod(self.dims)

    def need(self, ok, problem):
        blob = self.index if self.index.chunks else self.values
        need(ok, f"at byte {blob.at}: {blob.where}: {problem}")

    def bits(self, packed, n):
        """n zeros and ones, eight to a byte, least significant first."""
        self.need(len(packed.bytes) == (n + 7) // 8, f"{len(packed.bytes)} bytes for {n} bits")
        bits = np.unpackbits(np.frombuffer(packed.bytes, np.uint8), bitorder="little")
        self.need(not bits[n:].any(), "bits behind the last are not zero")
        return bits[:n]

    def elements(self):
        """The stored elements, in the order in which they are stored."""
        if self.dtype == "bit":
            return self.bits(self.values, self.n)
        self.need(len(self.values.bytes) % SIZES[self.dtype] == 0, f"{len(self.values.bytes)} bytes are not a whole number of elements")
        return np.frombuffer(self.values.bytes, f"<u{SIZES[self.dtype]}")

    def offsets(self, free=None):
        """The offsets of the stored elements; free has True for elements that no part before stores."""
        match self.encoding.kind:
            case "dense":
                self.check(self.n)
                return slice(None)
            case "rest":
                offsets = np.flatnonzero(free)
            case "bitmask":
                offsets = np.flatnonzero(self.bits(self.index, self.n))
            case "index16":
                offsets = self.index16()
            case "nm":
                offsets = self.nm()
        self.check(len(offsets))
        return offsets

    def check(self, stored):
        have = len(self.elements())
        self.need(have == stored, f"{have} values for {stored} elements")
        self.need(not self.index.bytes or self.encoding.kind not in ("dense", "rest"), f"an index for the encoding {self.encoding.kind}")

    def index16(self):
        runs = (self.n + RUN - 1) // RUN
        index = self.index.bytes
        self.need(len(index) >= 4 * runs, f"an index of {len(index)} bytes for {runs} runs")
        counts = np.frombuffer(index, "<u4", runs).astype(np.int64)
        self.need(len(index) == 4 * runs + 2 * int(counts.sum()), f"an index of {len(index)} bytes for counts of {counts.sum()}")
        offsets = np.frombuffer(index, "<u2", offset=4 * runs) + np.repeat(np.arange(runs) * RUN, counts)
        self.need((np.diff(offsets) > 0).all(), "offsets do not ascend")
        self.need(not len(offsets) or offsets[-1] < self.n, "an offset behind the last element")
        return offsets

    def nm(self):
        n, m = self.encoding.n, self.encoding.m
        groups, width = self.n // m, (m - 1).bit_length()
        self.check(groups * n)
        within = self.bits(self.index, groups * n * width).reshape(groups, n, width) @ (1 << np.arange(width))
        self.need((np.diff(within, axis=1) > 0).all(), "offsets do not ascend")
        self.need((within < m).all(), "an offset behind the last of its group")
        inner = math.prod(self.dims[self.encoding.axis + 1 :])
        group = np.arange(groups)
        first = group // inner * m * inner + group % inner
        return (first[:, None] + within * inner).reshape(-1)


def stored_by(stack):
    """The number of elements that sparse parts store: different ones, and no zeros. It needs memory for these elements only."""
    offsets = np.concatenate([part.offsets() for part in stack])
    stack[-1].need(len(np.unique(offsets)) == len(offsets), "stores an element that a part before it stores")
    for part in stack:
        part.need(part.elements().all(), "stores a zero, in a stack")
    return len(offsets)


def put_together(parts):
    """The elements that parts make."""
    made = np.zeros(parts[0].n, f"<u{SIZES[parts[0].dtype]}")
    if len(parts) == 1:
        made[parts[0].offsets()] = parts[0].elements()
        return made
    free = np.ones(len(made), bool)
    for part in parts:
        if part.encoding.kind == "mask":
            part.need(not part.values.bytes, "values for a mask")
            made[part.bits(part.index, part.n) == 0] = 0
            continue
        offsets = part.offsets(free)
        made[offsets] = part.elements()
        free[offsets] = False
    return made


@dataclass
class Tensor:
    """A tensor of a level, of a step or of the training state."""

    where: str
    dtype: str
    dims: list
    encoding: str
    stored: int | None  # elements; None where the file does not state it, until check
    parts: list
    quantization: "Quantization | None" = None

    def array(self):
        """The tensor, dense. bf16 becomes float32, which is exact; bits become bool."""
        elements = put_together(self.parts)
        if self.dtype == "bf16":
            elements = elements.astype("<u4") << 16
        return elements.view(VIEWS[self.dtype]).reshape(self.dims)

    def real(self):
        """The real numbers of a quantized tensor: scale * (element - zero)."""
        shape = [1] * len(self.dims)
        if self.quantization.axis >= 0:
            shape[self.quantization.axis] = -1
        scale, zero = (x.reshape(shape) for x in (self.quantization.scale, self.quantization.zero))
        return scale * (self.array().astype("<f4") - zero)

    def check(self):
        encoding = parse_encoding(self.encoding, self.where, self.dtype, self.dims)
        stored = self.count(encoding)
        need(self.stored in (None, stored), f"{self.where}: stores {stored} elements, not {self.stored}")
        self.stored = stored

    def count(self, encoding):
        """How many elements the tensor stores in its encoding; checks that the parts make such a tensor."""
        first = self.parts[0]
        if len(self.parts) == 1:
            need(first.encoding == encoding, f"{self.where}: has the encoding {self.encoding}, its only part has not")
            first.offsets()
            return len(first.elements())
        stack = [part for part in self.parts if part.encoding.kind in SPARSE]
        stored = stored_by(stack) if stack else 0
        if len(stack) == len(self.parts):
            need(encoding.kind in SPARSE, f"{self.where}: sparse parts do not make {self.encoding}")
            return stored
        above = [part.encoding.kind for part in self.parts[len(stack) :]]
        need(self.parts[: len(stack)] == stack and above in (["rest"], ["rest", "mask"]) if stack else above == ["dense", "mask"],
             f"{self.where}: parts of these encodings do not go together")
        made = put_together(self.parts)
        if encoding.kind == "dense":
            return first.n
        if encoding.kind != "nm":
            return int(np.count_nonzero(made))
        groups = made.reshape(-1, encoding.m, math.prod(self.dims[encoding.axis + 1 :]))
        need(np.count_nonzero(groups, axis=1).max() <= encoding.n, f"{self.where}: more than {encoding.n} of {encoding.m} elements are not zero")
        return first.n // encoding.m * encoding.n


def check_proportion(tensors):
    """Refuses tensors that are much larger than what is stored of them: dense, they could take all memory."""
    stored = sum(part.index.length + part.values.length for t in tensors for part in t.parts)
    dense = sum((math.prod(t.dims) + 7) // 8 if t.dtype == "bit" else math.prod(t.dims) * SIZES[t.dtype] for t in tensors)
    need(dense <= (256 << 20) + 1024 * stored, f"tensors of {dense} bytes, of which {stored} are stored")


def quantizations(blob, check):
    """The quantizations of a blob by name; check(name, quantization) refuses wrong ones."""
    if not blob.chunks:
        return {}
    where = f"at byte {blob.at}: {blob.where}"
    value = decode(blob.bytes, blob.at, single_floats=False)
    need(type(value) is dict and 1 <= len(value) <= MAX_LINES, f"{where}: want a map of 1 to {MAX_LINES} entries")
    named(value, where, array, 3)
    found = {}
    for key, (axis, scales, zeros) in value.items():
        integer(axis, f"{where}: {key!r}", -1, 15)
        need(type(scales) is bytes and type(zeros) is bytes and len(scales) == 4 * len(zeros), f"{where}: {key!r}: want a scale for each zero")
        q = Quantization(axis, np.frombuffer(scales, "<f4"), np.frombuffer(zeros, "i1"))
        need(np.isfinite(q.scale).all() and (q.scale > 0).all(), f"{where}: {key!r}: want finite scales above 0")
        need(len(q.scale) == 1 if axis < 0 else len(q.scale) > 0, f"{where}: {key!r}: {len(q.scale)} scales")
        check(key, q)
        found[key] = q
    return found


def interface(program):
    """Inputs with their types, and outputs, of a decoded program."""
    inputs = [attribute for op, _, attribute in program["code"] if op == "input"]
    return program["inputs"], inputs, [key for key, _ in program["outputs"]]


class Checkpoint:
    """A file: meta, inputs, outputs, steps, programs and levels by name, and state, which may be None."""

    def __init__(self, version, header):
        self.version = version
        self.blobs = []  # in the order of the file
        self.lines = 0
        self.inputs, self.outputs, self.steps, self.quantized = [], [], [], []
        if version == 1:
            self.meta, programs, tensors, parts, levels, state = fields(header, "header", "meta", "programs", "tensors", "parts", "levels", "state")
            self.check_meta_v1()
            programs = [array(program, f"programs[{i}]", 2) for i, program in enumerate(self.list(programs, "programs"))]
            self.code = [self.blob(code, f"program {key!r}") for key, code in programs]
            ascending([name(key, "programs").encode() for key, _ in programs], "programs")
            self.programs = {key: i for i, (key, _) in enumerate(programs)}
        else:
            self.meta, inputs, outputs, steps, code, programs, tensors, parts, levels, state = fields(
                header, "header", "meta", "inputs", "outputs", "steps", "code", "programs", "tensors", "parts", "levels", "state")
            self.check_meta()
            self.inputs, self.outputs = self.ports(inputs, "inputs"), self.ports(outputs, "outputs")
            self.steps = [self.step(s, f"steps[{i}]") for i, s in enumerate(self.list(steps, "steps"))]
            self.code = [self.blob(c, f"code[{i}]") for i, c in enumerate(self.list(code, "code"))]
            self.programs = self.numbers(programs, "programs")
        self.tensors = [self.tensor(array(t, f"tensors[{i}]", 3), f"tensors[{i}]") for i, t in enumerate(self.list(tensors, "tensors"))]
        ascending([(key.encode(), *kind) for key, *kind in self.tensors], "tensors")
        self.parts = [self.part(p, f"parts[{i}]") for i, p in enumerate(self.list(parts, "parts"))]
        need({part.tensor for part in self.parts} == set(range(len(tensors))), "tensors: one is in no part")
        self.levels = {}
        for i, level in enumerate(self.list(levels, "levels")):
            self.add_level(level, f"levels[{i}]")
        need(len(levels) <= 64, "levels: more than 64")
        need({number for level in levels for *_, numbers in level[-1] for number in numbers} == set(range(len(parts))), "parts: one is in no level")
        used = {number for programs in [self.programs, *(level.programs for level in self.levels.values())] for number in programs.values()}
        need(used == set(range(len(self.code))), "code: one belongs to no program")
        self.state = None if state is None else self.training(state)
        need(self.lines <= MAX_LINES, f"header: more than {MAX_LINES} lines")
        all_steps = [t for s in self.steps for t in s.tensors.values()]
        for tensors in [*(x.tensors.values() for x in [*self.levels.values(), *self.steps, self.state] if x), all_steps]:
            check_proportion(tensors)

    def list(self, value, where):
        """A list whose entries count as lines."""
        self.lines += len(array(value, where))
        return value

    def named(self, value, where, check, *args):
        self.lines += len(named(value, where, check, *args))
        return value

    def numbers(self, value, where):
        return self.named(value, where, integer, 0, len(self.code) - 1)

    def texts_of_meta(self, texts, seed, versions, extra):
        for value in texts:
            text(value, "meta")
        integer(seed, "meta.seed", 0, 2**64 - 1)
        self.named(versions, "meta.versions", text)
        self.named(extra, "meta.extra", text)

    def check_meta(self):
        *texts, seed, versions, extra = fields(self.meta, "meta", "model", "recipe", "data", "seed", "versions", "extra")
        self.texts_of_meta(texts, seed, versions, extra)

    def check_meta_v1(self):
        *texts, seed, versions, given, extra = fields(self.meta, "meta", "model", "recipe", "data", "seed", "versions", "input", "extra")
        self.texts_of_meta(texts, seed, versions, extra)
        shape, mean, std, classes = fields(given, "meta.input", "shape", "mean", "std", "classes")
        dims(shape, "meta.input.shape")
        self.statistics(mean, std, classes, "meta.input")
        batch = [1, "N"]
        if shape or mean:
            self.inputs = [Port("x", "f32", [batch, *shape], mean, std, [])]
        if classes:
            self.outputs = [Port("logits", "f32", [batch, len(classes)], [], [], classes)]

    def statistics(self, mean, std, classes, where):
        numbers = self.list(mean, f"{where}: mean") + self.list(std, f"{where}: std")
        need(len(mean) == len(std), f"{where}: as many of mean as of std")
        need(all(type(x) is float and math.isfinite(x) for x in numbers), f"{where}: mean and std are finite floats")
        for label in self.list(classes, f"{where}: classes"):
            name(label, f"{where}: class")

    def ports(self, value, where):
        ports = []
        for i, port in enumerate(self.list(value, where)):
            port = Port(*array(port, f"{where}[{i}]", 6))
            at = f"{where}[{i}]"
            need(name(port.name, at) not in [p.name for p in ports], f"{at}: two have the name {port.name!r}")
            need(type(port.dtype) is str and port.dtype in SIZES, f"{at}: dtype {port.dtype!r} is unknown")
            need(1 <= len(array(port.shape, at)) <= 16 and port.shape[0] == [1, "N"], f"{at}: want 1 to 16 dimensions, the first N")
            sizes, symbols = zip(*(self.dim(d, at) for d in port.shape))
            need(math.prod(sizes) <= MAX_ELEMENTS and sum(len(s.encode()) for s in symbols) <= 255, f"{at}: the shape is too large")
            self.statistics(port.mean, port.std, port.classes, at)
            classes, last = len(port.classes), port.shape[-1]
            need(not classes or len(port.shape) > 1 and (type(last) is list or last == classes), f"{at}: {classes} classes for shape {port.shape}")
            ports.append(port)
        return ports

    def dim(self, value, where):
        size, symbols = array(value, where, 2) if type(value) is list else (value, "")
        if type(value) is list:
            parts = name(symbols, where).split("*")
            need(all(p and all(c == "_" or c.isalpha() or unicodedata.category(c) == "Nd" for c in p) for p in parts), f"{where}: symbols {symbols!r}")
            need([p.encode() for p in parts] == sorted(p.encode() for p in parts), f"{where}: symbols {symbols!r} are not sorted")
        return integer(size, where, 1, MAX_ELEMENTS), symbols

    def step(self, value, where):
        kind, port, settings, tensors, blob = array(value, where, 5)
        name(kind, where)
        need(name(port, where) in [p.name for p in self.inputs + self.outputs], f"{where}: port {port!r} is neither an input nor an output")
        step = Step(kind, port, self.named(settings, f"{where}: settings", text), self.set(tensors, f"{where}: tensors"))
        self.quantized.append((step.tensors, self.blob(blob, f"{where}: quantization")))
        return step

    def set(self, value, where):
        found = {}
        for i, t in enumerate(self.list(value, where)):
            at = f"{where}[{i}]"
            *t, encoding, index, values = array(t, at, 6)
            key, dtype, shape = self.tensor(t, at)
            blobs = self.blob(index, f"{at}: index"), self.blob(values, f"{at}: values")
            part = Part(-1, dtype, shape, parse_encoding(encoding, at, dtype, shape), *blobs)
            found[key] = Tensor(f"{where}: tensor {key!r}", dtype, shape, encoding, None, [part])
        ascending([t[0].encode() for t in value], where)
        return found

    def blob(self, value, where):
        chunks = [array(chunk, where, 3) for chunk in self.list(value, where)]
        for i, (offset, length, crc) in enumerate(chunks):
            integer(offset, f"{where}: offset", 0, 2**63 - 1)
            integer(length, f"{where}: length", 1 if i == len(chunks) - 1 else MAX_CHUNK, MAX_CHUNK)
            integer(crc, f"{where}: checksum", 0, 2**32 - 1)
        self.blobs.append(Blob(where, chunks))
        return self.blobs[-1]

    def tensor(self, value, where):
        key, dtype, shape = value
        need(type(dtype) is str and dtype in SIZES, f"{where}: dtype {dtype!r} is unknown")
        return name(key, where), dtype, dims(shape, where)

    def part(self, value, where):
        tensor, encoding, index, values = array(value, where, 4)
        _, dtype, shape = self.tensors[integer(tensor, f"{where}: tensor", 0, len(self.tensors) - 1)]
        encoding = parse_encoding(encoding, where, dtype, shape, "rest", "mask")
        return Part(tensor, dtype, shape, encoding, self.blob(index, f"{where}: index"), self.blob(values, f"{where}: values"))

    def add_level(self, value, where):
        key, notes, *own, entries = array(value, where, 3 if self.version == 1 else 6)
        need(name(key, where) not in self.levels, f"{where}: a level before it has the same name")
        self.levels[key] = level = Level(self.named(notes, f"{where}: notes", text), {}, {}, {})
        if own:
            programs, quantization, activations = own
            level.programs.update(self.numbers(programs, f"{where}: programs"))
            need(set(level.programs) <= set(self.programs), f"{where}: replaces a program that the file does not have")
            self.quantized.append((level.tensors, self.blob(quantization, f"{where}: quantization")))
            self.quantized.append((level.activations, self.blob(activations, f"{where}: activations")))
        for entry in self.list(entries, where):
            tensor, encoding, stored, numbers = array(entry, where, 4)
            label, dtype, shape = self.tensors[integer(tensor, f"{where}: tensor", 0, len(self.tensors) - 1)]
            need(label not in level.tensors, f"{where}: tensor {label!r} occurs twice")
            integer(stored, f"{where}: stored", 0, MAX_ELEMENTS)
            parts = [self.parts[integer(number, f"{where}: part", 0, len(self.parts) - 1)] for number in array(numbers, where)]
            need(parts and all(part.tensor == tensor for part in parts), f"{where}: tensor {label!r} has no parts, or those of another")
            ascending(numbers, f"{where}: parts")
            level.tensors[label] = Tensor(f"level {key!r}, tensor {label!r}", dtype, shape, encoding, stored, parts)
        ascending([tensor for tensor, *_ in entries], f"{where}: tensors")

    def training(self, value):
        ints, tensors, *blob = fields(value, "state", "ints", "tensors", *["quantization"][: self.version - 1])
        state = State(self.named(ints, "state.ints", integer, -(2**63), 2**63 - 1), self.set(tensors, "state.tensors"))
        if blob:
            self.quantized.append((state.tensors, self.blob(blob[0], "state: quantization")))
        return state

    def check_content(self):
        code = [self.program(blob) for blob in self.code]
        self.programs = {key: code[number] for key, number in self.programs.items()}
        for key, level in self.levels.items():
            for purpose, number in level.programs.items():
                level.programs[purpose] = code[number]
                need(interface(code[number]) == interface(self.programs[purpose]), f"level {key!r}, program {purpose!r}: another interface")
        for holder in [*self.steps, *self.levels.values(), self.state]:
            for tensor in holder.tensors.values() if holder else ():
                tensor.check()
        for owner, blob in self.quantized:
            if blob.where.endswith("activations"):
                owner.update(quantizations(blob, lambda key, q: None))
                continue
            for key, q in quantizations(blob, lambda key, q: self.fits(owner, key, q, blob)).items():
                owner[key].quantization = q

    def program(self, blob):
        program = decode(blob.bytes, blob.at, single_floats=False)
        version, *_ = fields(program, blob.where, "version", "code", "inputs", "slots", "outputs", "updates")
        need(type(version) is int and version == 1, f"{blob.where}: version {version!r} is unknown")
        return program

    def fits(self, tensors, key, q, blob):
        where = f"at byte {blob.at}: {blob.where}: {key!r}"
        t = tensors.get(key)
        need(t and t.dtype == "i8", f"{where} is no i8 tensor")
        need(q.axis < len(t.dims) and len(q.scale) == (t.dims[q.axis] if q.axis >= 0 else 1), f"{where}: {len(q.scale)} scales do not fit {t.dims}")
        need(t.encoding == "dense" or not q.zero.any(), f"{where}: zeros other than 0 for an encoding that does not store zeros")


def binary(length):
    """What begins a MessagePack binary: the shortest of its three encodings."""
    code, width = (0xC4, 1) if length < 1 << 8 else (0xC5, 2) if length < 1 << 16 else (0xC6, 4)
    return bytes([code]) + length.to_bytes(width, "big")


def read_header(file):
    """The version, the header, decoded, and the offset of its end."""
    need(file[:5] == b"\xa4cram", "at byte 0: not a cram file")
    need(file[5:6] in (b"\x01", b"\x02"), "at byte 5: a version that this reader does not know")
    need(file[6:8] == b"\xc4\x04" and len(file) > 13, "at byte 6: want a checksum of 4 bytes and a header")
    length = int.from_bytes(file[13 : 13 + {0xC5: 2, 0xC6: 4}.get(file[12], 1)], "big")
    begin, end = 12 + len(binary(length)), 12 + len(binary(length)) + length
    need(file[12:begin] == binary(length), "at byte 12: want a binary, in the shortest encoding")
    need(length <= 4 << 20 and end <= len(file), f"at byte 12: a header of {length} bytes, the file has {len(file)}")
    need(crc32c(file[begin:end]) == int.from_bytes(file[8:12], "little"), f"at byte {begin}: the checksum of the header does not match")
    return file[5], decode(bytes(file[begin:end]), begin, single_floats=True), end


def read_chunks(file, end, blobs):
    """Walks the chunks along the one layout that their lengths have; end is where what stands before ends, at first the header."""
    data = begin = (end + 63) // 64 * 64 + 64
    for blob in blobs:
        pieces = []
        for offset, length, crc in blob.chunks:
            head = binary(length)
            begin = begin or (end + 2 + len(head) + 63) // 64 * 64
            zeros = begin - len(head) - 2 - end
            blob.at = blob.at or begin
            need(data + offset == begin, f"{blob.where}: a chunk at byte {data + offset} that belongs at {begin}")
            need(file[end:begin] == binary(zeros) + bytes(zeros) + head, f"at byte {end}: not the padding and the length of {blob.where}")
            end = begin + length
            need(end <= len(file), f"at byte {len(file)}: the file ends within {blob.where}")
            need(crc32c(file[begin:end]) == crc, f"at byte {begin}: the checksum of {blob.where} does not match")
            pieces.append(file[begin:end])
            begin = None
        blob.bytes = b"".join(pieces)
    need(end == len(file), f"at byte {end}: bytes behind the last chunk")


def open(source):
    """Opens a checkpoint, which is a path or bytes, and checks all of it."""
    file = memoryview(source if isinstance(source, bytes) else pathlib.Path(source).read_bytes())
    version, header, end = read_header(file)
    f = Checkpoint(version, header)
    read_chunks(file, end, f.blobs)
    f.check_content()
    return f

"""Reads cram checkpoints of version 1. It follows ../FORMAT.md, was first written from that page alone, and needs msgpack and numpy.

    f = cram.open("net.cram")
    f.meta["model"], list(f.levels), f.programs["infer"], f.state
    t = f.levels["topk:0.9"].tensors["fc.weight"]      # t.array(), t.dtype, t.extents, t.form, t.stored

How a file is read, from the outside in:

 1. The frame (open): "cram", the version, a checksum, the header, and then chunks of raw bytes, each at a multiple of 64. The
    lengths of the chunks say where they must be, so there is one place to look and everything else is refused.
 2. The header (Checkpoint): one MessagePack map, which any MessagePack library decodes. It is canonical if encoding what was decoded
    gives the same bytes: that checks shortest forms, keys that come twice and the width of floats in one comparison.
 3. The parts (Part): an index says which elements are stored, the values are these elements, all others are zero.
 4. The tensors (put_together): several parts are a stack, each fills other elements, and perhaps a mask lies over them.

open checks all of it, down to the values, so what it returns needs no further care. Whatever is wrong is a FormatError that names the byte of the file or
the place in the header. Programs are decoded and must be canonical; whether their operations fit together is for those who run them.
"""
import math
import pathlib
import re
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
    """The bytes are not a cram file of version 1."""


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


def extents(value, where):
    need(len(array(value, where)) <= 16, f"{where}: more than 16 extents")
    need(math.prod(integer(extent, where, 1, MAX_ELEMENTS) for extent in value) <= MAX_ELEMENTS, f"{where}: too many elements")
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


Form = namedtuple("Form", "kind n m axis", defaults=(0, 0, 0))  # n, m and axis belong to nm:N:M:A
Level = namedtuple("Level", "notes tensors")
State = namedtuple("State", "ints tensors")


def parse_form(value, where, dtype, extents, *more):
    """The form of a tensor or, with more forms, of a part of one."""
    match = type(value) is str and re.fullmatch("nm:([1-9][0-9]{0,2}):([1-9][0-9]{0,2}):(0|[1-9][0-9]?)", value)
    need(match or value in ["dense", *SPARSE, *more], f"{where}: form {value!r} is unknown or does not belong here")
    need(dtype != "bit" or value == "dense", f"{where}: bits have the form dense")
    if not match:
        return Form(value)
    n, m, axis = map(int, match.groups())
    need(n <= m <= 256 and axis < len(extents) and extents[axis] % m == 0, f"{where}: form {value!r} does not fit {extents}")
    return Form("nm", n, m, axis)


@dataclass
class Part:
    """What the file stores of a tensor. Elements are handled as unsigned integers, where zero is zero in every bit."""

    tensor: int  # in the header's table
    dtype: str
    extents: list
    form: Form
    index: Blob
    values: Blob

    @property
    def n(self):
        return math.prod(self.extents)

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

    def places(self, free=None):
        """Where the stored elements belong; free tells which elements the parts before have left."""
        match self.form.kind:
            case "dense":
                self.check(self.n)
                return slice(None)
            case "rest":
                places = np.flatnonzero(free)
            case "bitmask":
                places = np.flatnonzero(self.bits(self.index, self.n))
            case "index16":
                places = self.index16()
            case "nm":
                places = self.nm()
        self.check(len(places))
        return places

    def check(self, stored):
        have = len(self.elements())
        self.need(have == stored, f"{have} values for {stored} elements")
        self.need(not self.index.bytes or self.form.kind not in ("dense", "rest"), f"an index for the form {self.form.kind}")

    def index16(self):
        runs = (self.n + RUN - 1) // RUN
        index = self.index.bytes
        self.need(len(index) >= 4 * runs, f"an index of {len(index)} bytes for {runs} runs")
        counts = np.frombuffer(index, "<u4", runs).astype(np.int64)
        self.need(len(index) == 4 * runs + 2 * int(counts.sum()), f"an index of {len(index)} bytes for counts of {counts.sum()}")
        places = np.frombuffer(index, "<u2", offset=4 * runs) + np.repeat(np.arange(runs) * RUN, counts)
        self.need((np.diff(places) > 0).all(), "places do not ascend")
        self.need(not len(places) or places[-1] < self.n, "a place behind the last element")
        return places

    def nm(self):
        n, m = self.form.n, self.form.m
        groups, width = self.n // m, (m - 1).bit_length()
        self.check(groups * n)
        within = self.bits(self.index, groups * n * width).reshape(groups, n, width) @ (1 << np.arange(width))
        self.need((np.diff(within, axis=1) > 0).all(), "places do not ascend")
        self.need((within < m).all(), "a place behind the last of its group")
        inner = math.prod(self.extents[self.form.axis + 1 :])
        group = np.arange(groups)
        first = group // inner * m * inner + group % inner
        return (first[:, None] + within * inner).reshape(-1)


def stored_by(stack):
    """How many elements sparse parts store: different ones, and no zeros. However large the tensor, this takes memory for them alone."""
    places = np.concatenate([part.places() for part in stack])
    stack[-1].need(len(np.unique(places)) == len(places), "stores an element that a part before it stores")
    for part in stack:
        part.need(part.elements().all(), "stores a zero, in a stack")
    return len(places)


def put_together(parts):
    """The elements that parts make."""
    made = np.zeros(parts[0].n, f"<u{SIZES[parts[0].dtype]}")
    if len(parts) == 1:
        made[parts[0].places()] = parts[0].elements()
        return made
    free = np.ones(len(made), bool)
    for part in parts:
        if part.form.kind == "mask":
            part.need(not part.values.bytes, "values for a mask")
            made[part.bits(part.index, part.n) == 0] = 0
            continue
        places = part.places(free)
        made[places] = part.elements()
        free[places] = False
    return made


@dataclass
class Tensor:
    """A tensor of a level, or of the training state."""

    where: str
    dtype: str
    extents: list
    form: str
    stored: int | None  # elements; in a training state, the file does not say
    parts: list

    def array(self):
        """The tensor, dense. bf16 becomes float32, which is exact; bits become bool."""
        elements = put_together(self.parts)
        if self.dtype == "bf16":
            elements = elements.astype("<u4") << 16
        return elements.view(VIEWS[self.dtype]).reshape(self.extents)

    def check(self):
        form = parse_form(self.form, self.where, self.dtype, self.extents)
        stored = self.count(form)
        need(self.stored in (None, stored), f"{self.where}: stores {stored} elements, not {self.stored}")
        self.stored = stored

    def count(self, form):
        """How many elements the tensor stores in its form; checks that the parts make such a tensor."""
        first = self.parts[0]
        if len(self.parts) == 1:
            need(first.form == form, f"{self.where}: has the form {self.form}, its only part has not")
            first.places()
            return len(first.elements())
        stack = [part for part in self.parts if part.form.kind in SPARSE]
        stored = stored_by(stack) if stack else 0
        if len(stack) == len(self.parts):
            need(form.kind in SPARSE, f"{self.where}: sparse parts do not make {self.form}")
            return stored
        above = [part.form.kind for part in self.parts[len(stack) :]]
        need(self.parts[: len(stack)] == stack and above in (["rest"], ["rest", "mask"]) if stack else above == ["dense", "mask"],
             f"{self.where}: parts of these forms do not go together")
        made = put_together(self.parts)
        if form.kind == "dense":
            return first.n
        if form.kind != "nm":
            return int(np.count_nonzero(made))
        groups = made.reshape(-1, form.m, math.prod(self.extents[form.axis + 1 :]))
        need(np.count_nonzero(groups, axis=1).max() <= form.n, f"{self.where}: more than {form.n} of {form.m} elements are not zero")
        return first.n // form.m * form.n


def check_proportion(tensors):
    """A small file must not claim all memory of whoever writes its tensors out."""
    stored = sum(part.index.length + part.values.length for t in tensors for part in t.parts)
    dense = sum((math.prod(t.extents) + 7) // 8 if t.dtype == "bit" else math.prod(t.extents) * SIZES[t.dtype] for t in tensors)
    need(dense <= (256 << 20) + 1024 * stored, f"tensors of {dense} bytes, of which {stored} are stored")


class Checkpoint:
    """A file: meta, programs and levels by name, and state, which may be None. Made from the header, each value checked as it comes."""

    def __init__(self, header):
        self.blobs = []  # in the order of the file
        self.meta, programs, tensors, parts, levels, state = fields(header, "header", "meta", "programs", "tensors", "parts", "levels", "state")
        self.check_meta()
        programs = [array(program, f"programs[{i}]", 2) for i, program in enumerate(array(programs, "programs"))]
        self.programs = {name(key, "programs"): self.blob(code, f"program {key!r}") for key, code in programs}
        ascending([key.encode() for key, _ in programs], "programs")
        self.tensors = [self.tensor(array(t, f"tensors[{i}]", 3), f"tensors[{i}]") for i, t in enumerate(array(tensors, "tensors"))]
        ascending([(key.encode(), *kind) for key, *kind in self.tensors], "tensors")
        self.parts = [self.part(p, f"parts[{i}]") for i, p in enumerate(array(parts, "parts"))]
        need({part.tensor for part in self.parts} == set(range(len(tensors))), "tensors: one is in no part")
        self.levels = {}
        for i, level in enumerate(array(levels, "levels")):
            self.add_level(level, f"levels[{i}]")
        need(len(levels) <= 64, "levels: more than 64")
        need({number for _, _, e in levels for *_, numbers in e for number in numbers} == set(range(len(parts))), "parts: one is in no level")
        self.state = None if state is None else self.training(state)
        self.check_lines(header)
        for holder in [*self.levels.values(), self.state]:
            check_proportion(holder.tensors.values() if holder else ())

    def check_meta(self):
        *texts, seed, versions, given, extra = fields(self.meta, "meta", "model", "recipe", "data", "seed", "versions", "input", "extra")
        for value in texts:
            text(value, "meta")
        integer(seed, "meta.seed", 0, 2**64 - 1)
        named(versions, "meta.versions", text)
        named(extra, "meta.extra", text)
        shape, mean, std, classes = fields(given, "meta.input", "shape", "mean", "std", "classes")
        extents(shape, "meta.input.shape")
        numbers = array(mean, "meta.input.mean") + array(std, "meta.input.std", len(mean))
        need(all(type(x) is float and math.isfinite(x) for x in numbers), "meta.input: mean and std are finite floats")
        for label in array(classes, "meta.input.classes"):
            name(label, "meta.input.classes")

    def check_lines(self, header):
        *_, versions, given, extra = header["meta"].values()
        _, *lists = given.values()
        lists += [versions, extra, *(header[key] for key in ("programs", "tensors", "parts", "levels")), *(blob.chunks for blob in self.blobs)]
        lists += [x for _, *of_level in header["levels"] for x in of_level] + list((header["state"] or {}).values())
        need(sum(map(len, lists)) <= MAX_LINES, f"header: more than {MAX_LINES} lines")

    def blob(self, value, where):
        chunks = [array(chunk, where, 3) for chunk in array(value, where)]
        for i, (offset, length, crc) in enumerate(chunks):
            integer(offset, f"{where}: offset", 0, 2**63 - 1)
            integer(length, f"{where}: length", 1 if i == len(chunks) - 1 else MAX_CHUNK, MAX_CHUNK)
            integer(crc, f"{where}: checksum", 0, 2**32 - 1)
        self.blobs.append(Blob(where, chunks))
        return self.blobs[-1]

    def tensor(self, value, where):
        key, dtype, shape = value
        need(type(dtype) is str and dtype in SIZES, f"{where}: dtype {dtype!r} is unknown")
        return name(key, where), dtype, extents(shape, where)

    def part(self, value, where):
        tensor, form, index, values = array(value, where, 4)
        _, dtype, shape = self.tensors[integer(tensor, f"{where}: tensor", 0, len(self.tensors) - 1)]
        form = parse_form(form, where, dtype, shape, "rest", "mask")
        return Part(tensor, dtype, shape, form, self.blob(index, f"{where}: index"), self.blob(values, f"{where}: values"))

    def add_level(self, value, where):
        key, notes, entries = array(value, where, 3)
        need(name(key, where) not in self.levels, f"{where}: a level before it has the same name")
        self.levels[key] = level = Level(named(notes, f"{where}: notes", text), {})
        for entry in array(entries, where):
            tensor, form, stored, numbers = array(entry, where, 4)
            label, dtype, shape = self.tensors[integer(tensor, f"{where}: tensor", 0, len(self.tensors) - 1)]
            need(label not in level.tensors, f"{where}: tensor {label!r} comes twice")
            integer(stored, f"{where}: stored", 0, MAX_ELEMENTS)
            parts = [self.parts[integer(number, f"{where}: part", 0, len(self.parts) - 1)] for number in array(numbers, where)]
            need(parts and all(part.tensor == tensor for part in parts), f"{where}: tensor {label!r} has no parts, or those of another")
            ascending(numbers, f"{where}: parts")
            level.tensors[label] = Tensor(f"level {key!r}, tensor {label!r}", dtype, shape, form, stored, parts)
        ascending([tensor for tensor, *_ in entries], f"{where}: tensors")

    def training(self, value):
        ints, tensors = fields(value, "state", "ints", "tensors")
        state = State(named(ints, "state.ints", integer, -(2**63), 2**63 - 1), {})
        for i, t in enumerate(array(tensors, "state.tensors")):
            where = f"state.tensors[{i}]"
            *t, form, index, values = array(t, where, 6)
            key, dtype, shape = self.tensor(t, where)
            blobs = self.blob(index, f"{where}: index"), self.blob(values, f"{where}: values")
            part = Part(-1, dtype, shape, parse_form(form, where, dtype, shape), *blobs)
            state.tensors[key] = Tensor(f"state, tensor {key!r}", dtype, shape, form, None, [part])
        ascending([t[0].encode() for t in tensors], "state.tensors")
        return state

    def check_content(self):
        for key, code in self.programs.items():
            program = decode(code.bytes, code.at, single_floats=False)
            version, *_ = fields(program, f"program {key!r}", "version", "code", "inputs", "slots", "outputs", "updates")
            need(type(version) is int and version == 1, f"program {key!r}: version {version!r} is unknown")
            self.programs[key] = program
        for holder in [*self.levels.values(), self.state]:
            for tensor in holder.tensors.values() if holder else ():
                tensor.check()


def binary(length):
    """What begins a MessagePack binary: the shortest of its three forms."""
    code, width = (0xC4, 1) if length < 1 << 8 else (0xC5, 2) if length < 1 << 16 else (0xC6, 4)
    return bytes([code]) + length.to_bytes(width, "big")


def read_header(file):
    """The header, decoded, and where it ends."""
    need(file[:5] == b"\xa4cram", "at byte 0: not a cram file")
    need(file[5:6] == b"\x01", "at byte 5: a version that this reader does not know")
    need(file[6:8] == b"\xc4\x04" and len(file) > 13, "at byte 6: want a checksum of 4 bytes and a header")
    length = int.from_bytes(file[13 : 13 + {0xC5: 2, 0xC6: 4}.get(file[12], 1)], "big")
    begin, end = 12 + len(binary(length)), 12 + len(binary(length)) + length
    need(file[12:begin] == binary(length), "at byte 12: want a binary, in the shortest form")
    need(length <= 4 << 20 and end <= len(file), f"at byte 12: a header of {length} bytes, the file has {len(file)}")
    need(crc32c(file[begin:end]) == int.from_bytes(file[8:12], "little"), f"at byte {begin}: the checksum of the header does not match")
    return decode(bytes(file[begin:end]), begin, single_floats=True), end


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
    header, end = read_header(file)
    f = Checkpoint(header)
    read_chunks(file, end, f.blobs)
    f.check_content()
    return f

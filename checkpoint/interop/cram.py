"""Reads cram checkpoints of version 1, as ../FORMAT.md describes them, with msgpack and numpy.

    f = Checkpoint(open("net.cram", "rb").read())
    weights = f.level("topk:0.9")        # {name: numpy array}

bf16 tensors come as uint16 (their upper halves of float32), bits as bool. Programs come as what MessagePack makes of them.
Everything that is read is checked; what is wrong is a ValueError that says at which byte.
"""
import math

import msgpack
import numpy as np

ALIGN, CHUNK, MAX_HEADER, RUN = 64, 128 << 20, 4 << 20, 1 << 16
MAGIC = b"\xa4cram\x01"
DTYPES = {"f32": "<f4", "f64": "<f8", "f16": "<f2", "bf16": "<u2", "i8": "i1", "i32": "<i4", "i64": "<i8", "bit": "?"}
FIELDS = ["meta", "programs", "tensors", "parts", "levels", "state"]

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def want(ok, at, problem):
    if not ok:
        raise ValueError(f"byte {at}: {problem}")


def bin_head(n):
    """The bytes that begin a MessagePack binary of n bytes, in their shortest form."""
    code, width = (0xC4, 1) if n < 1 << 8 else (0xC5, 2) if n < 1 << 16 else (0xC6, 4)
    return bytes([code]) + n.to_bytes(width, "big")


def bits(data, n, at):
    """The first n bits of data, least significant first; the rest must be zero."""
    b = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    want(len(data) == (n + 7) // 8 and not b[n:].any(), at, f"want {n} bits and zeros to the end of the byte")
    return b[:n].astype(bool)


class Checkpoint:
    def __init__(self, data):
        self.b = data
        want(data[:6] == MAGIC, 0, "not a cram file of version 1")
        want(data[6:8] == b"\xc4\x04", 6, "want a checksum of 4 bytes")
        want(len(data) > 12 and data[12] in (0xC4, 0xC5, 0xC6), 12, "want the header")
        width = {0xC4: 1, 0xC5: 2, 0xC6: 4}[data[12]]
        size = int.from_bytes(data[13 : 13 + width], "big")
        self.end = 13 + width + size
        want(size <= MAX_HEADER and self.end <= len(data) and bin_head(size) == data[12 : 13 + width], 12, f"a header of {size} bytes")
        header = data[13 + width : self.end]
        want(crc32c(header) == int.from_bytes(data[8:12], "little"), 13 + width, "checksum of the header")
        self.h = msgpack.unpackb(header)
        # All floats of a header are 32 bits wide, so packing it again shows whether it is canonical; a key twice would be gone.
        want(list(self.h) == FIELDS and msgpack.packb(self.h, use_single_float=True) == header, 13 + width, "the header is not canonical")
        self.data = -(-self.end // ALIGN) * ALIGN + ALIGN
        self._lay_out()

    def _lay_out(self):
        """Finds the place of every chunk, which follows from the lengths, and checks it and what stands between them."""
        h, at = self.h, self.end
        blobs = [code for _, code in h["programs"]]
        blobs += [b for p in h["parts"] for b in p[2:4]]
        blobs += [b for t in (h["state"] or {"tensors": []})["tensors"] for b in t[4:6]]
        for blob in blobs:
            for k, (offset, n, _) in enumerate(blob):
                want(0 < n <= CHUNK and (n == CHUNK or k == len(blob) - 1), at, f"a chunk of {n} bytes")
                head = bin_head(n)
                place = self.data if at == self.end else -(-(at + 2 + len(head)) // ALIGN) * ALIGN
                zeros = place - at - 2 - len(head)
                want(self.data + offset == place, at, f"a chunk at offset {offset}, want {place - self.data}")
                want(self.b[at:place] == bin_head(zeros) + bytes(zeros) + head, at, "padding")
                at = place + n
        want(at == len(self.b), at, f"the file has {len(self.b)} bytes")

    def _read(self, blob):
        out = []
        for offset, n, crc in blob:
            piece = self.b[self.data + offset : self.data + offset + n]
            want(crc32c(piece) == crc, self.data + offset, f"checksum of the {n} bytes from here")
            out.append(piece)
        return b"".join(out)

    def program(self, name):
        return self._read(dict(self.h["programs"])[name])

    def levels(self):
        return [name for name, _, _ in self.h["levels"]]

    def level(self, name):
        entries = next(entries for n, _, entries in self.h["levels"] if n == name)
        return {self.h["tensors"][t][0]: self._assemble(t, form, stored, parts) for t, form, stored, parts in entries}

    def state(self):
        if self.h["state"] is None:
            return None
        tensors = {}
        for name, dtype, dims, form, index, values in self.h["state"]["tensors"]:
            x, _ = self._part(dtype, dims, form, index, values, None)
            tensors[name] = x.view(DTYPES[dtype]).reshape(dims)
        return self.h["state"]["ints"], tensors

    def _assemble(self, tensor, form, stored, parts):
        _, dtype, dims = self.h["tensors"][tensor]
        sum_, count = None, 0
        for p in parts:
            of, kind, index, values = self.h["parts"][p]
            want(of == tensor, self.end, f"part {p} is of another tensor")
            if len(parts) > 1 and kind in ("bitmask", "index16"):
                part, _ = self._part(dtype, dims, kind, index, values, None)
                want(np.count_nonzero(part) * part.itemsize == sum(n for _, n, _ in values), self.end, f"part {p} stores a zero")
                want(sum_ is None or not (sum_.astype(bool) & part.astype(bool)).any(), self.end, f"part {p} stores an element again")
                sum_ = part if sum_ is None else sum_ | part
            else:
                sum_, count = self._part(dtype, dims, kind, index, values, sum_)
        kind = form.split(":")[0]
        if len(parts) > 1:
            n, m = map(int, form.split(":")[1:3]) if kind == "nm" else (1, 1)
            count = np.count_nonzero(sum_) if kind in ("bitmask", "index16") else sum_.size * n // m
        want(count == stored, self.end, f"{count} elements are stored, the header says {stored}")
        return sum_.view(DTYPES[dtype]).reshape(dims)

    def _part(self, dtype, dims, form, index, values, before):
        """All elements, as unsigned words, after this part on top of those before; and how many the part stores."""
        at = self.data + (index or values or [[0]])[0][0]
        n, size = math.prod(dims), np.dtype(DTYPES[dtype]).itemsize
        index, values = self._read(index), self._read(values)
        if dtype == "bit":
            want(form == "dense" and not index, at, f"bits as {form}")
            return bits(values, n, at), n
        values = np.frombuffer(values, f"<u{size}")
        kind, *numbers = form.split(":")
        if kind == "mask":
            want(before is not None and not len(values), at, "a mask of nothing")
            return np.where(bits(index, n, at), before, before.dtype.type(0)), 0
        if kind == "rest":
            want(before is not None and not index, at, "a rest after nothing")
            out, where = before.copy(), np.flatnonzero(before == 0)
        else:
            out = np.zeros(n, f"<u{size}")
            where = {"dense": self._dense, "bitmask": self._bitmask, "index16": self._index16, "nm": self._nm}[kind](index, n, dims, at, *map(int, numbers))
        want(len(where) == len(values), at, f"{len(values)} values for {len(where)} elements")
        out[where] = values
        return out, len(where)

    @staticmethod
    def _dense(index, n, dims, at):
        want(not index, at, "an index of a dense tensor")
        return np.arange(n)

    @staticmethod
    def _bitmask(index, n, dims, at):
        return np.flatnonzero(bits(index, n, at))

    @staticmethod
    def _index16(index, n, dims, at):
        runs = -(-n // RUN)
        want(len(index) >= 4 * runs and len(index) % 2 == 0, at, f"want {runs} counts")
        counts, places = np.frombuffer(index[: 4 * runs], "<u4"), np.frombuffer(index[4 * runs :], "<u2")
        want(counts.sum() == len(places), at, f"counts of {counts.sum()}, {len(places)} places")
        where = np.repeat(np.arange(runs) * RUN, counts) + places
        last = np.repeat(np.minimum((np.arange(runs) + 1) * RUN, n), counts)
        want((np.diff(where) > 0).all() and (where < last).all(), at, "places are not ascending in their runs")
        return where

    @staticmethod
    def _nm(index, n, dims, at, keep, m, axis):
        want(axis < len(dims) and 1 <= keep <= m <= 256 and dims[axis] % m == 0, at, f"{keep}:{m} along axis {axis} of {dims}")
        width, stored = (m - 1).bit_length(), n // m * keep
        places = (bits(index, stored * width, at).reshape(stored, width) << np.arange(width)).sum(1).reshape(-1, keep)
        want((places < m).all() and (np.diff(places) > 0).all(), at, "places are not ascending in their groups")
        inner = math.prod(dims[axis + 1 :])
        group = np.arange(n // m)[:, None]
        return (group // inner * m * inner + group % inner + places * inner).ravel()

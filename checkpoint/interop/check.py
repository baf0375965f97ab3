"""check.py FOLDER… reads every NAME.cram in the folders with cram.py.

Beside a file that is whole lies NAME.json, and what is found is compared with it: meta, programs, the tensors of all levels, the state. A file without one is an
attack, sealed with right checksums, and must be refused. The elastic file is then damaged byte by byte, and cut short at each: all that must be refused, too.
"""
import hashlib
import json
import pathlib
import sys

import msgpack
import numpy as np

import cram


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def described(t):
    x = t.array()
    if t.dtype == "bit":
        raw = np.packbits(x.ravel(), bitorder="little")
    elif t.dtype == "bf16":
        raw = x.view("<u4")
        assert not (raw & 0xFFFF).any(), "a bf16 that was not widened exactly"
        raw = (raw >> 16).astype("<u2")
    else:
        raw = x
    return {"dims": list(x.shape), "form": t.form, "stored": t.stored, "sha256": sha256(raw.tobytes())}


def all_described(holder):
    return {name: described(t) for name, t in holder.tensors.items()}


def content(source):
    f = cram.open(source)
    return {
        "meta": f.meta,
        "programs": {name: sha256(msgpack.packb(program)) for name, program in f.programs.items()},
        "levels": {name: all_described(level) for name, level in f.levels.items()},
        "state": f.state and {"ints": f.state.ints, "tensors": all_described(f.state)},
    }


def refused(source, what):
    try:
        cram.open(source)
    except cram.FormatError:
        return
    raise AssertionError(f"{what}, and the reader took it")


def main(folders):
    assert cram.crc32c(b"123456789") == 0xE3069283, "CRC-32C of the catalogue's check value"
    files = [p for d in folders for p in sorted(pathlib.Path(d).glob("*.cram"))]
    whole = [p for p in files if p.with_suffix(".json").exists()]
    tensors = 0
    for path in whole:
        got, want = content(path), json.loads(path.with_suffix(".json").read_text())
        assert got == want, f"{path}:\n got {got}\nwant {want}"
        tensors += sum(map(len, got["levels"].values())) + len(got["state"]["tensors"] if got["state"] else ())
    attacks = [p for p in files if p not in whole]
    assert attacks, f"no attacks in {folders}"
    for path in attacks:
        refused(path, path)
    elastic = next(p for p in whole if p.stem == "elastic").read_bytes()
    for i in range(len(elastic)):
        damaged = bytearray(elastic)
        damaged[i] ^= 1 << i % 8
        refused(bytes(damaged), f"byte {i} of the elastic file was flipped")
        refused(elastic[:i], f"the elastic file was cut after {i} bytes")
    refused(elastic + b"\0", "a byte follows the elastic file")
    print(f"{len(whole)} files, {tensors} tensors as written; {len(attacks)} attacks and {2 * len(elastic) + 1} damaged files refused")


main(sys.argv[1:])

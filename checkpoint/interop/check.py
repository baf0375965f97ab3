"""check.py DIR… reads every NAME.cram in the folders with cram.py, and compares what it finds with NAME.json beside it.

The elastic file is then damaged byte by byte: the reader must refuse each.
"""
import hashlib
import json
import pathlib
import sys

import msgpack
import numpy as np

from cram import Checkpoint


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def described(x):
    raw = np.packbits(x.ravel(), bitorder="little") if x.dtype == bool else x
    return {"dims": list(x.shape), "sha256": sha256(raw.tobytes())}


def content(data):
    f = Checkpoint(data)
    out = {"programs": {}, "levels": {}, "state": None}
    for name, _ in f.h["programs"]:
        code = f.program(name)
        msgpack.unpackb(code)
        out["programs"][name] = sha256(code)
    for level in f.levels():
        out["levels"][level] = {name: described(x) for name, x in f.level(level).items()}
    if f.state() is not None:
        ints, tensors = f.state()
        out["state"] = {"ints": ints, "tensors": {name: described(x) for name, x in tensors.items()}}
    return out


def main(folders):
    files = [p for d in folders for p in sorted(pathlib.Path(d).glob("*.cram"))]
    assert files, f"no files in {folders}"
    tensors = 0
    for path in files:
        got, want = content(path.read_bytes()), json.loads(path.with_suffix(".json").read_text())
        assert got == want, f"{path}:\n got {got}\nwant {want}"
        tensors += sum(map(len, got["levels"].values()))
    whole = next(p for p in files if p.stem == "elastic").read_bytes()
    for i in range(len(whole)):
        damaged = bytearray(whole)
        damaged[i] ^= 1 << i % 8
        try:
            content(bytes(damaged))
        except (ValueError, msgpack.UnpackException):
            continue
        raise AssertionError(f"byte {i} of the elastic file was flipped, and the reader took it")
    print(f"{len(files)} files, {tensors} tensors as written; {len(whole)} damaged files refused")


main(sys.argv[1:])

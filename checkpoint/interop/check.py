"""check.py DIRECTORY… reads every NAME.cram in the directories with cram.py.

A good file has a NAME.json with its content, and what cram.py finds is compared with it. A file without NAME.json is an attack with right checksums: cram.py
must refuse it. Then an elastic file of each version is damaged byte by byte, and cut short at each byte: cram.py must refuse all of that, too.
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
    found = {"dims": list(x.shape), "form": t.encoding, "stored": t.stored, "sha256": sha256(raw.tobytes())}
    if t.quantization:
        assert t.real().shape == x.shape
        found["quantization"] = quantization(t.quantization)
    return found


def quantization(q):
    return {"axis": q.axis, "scale": q.scale.astype(float).tolist(), "zero": q.zero.tolist()}


def tensors(holder):
    return {name: described(t) for name, t in holder.tensors.items()}


def programs(of):
    return {name: sha256(msgpack.packb(program)) for name, program in of.items()}


def port(p):
    dims = (str(d) if type(d) is int else d[1] if d[0] == 1 else f"{d[0]}*{d[1]}" for d in p.shape)
    return {**p._asdict(), "shape": "[" + " ".join(dims) + "]"}


def level(l):
    return {"notes": l.notes, "programs": programs(l.programs), "activations": {k: quantization(q) for k, q in l.activations.items()}, "tensors": tensors(l)}


def content(source):
    f = cram.open(source)
    state = f.state and {"ints": f.state.ints, "tensors": tensors(f.state)}
    if f.version == 1:
        return {"meta": f.meta, "programs": programs(f.programs), "levels": {name: tensors(l) for name, l in f.levels.items()}, "state": state}
    return {
        "meta": f.meta,
        "inputs": [port(p) for p in f.inputs],
        "outputs": [port(p) for p in f.outputs],
        "steps": [{"kind": s.kind, "port": s.port, "settings": s.settings, "tensors": tensors(s)} for s in f.steps],
        "programs": programs(f.programs),
        "levels": {name: level(l) for name, l in f.levels.items()},
        "state": state,
    }


def count(found):
    """The number of tensors of a file."""
    levels = found["levels"].values()
    total = sum(len(l.get("tensors", l)) for l in levels) + len(found["state"]["tensors"] if found["state"] else ())
    return total + sum(len(s["tensors"]) for s in found.get("steps", ()))


def refused(source, what):
    try:
        cram.open(source)
    except cram.FormatError:
        return
    raise AssertionError(f"{what}, and the reader accepted it")


def main(directories):
    assert cram.crc32c(b"123456789") == 0xE3069283, "CRC-32C of the catalogue's check value"
    files = [p for d in directories for p in sorted(pathlib.Path(d).glob("*.cram"))]
    whole = [p for p in files if p.with_suffix(".json").exists()]
    total = 0
    for path in whole:
        got, want = content(path), json.loads(path.with_suffix(".json").read_text())
        assert got == want, f"{path}:\n got {got}\nwant {want}"
        total += count(got)
    attacks = [p for p in files if p not in whole]
    assert attacks, f"no attacks in {directories}"
    for path in attacks:
        refused(path, path)
    damages = 0
    for path in (p for p in whole if p.stem in ("elastic", "v2-elastic", "v2-full")):
        good = path.read_bytes()
        for i in range(len(good)):
            damaged = bytearray(good)
            damaged[i] ^= 1 << i % 8
            refused(bytes(damaged), f"byte {i} of {path} was flipped")
            refused(good[:i], f"{path} was cut after {i} bytes")
        refused(good + b"\0", f"a byte follows {path}")
        damages += 2 * len(good) + 1
    assert damages
    print(f"{len(whole)} files, {total} tensors as written; {len(attacks)} attacks and {damages} damaged files refused")


main(sys.argv[1:])

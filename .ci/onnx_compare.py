"""Runs every NAME.onnx of a directory in ONNX Runtime and compares its outputs with those of cram.

NAME.safetensors contains the inputs as in:INPUT and the outputs of cram as out:OUTPUT. Networks
(NAME-whole, NAME-folded) return logits. These must be within 1e-4 of the largest logit of each image
and have the same first class, and folded networks must have no batch norms. The outputs of single
ops (op-NAME) must be within a relative error of 1e-6 for each element; ops that add many numbers,
of the largest element.
"""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open

TOLERANCE, ROUNDING = 1e-4, 1e-6
directory = pathlib.Path(sys.argv[1])


def run(path, change=lambda x: x):
    """Returns the session, the tensors of the file and the outputs of ONNX Runtime by name."""
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with safe_open(path.with_suffix(".safetensors"), "np") as f:
        tensors = {name: f.get_tensor(name) for name in f.keys()}
    feeds = {x.name: change(tensors["in:" + x.name]) for x in session.get_inputs()}
    feeds.update({x.name: feeds[x.name].astype(bool) for x in session.get_inputs() if x.type == "tensor(bool)"})
    names = [out.name for out in session.get_outputs()]
    return session, tensors, dict(zip(names, session.run(names, feeds)))


def difference(got, want):
    """Returns the largest difference of two logits of an image, relative to its largest logit."""
    assert got.shape == want.shape and np.isfinite(got).all(), (got.shape, want.shape)
    return float((np.abs(got - want).max(1) / np.abs(want).max(1)).max())


def network(path):
    session, tensors, outputs = run(path)
    (x,) = session.get_inputs()
    assert x.shape[0] == "N", f"the batch of {path} is {x.shape[0]}"
    (got,) = outputs.values()
    want = tensors["out:logits"]
    # Logits that are nearly the same for all images would pass with any network.
    spread = float(np.abs(want - want.mean(0)).max() / np.abs(want).max())
    error = difference(got, want)
    first = float((got.argmax(1) == want.argmax(1)).mean())
    folded = all(n.op_type != "BatchNormalization" for n in onnx.load(str(path)).graph.node)
    good = error <= TOLERANCE and first == 1 and spread > 0.05 and folded == path.stem.endswith("folded")
    text = f"relative error {error:.1e}, same first class {first:.0%}, spread {spread:.0%}, {'no ' if folded else ''}batch norms"
    if "labels" in tensors and path.stem.startswith("published"):
        right = [float((np.argsort(-y)[:, :3, None] == tensors["labels"][:, None]).any(2)[:, :top].any(1).mean()) for y in (got, want) for top in (1, 3)]
        good &= right[:2] == right[2:] and ("dense" not in path.stem or right[1] > 0.9)
        text += f", right {right[0]:.1%}, in the top three {right[1]:.1%}"
    return good, f"{len(want)} images, {text}"


# Ops whose error is relative to the largest element: sums, and sigmoid, which ONNX Runtime computes
# as 1/2 plus a term.
ADDING = ("sigmoid", "sum", "count", "matmul", "conv2d", "avg_pool", "softmax", "batch_norm_infer", "layer_norm")


def operation(path):
    _, tensors, outputs = run(path)
    want, got = tensors["out:y"], outputs["y"]
    got = got.astype(np.int8) if got.dtype == bool else got
    good = got.dtype == want.dtype and got.shape == want.shape
    if good and got.dtype.kind == "f":
        size = np.abs(want).max() if path.stem.split("-", 2)[2] in ADDING else np.abs(want)
        error = np.abs(got - want) / np.where(size == 0, 1, size)
        return error.max() <= ROUNDING, f"{error.max():.1e}"
    if not good:
        return False, f"{got.dtype}{got.shape}, want {want.dtype}{want.shape}"
    return (got == want).all(), "exact" if (got == want).all() else f"{got.ravel()[:9]}, want {want.ravel()[:9]}"


def judged(judge, path):
    """Returns the result for a file. A file that cannot be run has failed."""
    try:
        return judge(path)
    except Exception as e:
        return False, f"{type(e).__name__}: {e}"


networks = sorted(p for p in directory.glob("*.onnx") if not p.stem.startswith("op-"))
operations = sorted(directory.glob("op-*.onnx"))
assert len(networks) >= 12 and len(operations) >= 150, f"want 12 networks and 150 ops, got {len(networks)} networks and {len(operations)} ops in {directory}"
failed = 0
worst = {}
for path in operations:
    good, text = judged(operation, path)
    failed += not good
    if good:
        worst.setdefault(path.stem.split("-", 2)[2], []).append(text)
    else:
        with safe_open(path.with_suffix(".safetensors"), "np") as f:
            print(f"FAIL {path.stem} {f.metadata()['case']}: {text}")
for op, texts in sorted(worst.items()):
    print(f"     {op:32} {len(texts)} cases, the worst relative error {max(texts, key=lambda text: -1 if text == 'exact' else float(text))}")
for path in networks:
    good, text = judged(network, path)
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {path.stem:32} {text}", flush=True)
# A check of the comparison: images that are 10 % darker must fail it.
_, tensors, outputs = run(networks[0], lambda x: x * np.float32(0.9))
(darker,) = outputs.values()
assert difference(darker, tensors["out:logits"]) > TOLERANCE, "the comparison does not find a change of 10 %"
sys.exit(failed > 0)

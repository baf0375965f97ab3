"""Runs every NAME.onnx of a folder on NAME.input.f32 and compares with NAME.output.f32, as cram answered."""
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-4
folder = pathlib.Path(sys.argv[1])


def error(path, spoil=False):
    """The largest difference from cram's logits, relative to the largest logit."""
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    assert x.shape[0] == "N", f"the batch of {path} is {x.shape[0]}"
    inputs = np.fromfile(path.with_suffix(".input.f32"), np.float32).reshape(-1, *x.shape[1:])
    if spoil:
        inputs = inputs * 0.9
    want = np.fromfile(path.with_suffix(".output.f32"), np.float32).reshape(len(inputs), -1)
    assert spoil or np.abs(want - want.mean(0)).max() > 100 * TOLERANCE * np.abs(want).max(), f"{path}: the answers hardly depend on the images"
    (got,) = session.run(None, {x.name: inputs})
    assert got.shape == want.shape and np.isfinite(got).all(), (got.shape, want.shape)
    return float(np.abs(got - want).max() / np.abs(want).max())


models = sorted(folder.glob("*.onnx"))
assert len(models) >= 8, f"only {len(models)} models in {folder}"
failed = 0
for path in models:
    e = error(path)
    nodes = {n.op_type for n in onnx.load(str(path), load_external_data=False).graph.node}
    folded = "BatchNormalization" not in nodes
    good = e <= TOLERANCE and folded == path.stem.endswith("folded")
    failed += not good
    print(f"{'ok  ' if good else 'FAIL'} {path.stem:40} relative error {e:.2g}, {'no ' if folded else ''}batch norms")
# The comparison must be able to fail: inputs that are 10 % darker are no longer the same.
assert error(models[0], spoil=True) > TOLERANCE, "the comparison does not see a change of 10 %"
sys.exit(failed > 0)

"""A peer for cram bench file: the Python library of safetensors with numpy.

It loads a file by a plain read into arrays; the format has no checksums.
"""
import os
import sys
import time

import safetensors
from safetensors.numpy import load_file, save_file

print(f"safetensors {safetensors.__version__}", flush=True)
tensors = {}
for line in sys.stdin:
    verb, path = line.rstrip("\n").split(" ", 1)
    begin = time.perf_counter()
    if verb == "load":
        loaded = load_file(path)
    else:
        save_file(tensors, path)
        with open(path, "rb") as f:
            os.fsync(f.fileno())
    seconds = time.perf_counter() - begin
    if verb == "load":
        tensors = loaded
        del loaded
    print(seconds, flush=True)

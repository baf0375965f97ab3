#!/usr/bin/env python3
"""Writes golden.json.gz: trajectories of a small conv+BN network under every optimizer variant, in PyTorch, float64.

  python3 golden.py golden.json.gz

Nothing here is random: inputs, labels and initial weights are integer formulas, and the draw of a compressor is (5·step+2) mod the
size of the set. The three-step trajectories named "…/f32" run in float32. Independent of the Go code: masks are made by sorting.
"""
import gzip, json, sys
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
SHAPES = [("conv1.weight", (8, 3, 3, 3)), ("bn1.weight", (8,)), ("bn1.bias", (8,)), ("conv2.weight", (8, 8, 3, 3)),
          ("bn2.weight", (8,)), ("bn2.bias", (8,)), ("fc.weight", (4, 8)), ("fc.bias", (4,))]
KERNELS = [i for i, (n, s) in enumerate(SHAPES) if len(s) > 1]
BATCH, SIDE, CLASSES = 8, 6, 4


def formula(n, a, b, mod):
    return ((np.arange(n, dtype=np.int64) * a + b) % mod).astype(np.float64) / mod * 2 - 1


def batch(step, dtype):
    x = formula(BATCH * 3 * SIDE * SIDE, 7919, 104729 * (step + 1), 2003).reshape(BATCH, 3, SIDE, SIDE)
    y = (np.arange(BATCH) * 31 + step * 17) % CLASSES
    return torch.tensor(x, dtype=dtype), torch.tensor(y)


def initial(dtype):
    out = []
    for k, (name, shape) in enumerate(SHAPES):
        v = formula(int(np.prod(shape)), 6151, 3571 * (k + 1), 1999).reshape(shape)
        v = 1 + 0.25 * v if name.endswith("bn1.weight") or name.endswith("bn2.weight") else 0.5 * v
        out.append(torch.tensor(v, dtype=dtype))
    return out


def forward(w, x, stats, move):
    """Training-mode forward; the running statistics move only when asked."""
    def bn(h, gamma, beta, k):
        mean, var = stats[k], stats[k + 1]
        if not move:
            mean, var = mean.clone(), var.clone()
        return F.batch_norm(h, mean, var, gamma, beta, training=True, momentum=0.1, eps=1e-5)
    h = F.relu(bn(F.conv2d(x, w[0], padding=1), w[1], w[2], 0))
    h = F.relu(bn(F.conv2d(h, w[3], stride=2, padding=1), w[4], w[5], 2))
    return F.linear(h.mean((2, 3)), w[6], w[7])


def gradient(w, x, y, stats, move, trained):
    leaves = [v.clone().requires_grad_(True) for v in w]
    loss = F.cross_entropy(forward(leaves, x, stats, move), y)
    g = torch.autograd.grad(loss, [leaves[i] for i in trained])
    return loss.item(), dict(zip(trained, g))


# Compression operators: weights -> {index: 0/1 mask} for the tensors that have one.
def best(scores, keep):
    mask = np.zeros(scores.size)
    mask[np.argsort(-scores, kind="stable")[:keep]] = 1  # stable: ties by lowest index
    return mask


def half_away(x):
    return int(np.floor(x + 0.5))


def topk(p):
    def c(w):
        flat = np.concatenate([np.abs(w[i].numpy()).ravel() for i in KERNELS])
        mask, out, at = best(flat, half_away(flat.size * (1 - p))), {}, 0
        for i in KERNELS:
            n = w[i].numel()
            out[i] = mask[at:at + n].reshape(w[i].shape)
            at += n
        return out
    return c


def uniform(p):
    def c(w):
        return {i: best(np.abs(w[i].numpy()).ravel(), half_away(w[i].numel() * (1 - p))).reshape(w[i].shape) for i in KERNELS[1:-1]}
    return c


def nm(n, m):
    def c(w):
        out = {}
        for i in KERNELS:
            if w[i].shape[1] % m:
                continue
            a = np.moveaxis(np.abs(w[i].numpy()), 1, -1)
            g = a.reshape(-1, m)
            mask = np.stack([best(row, n) for row in g]).reshape(a.shape)
            out[i] = np.moveaxis(mask, -1, 1)
        return out
    return c


def block(size, p):
    def c(w):
        scores = [np.abs(w[i].numpy()).reshape(w[i].shape[0] // size, size, -1).sum(1) for i in KERNELS]
        flat = np.concatenate([s.ravel() for s in scores])
        mask, out, at = best(flat, half_away(flat.size * (1 - p))), {}, 0
        for i, s in zip(KERNELS, scores):
            m = mask[at:at + s.size].reshape(s.shape)
            out[i] = np.repeat(m[:, None], size, 1).reshape(w[i].shape)
            at += s.size
        return out
    return c


def run(steps, dtype=torch.float64, rho=None, normalize=False, cs=(), mix=(1,), refresh=1, dense_gradient=False, rule="sgd", lr=0.1, momentum=0.9,
        weight_decay=5e-4, nesterov=False, clip=None, frozen=(), decay_kernels_only=False):
    names = [n for n, _ in SHAPES]
    trained = [i for i, n in enumerate(names) if n not in frozen]
    w = initial(dtype)
    stats = [torch.zeros(8, dtype=dtype), torch.ones(8, dtype=dtype), torch.zeros(8, dtype=dtype), torch.ones(8, dtype=dtype)]
    params = {i: torch.nn.Parameter(w[i].clone()) for i in trained}
    if decay_kernels_only:
        groups = [{"params": [params[i] for i in trained if i in KERNELS], "weight_decay": weight_decay},
                  {"params": [params[i] for i in trained if i not in KERNELS], "weight_decay": 0}]
    else:
        groups = [{"params": list(params.values()), "weight_decay": weight_decay}]
    opt = {"sgd": lambda: torch.optim.SGD(groups, lr, momentum=momentum, nesterov=nesterov),
           "adam": lambda: torch.optim.Adam(groups, lr, foreach=False), "adamw": lambda: torch.optim.AdamW(groups, lr, foreach=False)}[rule]()
    masks, uses, losses = {}, [0] * len(cs), []
    for step in range(steps):
        x, y = batch(step, dtype)
        loss, g = gradient(w, x, y, stats, True, trained)
        losses.append(loss)
        total = {i: mix[0] * g[i] for i in trained}
        if len(mix) > 1:
            scale = rho
            if normalize:
                scale = rho / (torch.sqrt(sum((g[i] ** 2).sum() for i in trained)) + 1e-12)
            at = [w[i] + scale * g[i] if i in g else w[i].clone() for i in range(len(w))]
            mask = {}
            if cs:
                d = (5 * step + 2) % len(cs)
                if uses[d] % refresh == 0:
                    masks[d] = cs[d](at)
                uses[d] += 1
                mask = {i: torch.tensor(m, dtype=dtype) for i, m in masks[d].items()}
                at = [v * mask[i] if i in mask else v for i, v in enumerate(at)]
            _, g2 = gradient(at, x, y, stats, False, trained)
            for i in trained:
                if i in mask and not dense_gradient:
                    g2[i] = g2[i] * mask[i]
                total[i] = total[i] + mix[1] * g2[i]
        for i in trained:
            params[i].grad = total[i].clone()
        if clip:
            torch.nn.utils.clip_grad_norm_(params.values(), clip, foreach=False)
        opt.step()
        w = [params[i].detach().clone() if i in params else w[i] for i in range(len(w))]
    names += ["bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var"]
    flat = {n: [float("%.14g" % x) for x in v.reshape(-1).tolist()] for n, v in zip(names, w + stats)}
    return {"losses": losses, "final": flat}


plus, last = (1, 1), (0, 1)
VARIANTS = {
    "sgd": dict(),
    "sgd-nesterov": dict(nesterov=True),
    "adam": dict(rule="adam", lr=0.01),
    "adamw": dict(rule="adamw", lr=0.01, weight_decay=0.05),
    "sam": dict(rho=0.05, normalize=True, mix=last),
    "cram": dict(rho=0.05, cs=[topk(.5)], mix=last),
    "cram+": dict(rho=0.1, cs=[topk(.7)], mix=plus),
    "cram+-multi": dict(rho=0.1, cs=[topk(.5), topk(.7), topk(.9)], mix=plus),
    "cram+-multi-infrequent": dict(rho=0.1, cs=[topk(.5), topk(.9)], mix=plus, refresh=4),
    "cram+-dense-gradient": dict(rho=0.1, cs=[topk(.7)], mix=plus, dense_gradient=True),
    "cram+-normalized": dict(rho=0.1, cs=[topk(.7)], mix=plus, normalize=True),
    "cram+-rho0": dict(rho=0.0, cs=[topk(.5), topk(.9)], mix=plus),
    "cram+-uniform": dict(rho=0.1, cs=[uniform(.7)], mix=plus),
    "cram+-nm": dict(rho=0.1, cs=[nm(2, 4), nm(4, 8)], mix=plus),
    "cram+-block4": dict(rho=0.1, cs=[block(4, .5)], mix=plus),
    "cram+-adamw": dict(rho=0.1, cs=[topk(.7)], mix=plus, rule="adamw", lr=0.01, weight_decay=0.05),
    "cram+-clip": dict(rho=0.1, cs=[topk(.7)], mix=plus, clip=0.05),
    "cram+-frozen": dict(rho=0.1, cs=[nm(2, 4)], mix=plus, frozen=("conv2.weight", "bn2.bias")),
    "cram+-decay-groups": dict(rho=0.1, cs=[topk(.7)], mix=plus, decay_kernels_only=True, weight_decay=0.01),
}

out = {"torch": torch.__version__}
for name, v in VARIANTS.items():
    out[name] = run(50, **v)
    out[name + "/f32"] = run(3, dtype=torch.float32, **v)
with gzip.GzipFile(sys.argv[1], "wb", mtime=0) as f:
    f.write(json.dumps(out).encode())

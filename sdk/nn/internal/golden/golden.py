#!/usr/bin/env python3
"""Writes layers.json and models.json into its own directory: results of PyTorch for layers and models, in float64.

  python3 golden.py

Nothing is random: inputs, parameters and the factors of outputs and gradients are integer formulas, which the Go test
has, too. The networks are written here from the papers and from the published parameter names.
"""
import json, math, os
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def formula(shape, a, b, mod):
    n = int(np.prod(shape))
    v = ((np.arange(n, dtype=np.int64) * a + b) % mod).astype(np.float64) / mod * 2 - 1
    return torch.tensor(v.reshape(shape))


def parameters(model):
    """Fills parameters and statistics in order of name."""
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    for k, name in enumerate(sorted(state)):
        t = state[name]
        v = formula(t.shape, 6151, 3571 * (k + 1), 1999)
        if name.endswith("running_var"):
            v = 1 + 0.5 * v
        elif name.endswith("running_mean") or name.endswith("bias"):
            v = 0.1 * v
        elif t.dim() == 1:
            v = 1 + 0.25 * v
        else:
            v = v * math.sqrt(6 / (t.numel() / t.shape[0]))
        t.copy_(v)
    return state


def case(name, model, shape, rows=0):
    """For rows > 0 the input consists of indices below rows."""
    with torch.no_grad():
        state = parameters(model)
    if rows:
        x = torch.arange(int(np.prod(shape))).reshape(shape) * 7 % rows
    else:
        x = formula(shape, 7919, 104729, 2003).requires_grad_()
    model.eval()
    infer = model(x).detach()
    model.train()
    train = model(x)
    (train * formula(train.shape, 5347, 7919, 1993)).sum().backward()
    grads = {n: p.grad for n, p in model.named_parameters()}
    if not rows:
        grads["x"] = x.grad
    return {
        "name": name, "input": list(shape), "rows": rows,
        "state": {k: list(v.shape) for k, v in state.items()},
        "output": list(infer.shape),
        "infer": infer.reshape(-1).tolist(), "train": train.detach().reshape(-1).tolist(),
        "grads": {n: float((g * formula(g.shape, 4657, 3571, 1997)).sum()) for n, g in grads.items()},
        "stats": {k: v.tolist() for k, v in state.items() if "running" in k},
    }


class Named(nn.Module):
    """One layer in the scope "layer"."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


LAYERS = [
    ("conv", nn.Conv2d(3, 4, 3), (2, 3, 6, 5)),
    ("conv stride 2, padding 1, no bias", nn.Conv2d(3, 4, 3, 2, 1, bias=False), (2, 3, 6, 5)),
    ("conv groups 2", nn.Conv2d(4, 6, 3, 1, 1, groups=2), (2, 4, 5, 5)),
    ("conv depthwise", nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False), (2, 4, 5, 5)),
    ("conv 1x1 stride 2", nn.Conv2d(4, 6, 1, 2, bias=False), (2, 4, 5, 5)),
    ("linear", nn.Linear(7, 5), (3, 7)),
    ("linear no bias", nn.Linear(7, 5, bias=False), (3, 7)),
    ("linear of rank 3", nn.Linear(7, 5), (2, 3, 7)),
    ("batchnorm", nn.BatchNorm2d(4), (3, 4, 5, 2)),
    ("batchnorm of rank 2", nn.BatchNorm1d(4), (5, 4)),
    ("batchnorm eps, momentum", nn.BatchNorm2d(4, eps=0.01, momentum=0.3), (3, 4, 5, 2)),
    ("layernorm", nn.LayerNorm(6), (3, 2, 6)),
    ("layernorm eps", nn.LayerNorm(6, eps=0.01), (3, 6)),
    ("embedding", nn.Embedding(9, 4), (3, 5), 9),
    ("maxpool", nn.MaxPool2d(2), (2, 3, 5, 6)),
    ("maxpool 3, stride 2, padding 1", nn.MaxPool2d(3, 2, 1), (2, 3, 5, 6)),
    ("avgpool", nn.AvgPool2d(2), (2, 3, 5, 6)),
    ("avgpool 3, stride 2, padding 1", nn.AvgPool2d(3, 2, 1), (2, 3, 5, 6)),
    ("global avgpool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (2, 3, 5, 6)),
    ("flatten", nn.Flatten(), (2, 3, 4, 2)),
    ("relu", nn.ReLU(), (2, 9)),
    ("gelu", nn.GELU(), (2, 9)),
    ("sigmoid", nn.Sigmoid(), (2, 9)),
    ("tanh", nn.Tanh(), (2, 9)),
    ("sequential", nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), (3, 5)),
]


class MLP(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.n = len(sizes) - 1
        for i in range(self.n):
            self.add_module(f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        x = x.flatten(1)
        for i in range(self.n):
            x = getattr(self, f"fc{i + 1}")(x)
            x = F.relu(x) if i < self.n - 1 else x
        return x


class CNN(nn.Module):
    def __init__(self, widths, classes):
        super().__init__()
        self.n, c = len(widths), 3
        for i, w in enumerate(widths):
            self.add_module(f"conv{i + 1}", nn.Conv2d(c, w, 3, 1 if i == 0 else 2, 1, bias=False))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(w))
            c = w
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        for i in range(1, self.n + 1):
            x = F.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    def __init__(self, cin, width, stride, bottleneck, projection, parameter_free):
        super().__init__()
        cout = 4 * width if bottleneck else width
        plan = [(1, 1), (3, stride), (1, 1)] if bottleneck else [(3, stride), (3, 1)]
        c = cin
        for i, (k, s) in enumerate(plan):
            w = cout if i == len(plan) - 1 else width
            self.add_module(f"conv{i + 1}", nn.Conv2d(c, w, k, s, k // 2, bias=False))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(w))
            c = w
        self.n, self.stride, self.extra, self.projection = len(plan), stride, cout - cin, None
        self.changes = stride != 1 or cin != cout
        if self.changes and not parameter_free:
            self.projection = projection
            self.add_module(projection, nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)))

    def forward(self, x):
        y = x
        for i in range(1, self.n + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y) if i < self.n else y
        if self.projection:
            x = getattr(self, self.projection)(x)
        elif self.changes:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self, blocks, widths, classes, imagenet=False, bottleneck=False, parameter_free=False):
        super().__init__()
        self.imagenet, self.n = imagenet, len(blocks)
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False) if imagenet else nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        c = widths[0]
        for s, (count, w) in enumerate(zip(blocks, widths)):
            stage = []
            for i in range(count):
                stage.append(Block(c, w, 2 if s > 0 and i == 0 else 1, bottleneck, "downsample" if imagenet else "shortcut", parameter_free))
                c = 4 * w if bottleneck else w
            self.add_module(f"layer{s + 1}", nn.Sequential(*stage))
        self.add_module("fc" if imagenet else "linear", nn.Linear(c, classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, 1) if self.imagenet else x
        for s in range(1, self.n + 1):
            x = getattr(self, f"layer{s}")(x)
        return (self.fc if self.imagenet else self.linear)(F.adaptive_avg_pool2d(x, 1).flatten(1))


class VGG(nn.Module):
    def __init__(self, widths, classes):
        super().__init__()
        layers, c = [], 3
        for stage in widths:
            for w in stage:
                layers += [nn.Conv2d(c, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU()]
                c = w
            layers.append(nn.MaxPool2d(2))
        self.features, self.classifier = nn.Sequential(*layers), nn.Linear(c, classes)

    def forward(self, x):
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


MODELS = [
    ("mlp", MLP([3 * 4 * 4, 10, 7, 5]), (3, 3, 4, 4)),
    ("cnn", CNN([4, 6, 6], 5), (3, 3, 8, 8)),
    ("resnet, CIFAR, projection", ResNet([1, 2, 1], [4, 6, 8], 5), (3, 3, 8, 8)),
    ("resnet, CIFAR, padding", ResNet([1, 2, 1], [4, 8, 16], 5, parameter_free=True), (3, 3, 8, 8)),
    ("resnet, CIFAR, bottleneck", ResNet([1, 1], [2, 4], 5, bottleneck=True), (3, 3, 8, 8)),
    ("resnet, ImageNet, basic", ResNet([1, 2], [4, 6], 5, imagenet=True), (3, 3, 32, 32)),
    ("resnet, ImageNet, bottleneck", ResNet([2, 1], [2, 4], 5, imagenet=True, bottleneck=True), (3, 3, 32, 32)),
    ("vgg, CIFAR", VGG([[4], [6, 6]], 5), (3, 3, 8, 8)),
]


def write(name, cases):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


write("layers.json", [case(c[0], Named(c[1]), *c[2:]) for c in LAYERS])
write("models.json", [case(*c) for c in MODELS])

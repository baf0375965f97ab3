#!/usr/bin/env python3
"""Writes LIBRARY-MODEL.txt beside itself: the names and shapes of the tensors that the libraries save, for 1,000 classes.

  python3 names.py [DIR]

The names of the files are those of cram's models. With DIR, the weights themselves, which are random, go to DIR as LIBRARY-MODEL.safetensors,
and an input in:x with the library's answer out:logits to LIBRARY-MODEL.answers.safetensors. `.ci/names` runs this and has cram compare.
"""
import importlib.metadata
import os
import pathlib
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import safetensors.numpy
import timm
import torch
import torchvision
import transformers

here = pathlib.Path(__file__).parent
x = torch.rand(4, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def resnet(depths, widths, kind):
    config = transformers.ResNetConfig(depths=depths, hidden_sizes=widths, layer_type=kind, num_labels=1000)
    return transformers.ResNetForImageClassification(config)


def mobilenet(width):
    return transformers.MobileNetV1ForImageClassification(transformers.MobileNetV1Config(depth_multiplier=width, num_labels=1000))


MODELS = {
    "torchvision-resnet18": torchvision.models.resnet18,
    "torchvision-resnet50": torchvision.models.resnet50,
    "torchvision-vgg16-bn": torchvision.models.vgg16_bn,
    "timm-resnet18": lambda: timm.create_model("resnet18"),
    "timm-resnet50": lambda: timm.create_model("resnet50"),
    "timm-vgg16-bn": lambda: timm.create_model("vgg16_bn"),
    "transformers-resnet18": lambda: resnet([2, 2, 2, 2], [64, 128, 256, 512], "basic"),
    "transformers-resnet50": lambda: resnet([3, 4, 6, 3], [256, 512, 1024, 2048], "bottleneck"),
    "transformers-mobilenet_v1_1.0": lambda: mobilenet(1.0),
    "transformers-mobilenet_v1_0.75": lambda: mobilenet(0.75),
    "keras-mobilenet_v1_0.75": lambda: keras.applications.MobileNet(alpha=0.75, weights=None, classifier_activation=None),
}


def saved(model):
    """The tensors as the library stores them."""
    if isinstance(model, keras.Model):
        return {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}
    if isinstance(model, transformers.PreTrainedModel):
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            return safetensors.numpy.load_file(folder + "/model.safetensors")
    return {name: t.numpy() for name, t in model.state_dict().items()}


def randomize(model):
    """Gives batch norms weights of their own and the statistics of x, so that the answers depend on the input and on every tensor."""
    torch.manual_seed(3)
    for layer in model.layers if isinstance(model, keras.Model) else model.modules():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            n = layer.gamma.shape
            layer.set_weights([0.7 + 0.6 * torch.rand(n).numpy(), 0.1 * torch.randn(n).numpy(), np.zeros(n), np.ones(n)])
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
            torch.nn.init.uniform_(layer.weight, 0.7, 1.3)
            torch.nn.init.normal_(layer.bias, std=0.1)
    if isinstance(model, keras.Model):
        model(x.permute(0, 2, 3, 1), training=True)
    else:
        model.train()(x)


def answers(model):
    if isinstance(model, keras.Model):
        return keras.ops.convert_to_numpy(model(x.permute(0, 2, 3, 1), training=False))
    y = model.eval()(x)
    return getattr(y, "logits", y).numpy()


with torch.no_grad():
    for stem, make in MODELS.items():
        torch.manual_seed(2)
        keras.utils.set_random_seed(2)
        model = make()
        randomize(model)
        tensors = saved(model)
        library = stem.split("-")[0]
        lines = [f"# {library} {importlib.metadata.version(library)}"]
        lines += [" ".join([name, *map(str, t.shape)]) for name, t in sorted(tensors.items())]
        (here / (stem + ".txt")).write_text("\n".join(lines) + "\n")
        if len(sys.argv) > 1:
            folder = pathlib.Path(sys.argv[1])
            safetensors.numpy.save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, folder / (stem + ".safetensors"))
            safetensors.numpy.save_file({"in:x": x.numpy(), "out:logits": answers(model)}, folder / (stem + ".answers.safetensors"))
        print(stem, len(tensors), "tensors", flush=True)

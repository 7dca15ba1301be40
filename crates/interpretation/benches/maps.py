#!/usr/bin/env python3
"""Explanation maps of SqueezeNet 1.1 at 224 × 224, Sconce beside PyTorch and Captum (eager, CPU), two calls each in turn in
one run, the second timed.

    python3 -m venv /somewhere/outside && /somewhere/outside/bin/pip install torch torchvision captum
    cargo build --release --bench maps -p sconce-interpretation
    /somewhere/outside/bin/python crates/interpretation/benches/maps.py [THREADS…] [--calls N] [--only METHOD]

Prints one line a method, number of images and threads: medians in milliseconds a call, and the ratio ours/peer (median of
the ratios of neighbouring calls). The peer is what a careful user writes: weights need no gradients.
"""
import argparse, json, subprocess, sys
import torch
from captum import attr
from torchvision.models import squeezenet1_1
from turns import Server, compared

CLASS = 285


def peers():
    net = squeezenet1_1().eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    for module in net.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False

    def plain(x):
        x = x.clone().requires_grad_(True)
        net(x)[:, CLASS].sum().backward()
        return x.grad.abs().amax(1)

    saliency, noise = attr.Saliency(net), attr.NoiseTunnel(attr.Saliency(net))
    integrated, guided = attr.IntegratedGradients(net), attr.GuidedBackprop(net)
    cam, occlusion = attr.LayerGradCam(net, net.features[12]), attr.Occlusion(net)
    own = lambda x: x.clone().requires_grad_(True)
    return {
        ("saliency", "PyTorch"): plain,
        ("saliency", "Captum"): lambda x: saliency.attribute(own(x), target=CLASS),
        ("smoothgrad", "Captum"): lambda x: noise.attribute(
            own(x), nt_type="smoothgrad", nt_samples=16, nt_samples_batch_size=8, stdevs=36.0, target=CLASS),
        ("integrated-gradients", "Captum"): lambda x: integrated.attribute(
            own(x), target=CLASS, n_steps=16, internal_batch_size=8, method="riemann_middle"),
        ("guided-backpropagation", "Captum"): lambda x: guided.attribute(own(x), target=CLASS),
        ("grad-cam", "Captum"): lambda x: attr.LayerAttribution.interpolate(
            cam.attribute(own(x), target=CLASS, relu_attributions=True), (224, 224), "bilinear"),
        ("occlusion", "Captum"): lambda x: occlusion.attribute(
            x, (3, 56, 56), (3, 28, 28), target=CLASS, perturbations_per_eval=8),
    }


def binary():
    out = subprocess.run(["cargo", "build", "--release", "--bench", "maps", "-p", "sconce-interpretation",
                          "--message-format=json"], stdout=subprocess.PIPE, check=True, text=True).stdout
    for line in map(json.loads, out.splitlines()):
        if line.get("executable") and line["target"]["name"] == "maps":
            return line["executable"]
    sys.exit("cargo built no bench `maps`")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("threads", nargs="*", type=int, default=[2])
    parser.add_argument("--calls", type=int, default=12)
    parser.add_argument("--only")
    parser.add_argument("--binary", help="the built bench, where cargo is not to be called")
    options = parser.parse_args()
    program, methods = options.binary or binary(), peers()
    for threads in options.threads:
        torch.set_num_threads(threads)
        server = Server(program, threads)
        for (name, peer), call in methods.items():
            if options.only not in (None, name):
                continue
            for images in (1, 8) if name == "saliency" else (1,):
                x = torch.randn(images, 3, 224, 224) * 60

                found = compared(lambda: server.ask(f"{name} {images}"), lambda: call(x), peer, 2, options.calls)
                print(f"{name:23} {images} image{'s' if images > 1 else ' '} {threads} threads: {found}", flush=True)
        server.close()


main()

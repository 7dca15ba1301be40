#!/usr/bin/env python3
"""The studies' networks in Sconce beside PyTorch and others on the processor, two steps each in turn in one run, the second timed.

    python3 crates/models/benches/networks.py [--threads 2 1] [--steps 15] [--only PART] [--peers eager …] [--markdown]

Peers: PyTorch (eager, with channels last, with torch.compile), and for what needs no gradient ONNX Runtime and OpenVINO.

The first run makes a virtual environment outside the repository (--venv, by default ~/.cache/sconce/pytorch) and
installs them with pip; pip's own settings (PIP_INDEX_URL, …) can name a leaner index than the default, whose wheels
bring CUDA along. Where it cannot be made, the script says why. torch.compile needs a C++ compiler.

For each case and number of threads it prints our median, and of each peer the median and the median of the ratios ours/peer
of neighbouring steps (of the time on the clock; of eager PyTorch also of processor time, which tells more where other programs
run). Last, our share of the machine's arithmetic peak: the multiplications and additions of the definition over our time, over
what multiply-adds in registers reach on as many threads (measured in the same run). Winograd's method does down to a
quarter of the definition's multiplications, so that a share may pass 100 %. With --memory: the resident memory before
and at most in the first two steps of a fresh process.

With --device cuda, on a GPU: --group steps follow one another, after as many that are not timed, and the seconds are those of one,
with the GPU's work done. In f32 without and with TF32; PyTorch in bf16, too. --programs FOLDER has the programs `networks` and `vada`
that were built elsewhere, with the feature `cuda`.
"""
import argparse, ctypes, gc, importlib.metadata, importlib.util, io, json, os, pathlib, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[3]
# whoever ran last may still spin: PyTorch's OpenMP does for some 20 ms
PAUSE = .03
CASES = ["vgg16-forward-1", "vgg16-forward-8", "vgg16-gradient-1", "squeezenet-forward-1", "squeezenet-forward-16",
         "squeezenet-gradient-1", "squeezenet-gradient-16", "resnet18-forward-1", "resnet50-forward-1", "resnet50-gradient-1",
         "efficientnet-forward-1", "efficientnet-gradient-1", "convnext-forward-1", "convnext-gradient-1", "dinov2-forward-1",
         "dann", "vada", "dcgan-32", "dcgan-64", "modern-32"]
# as many images as keep a GPU busy
GPU_CASES = ["vgg16-forward-32", "vgg16-gradient-16", "resnet50-forward-32", "convnext-forward-32", "dann", "vada", "dcgan-32",
             "dcgan-32-1024", "modern-32"]
TF32 = "NVIDIA_TF32_OVERRIDE"
PEERS = ["eager", "channels-last", "compile", "onnxruntime", "openvino"]
PACKAGES = ["torch", "onnx", "onnxruntime", "openvino"]
# the bench that has a case of ours
NETWORKS = "networks"
PROGRAMS = {"vada": "vada"}

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--threads", nargs="*", type=int, default=[2, 1])
parser.add_argument("--steps", type=int, default=15)
parser.add_argument("--only", default="", help="part of the cases' names")
parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
parser.add_argument("--markdown", action="store_true", help="print a table for a page")
parser.add_argument("--memory", action="store_true", help="measure memory, not time")
parser.add_argument("--venv", type=pathlib.Path, default=pathlib.Path.home() / ".cache/sconce/pytorch")
parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
parser.add_argument("--group", type=int, default=20, help="steps that follow one another on a GPU")
parser.add_argument("--programs", type=pathlib.Path, help="a folder with programs that were built before")
parser.add_argument("--memory-of", help=argparse.SUPPRESS)
options = parser.parse_args()

try:
    import torch
except ImportError:
    python = options.venv / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == options.venv.resolve():
        sys.exit(f"{options.venv} has no PyTorch: remove it, and it is made anew")
    if not python.exists():
        print(f"installing PyTorch into {options.venv}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", options.venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:]])

missing = [package for package in PACKAGES if not importlib.util.find_spec(package)]
if missing and {"onnxruntime", "openvino"} & set(options.peers):
    # an environment that an earlier version made, or one's own
    if pathlib.Path(sys.prefix).resolve() == options.venv.resolve():
        print(f"installing {', '.join(missing)} into {options.venv}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)
        importlib.invalidate_caches()
    else:
        print(f"{sys.executable} has no {', no '.join(missing)}: left out where needed", file=sys.stderr)

from torch import nn  # noqa: E402

F = nn.functional


class Fire(nn.Module):
    def __init__(self, inputs, squeezed, expanded):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.one = nn.Conv2d(squeezed, expanded, 1)
        self.three = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.one(x)), self.relu(self.three(x))], 1)


def vgg16():
    """torchvision's vgg16."""
    layers, inputs = [], 3
    for outputs, count in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(count):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2, 2))
    relu, drop = lambda: nn.ReLU(inplace=True), nn.Dropout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(512 * 49, 4096), relu(), drop(),
                         nn.Linear(4096, 4096), relu(), drop(), nn.Linear(4096, 1000))


def squeezenet():
    """torchvision's squeezenet1_1."""
    pool, relu = lambda: nn.MaxPool2d(3, 2, ceil_mode=True), lambda: nn.ReLU(inplace=True)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), relu(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool(), Fire(128, 32, 128),
        Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        nn.Dropout(), nn.Conv2d(512, 1000, 1), relu(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Residual(nn.Module):
    """A block of torchvision's ResNet: `sizes` are (outputs, kernel, stride) of each convolution."""

    def __init__(self, inputs, sizes):
        super().__init__()
        layers, width, stride = [], inputs, 1
        for outputs, kernel, step in sizes:
            layers += [nn.Conv2d(width, outputs, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            width, stride = outputs, stride * step
        self.layers = nn.Sequential(*layers[:-1])
        plain = stride == 1 and inputs == width
        self.shortcut = nn.Identity() if plain else nn.Sequential(
            nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(self.layers(x) + self.shortcut(x), inplace=True)


def resnet(blocks, bottleneck):
    """torchvision's resnet18 and resnet50."""
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for layer, count in enumerate(blocks):
        width = 64 << layer
        for block in range(count):
            stride = 2 if block == 0 and layer else 1
            sizes = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)] if bottleneck else [(width, 3, stride), (width, 3, 1)]
            layers.append(Residual(inputs, sizes))
            inputs = sizes[-1][0]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


class Inverted(nn.Module):
    """A block of EfficientNet-Lite, padded as TensorFlow pads."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        inner = inputs * expansion
        conv = lambda i, o, k, **more: [nn.Conv2d(i, o, k, bias=False, **more), nn.BatchNorm2d(o)]
        self.wide = nn.Sequential(*conv(inputs, inner, 1), nn.ReLU6(True)) if expansion > 1 else nn.Identity()
        self.depthwise = nn.Sequential(*conv(inner, inner, kernel, stride=stride, groups=inner), nn.ReLU6(True))
        self.narrow = nn.Sequential(*conv(inner, outputs, 1))
        self.kernel, self.stride, self.residual = kernel, stride, stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.narrow(self.depthwise(F.pad(self.wide(x), same(x, self.kernel, self.stride))))
        return x + y if self.residual else y


def same(x, kernel, stride):
    total = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]]
    return [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]


class EfficientNet(nn.Module):
    """EfficientNet-Lite0."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU6(True))
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, count in [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
                                                          (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]:
            for block in range(count):
                blocks.append(Inverted(inputs, outputs, kernel, stride if block == 0 else 1, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6(True),
                                  nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(.2), nn.Linear(1280, 1000))

    def forward(self, x):
        return self.head(self.blocks(self.stem(F.pad(x, same(x, 3, 2)))))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.mlp = nn.Sequential(nn.LayerNorm(width, 1e-6), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = self.scale * self.mlp(self.depthwise(x).permute(0, 2, 3, 1))
        return x + y.permute(0, 3, 1, 2)


def convnext():
    """timm's convnext_tiny."""
    layers, inputs = [nn.Conv2d(3, 96, 4, 4), LayerNorm2d(96, 1e-6)], 96
    for width, count in [(96, 3), (192, 3), (384, 9), (768, 3)]:
        if width != inputs:
            layers += [LayerNorm2d(inputs, 1e-6), nn.Conv2d(inputs, width, 2, 2)]
        layers += [ConvNextBlock(width) for _ in range(count)]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(inputs, 1e-6), nn.Linear(inputs, 1000))


class VitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.projection, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.scale1, self.scale2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.scale1 * self.projection(y)
        return x + self.scale2 * self.mlp(self.norm2(x))


class Dinov2(nn.Module):
    """DINOv2's ViT-S/14 with its linear head; positions of 37 × 37 patches are interpolated."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 384, 14, 14)
        self.cls, self.positions = nn.Parameter(torch.randn(1, 1, 384)), nn.Parameter(torch.randn(1, 384, 37, 37))
        self.blocks = nn.Sequential(*(VitBlock(384, 6) for _ in range(12)), nn.LayerNorm(384, 1e-6))
        self.head = nn.Linear(768, 1000)

    def forward(self, x):
        x = self.patches(x)
        x = x + F.interpolate(self.positions, x.shape[-2:], mode="bicubic")
        x = torch.cat([self.cls.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)
        x = self.blocks(x)
        return self.head(torch.cat([x[:, 0], x[:, 1:].mean(1)], 1))


def exported(model, x, peer, threads):
    """A forward pass of `model` by ONNX Runtime or OpenVINO."""
    if peer == "openvino":
        import openvino
        converted = openvino.convert_model(model, example_input=x)
        converted.reshape(list(x.shape))
        run = openvino.Core().compile_model(converted, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
        values = x.numpy()
        return lambda: run(values)
    import onnxruntime
    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=False)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), settings, providers=["CPUExecutionProvider"])
    values = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, values)


def pretrained(make, what, batch, peer, threads):
    model = make().eval().requires_grad_(False)
    x = torch.randn(batch, 3, 224, 224)
    count = 0

    def counted(module, _, y):
        nonlocal count
        weight = module.weight
        count += 2 * y.numel() * weight[0].numel()
    hooks = [m.register_forward_hook(counted) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        model(x[:1])
    for hook in hooks:
        hook.remove()
    flops = count * batch * (1 if what == "forward" else 2)
    if peer in ("onnxruntime", "openvino"):
        return exported(model, x, peer, threads), flops
    model = WRAPPED[peer](model)
    if peer == "channels-last":
        x = x.to(memory_format=torch.channels_last)

    def forward():
        with torch.inference_mode():
            model(x)

    def gradient():
        image = x.detach().requires_grad_(True)
        model(image).sum().backward()
    return (forward if what == "forward" else gradient), flops


WRAPPED = {"eager": lambda m: m, "channels-last": lambda m: m.to(memory_format=torch.channels_last), "compile": torch.compile}


class Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.strength * grad, None


def dann(peer):
    wrapped = WRAPPED[peer]
    features = nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                             nn.Conv2d(32, 48, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    label = nn.Sequential(nn.Linear(2352, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
    domain = nn.Sequential(nn.Linear(2352, 100), nn.ReLU(), nn.Linear(100, 1))
    features, label, domain = wrapped(features), wrapped(label), wrapped(domain)
    o = torch.optim.SGD([*features.parameters(), *label.parameters(), *domain.parameters()], .01, momentum=.9)
    source, target = torch.randn(64, 3, 28, 28), torch.randn(64, 3, 28, 28)
    y, d = torch.randint(10, (64,)), torch.cat([torch.zeros(64), torch.ones(64)])

    def step():
        o.zero_grad()
        f = features(torch.cat([source, target]))
        loss = F.cross_entropy(label(f[:64]), y)
        loss = loss + F.binary_cross_entropy_with_logits(domain(Reversal.apply(f, .5)).squeeze(1), d)
        loss.backward()
        o.step()
        return loss.item()
    conv1, conv2 = (2 * 128 * 784 * 32 * 75, 2 * 128 * 196 * 48 * 800)
    heads = 2 * (64 * (2352 * 100 + 100 * 100 + 1000) + 128 * (2352 * 100 + 100))
    return step, 2 * conv1 + 3 * (conv2 + heads)


class Vada(nn.Module):
    """The small network of VADA: statistics of each domain of their own, scale and shift shared."""

    def __init__(self):
        super().__init__()
        sizes = [3] + [64] * 9
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in zip(sizes, sizes[1:]))
        self.scales = nn.ParameterList(torch.ones(64) for _ in range(9))
        self.shifts = nn.ParameterList(torch.zeros(64) for _ in range(9))
        self.last = nn.Linear(64, 10)
        self.domain = nn.Sequential(nn.Linear(3136, 100), nn.ReLU(), nn.Linear(100, 1))
        for domain in range(2):
            for i in range(9):
                self.register_buffer(f"mean{domain}{i}", torch.zeros(64))
                self.register_buffer(f"var{domain}{i}", torch.ones(64))

    def forward(self, x, domain=None):
        """Features and logits in train mode; the running statistics of `domain` move, if there is one."""
        for i in range(9):
            running = (None, None) if domain is None else (getattr(self, f"mean{domain}{i}"), getattr(self, f"var{domain}{i}"))
            x = F.batch_norm(self.convs[i](x), *running, self.scales[i], self.shifts[i], True)
            x = F.leaky_relu(x, .1, inplace=True)
            if i in (2, 5):
                x = F.dropout(F.max_pool2d(x, 2), .5)
                x = x + torch.randn_like(x)
                features = x
        return features.flatten(1), self.last(x.mean((2, 3)))


def vada(peer):
    net = WRAPPED[peer](Vada())
    o = torch.optim.Adam(net.parameters(), 1e-3, betas=(.5, .999))
    trained = list(net.parameters())
    average = [p.detach().clone() for p in trained]
    images = [torch.randn(64, 3, 28, 28) for _ in range(2)]
    y, d = torch.randint(10, (64,)), torch.cat([torch.zeros(64), torch.ones(64)])
    bce = lambda logits, labels: F.binary_cross_entropy_with_logits(logits.squeeze(1), labels)
    unit = lambda x: F.normalize(x.flatten(1)).view_as(x)

    def divergence(clean, moved):
        return F.kl_div(moved.log_softmax(1), clean.detach().log_softmax(1), log_target=True, reduction="batchmean")

    def virtual_adversarial(x, clean):
        near = (x + unit(torch.randn_like(x))).requires_grad_(True)
        # asked for the images alone, PyTorch computes no gradients of weights
        gradient, = torch.autograd.grad(divergence(clean, net(near)[1]), near)
        return divergence(clean, net(x + 3.5 * unit(gradient))[1])

    def step():
        (fs, source), (ft, target) = net(images[0], 0), net(images[1], 1)
        features = torch.cat([fs, ft])
        o.zero_grad()
        bce(net.domain(features.detach()), d).backward()
        o.step()
        o.zero_grad()
        net.domain.requires_grad_(False)
        domain = bce(net.domain(features), 1 - d)
        log = target.log_softmax(1)
        entropy = -(log.exp() * log).sum(1).mean()
        loss = F.cross_entropy(source, y) + .01 * domain + virtual_adversarial(images[0], source)
        loss = loss + .01 * (entropy + virtual_adversarial(images[1], target))
        loss.backward()
        net.domain.requires_grad_(True)
        o.step()
        torch._foreach_lerp_(average, [p.detach() for p in trained], .002)
        return loss.item()
    conv1, convs = 784 * 27 * 64, (2 * 784 + 3 * 196 + 3 * 49) * 576 * 64
    # of each domain's images: three passes forwards, weights and inputs (but the images) of two, inputs of the power step
    total = 64 * 2 * (8 * convs + 6 * conv1)
    # the domain head: forward and weights, then forward and inputs
    return step, 2 * (total + 4 * 128 * 3136 * 100)


def dcgan(n, peer, batch=128):
    up = lambda i, o, s, p: [nn.ConvTranspose2d(i, o, 4, s, p, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
    g = nn.Sequential(*up(100, 4 * n, 1, 0), *up(4 * n, 2 * n, 2, 1), *up(2 * n, n, 2, 1),
                      nn.ConvTranspose2d(n, 1, 4, 2, 1, bias=False), nn.Tanh())
    down = lambda i, o: [nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(.2, True)]
    d = nn.Sequential(nn.Conv2d(1, n, 4, 2, 1, bias=False), nn.LeakyReLU(.2, True), *down(n, 2 * n),
                      *down(2 * n, 4 * n), nn.Conv2d(4 * n, 1, 4, 1, 0, bias=False))
    g, d = WRAPPED[peer](g), WRAPPED[peer](d)
    og, od = (torch.optim.Adam(m.parameters(), 2e-4, betas=(.5, .999)) for m in (g, d))
    real, noise = torch.randn(batch, 1, 32, 32).tanh(), torch.randn(batch, 100, 1, 1)
    ones, zeros = torch.ones(batch), torch.zeros(batch)
    bce = F.binary_cross_entropy_with_logits

    def step():
        fake = g(noise)
        od.zero_grad()
        loss = bce(d(real).flatten(), ones) + bce(d(fake.detach()).flatten(), zeros)
        loss.backward()
        od.step()
        og.zero_grad()
        # as careful PyTorch code does: no gradients to the discriminator's weights here
        for p in d.parameters():
            p.requires_grad_(False)
        loss = bce(d(fake).flatten(), ones)
        loss.backward()
        for p in d.parameters():
            p.requires_grad_(True)
        og.step()
        return loss.item()
    of_g = [100 * 4 * n * 16, 4 * n * 2 * n * 16 * 16, 2 * n * n * 16 * 64, n * 16 * 256]
    of_d = [n * 16 * 256, n * 2 * n * 16 * 64, 2 * n * 4 * n * 16 * 16, 4 * n * 16]
    # generator: forward, weights, inputs but the first's; discriminator: real and fake forward, weights, inputs but the
    # images'; then forward and inputs for the generator
    total = 3 * sum(of_g) - of_g[0] + 2 * (3 * sum(of_d) - of_d[0]) + 2 * sum(of_d)
    return step, 2 * batch * total


def modern(n, peer):
    """Relativistic pairing, both gradient penalties by differences of first order, an average of the generator."""
    up = lambda i, o, s, p: [nn.ConvTranspose2d(i, o, 4, s, p, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]
    g = nn.Sequential(*up(100, 4 * n, 1, 0), *up(4 * n, 2 * n, 2, 1), *up(2 * n, n, 2, 1),
                      nn.ConvTranspose2d(n, 1, 4, 2, 1, bias=False), nn.Tanh())
    down = lambda i, o: [nn.Conv2d(i, o, 4, 2, 1), nn.LeakyReLU(.2, True)]
    d = nn.Sequential(*down(1, n), *down(n, 2 * n), *down(2 * n, 4 * n), nn.Conv2d(4 * n, 1, 4, 1, 0))
    g, d = WRAPPED[peer](g), WRAPPED[peer](d)
    og, od = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0., .99)) for m in (g, d))
    real, noise = torch.randn(128, 1, 32, 32).tanh(), torch.randn(128, 100, 1, 1)
    trained = list(g.parameters())
    average = [p.detach().clone() for p in trained]
    sigma = .01

    def penalty(x, here):
        there = d(x + sigma * torch.randn_like(x)).flatten()
        return ((there - here) / sigma).square().mean() / 2

    def step():
        fake = g(noise)
        still = fake.detach()
        od.zero_grad()
        on_real, on_fake = d(real).flatten(), d(still).flatten()
        loss = F.softplus(on_fake - on_real).mean() + penalty(real, on_real) + penalty(still, on_fake)
        loss.backward()
        od.step()
        og.zero_grad()
        for p in d.parameters():
            p.requires_grad_(False)
        with torch.no_grad():
            on_real = d(real).flatten()
        loss = F.softplus(on_real - d(fake).flatten()).mean()
        loss.backward()
        for p in d.parameters():
            p.requires_grad_(True)
        og.step()
        torch._foreach_lerp_(average, [p.detach() for p in trained], .001)
        return loss.item()
    of_g = [100 * 4 * n * 16, 4 * n * 2 * n * 16 * 16, 2 * n * n * 16 * 64, n * 16 * 256]
    of_d = [n * 16 * 256, n * 2 * n * 16 * 64, 2 * n * 4 * n * 16 * 16, 4 * n * 16]
    # as DCGAN, with the discriminator's passes of both sets with noise, and one of the real images for the generator
    total = 3 * sum(of_g) - of_g[0] + 4 * (3 * sum(of_d) - of_d[0]) + 3 * sum(of_d)
    return step, 2 * 128 * total


MODELS = {"vgg16": vgg16, "squeezenet": squeezenet, "resnet18": lambda: resnet([2, 2, 2, 2], False),
          "resnet50": lambda: resnet([3, 4, 6, 3], True), "efficientnet": EfficientNet, "convnext": convnext, "dinov2": Dinov2}


def can(peer, case):
    """Whether the peer does this at all, and is installed."""
    if peer in ("onnxruntime", "openvino"):
        return "forward" in case and all(importlib.util.find_spec(p) for p in (peer, "onnx"))
    return True


def make(case, peer="eager", threads=1):
    """The step, and the multiplications and additions of its convolutions and matrix products."""
    name, *rest = case.split("-")
    if name == "dann":
        return dann(peer)
    if name == "vada":
        return vada(peer)
    if name == "dcgan":
        return dcgan(int(rest[0]), peer, *map(int, rest[1:]))
    if name == "modern":
        return modern(int(rest[0]), peer)
    return pretrained(MODELS[name], rest[0], int(rest[1]), peer, threads)


def binary(bench):
    if options.programs:
        return options.programs / bench
    # the whole workspace: one package alone has other features, and candle would be built anew
    out = subprocess.run(["cargo", "build", "--release", "--workspace", "--bench", bench,
                          "--message-format=json"], stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout
    for line in map(json.loads, out.splitlines()):
        if line.get("executable") and line["target"]["name"] == bench:
            return line["executable"]
    sys.exit(f"cargo built no bench `{bench}`")


def status(field):
    text = pathlib.Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(field + ":"))) * 1024


def memory_of(case):
    """Prints the resident bytes before the first step, and at most in two."""
    torch.set_num_threads(options.threads[0])
    step, _ = make(case)
    # what making the case left behind is not the step's to use
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    step()
    step()
    print(before, status("VmHWM"))


def memory(programs, threads):
    for case in (c for c in CASES if options.only in c):
        program = programs[PROGRAMS.get(case, NETWORKS)]
        run = lambda *command: subprocess.run(command, check=True, capture_output=True, text=True, env={
            **os.environ, "RAYON_NUM_THREADS": str(threads)}).stdout.split()
        ours = run(program, "--memory", case)
        theirs = run(sys.executable, __file__, "--threads", str(threads), "--memory-of", case)
        (a0, a1), (b0, b1) = ([int(n) / 2**20 for n in pair] for pair in (ours, theirs))
        print(f"{case:24} MiB before and at most: ours {a0:.0f}, {a1:.0f} (+{a1 - a0:.0f}); "
              f"PyTorch {b0:.0f}, {b1:.0f} (+{b1 - b0:.0f})", flush=True)


def on_gpu():
    """Milliseconds of a step here and in eager PyTorch, and their ratio, for each way to compute in f32; PyTorch's in bf16."""
    if TF32 in os.environ:
        sys.exit(f"expected {TF32} not to be set: it would beat what is compared here")
    torch.set_default_device("cuda")
    versions = [torch.__version__, f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}", torch.cuda.get_device_name()]
    print(", ".join(versions), flush=True)
    print("| | Sconce, f32 | PyTorch | ratio | Sconce, TF32 | PyTorch | ratio | PyTorch, bf16 |")
    print("|" + "---|" * 8)

    def theirs(case, tf32, bf16=False):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        step, _ = make(case)

        def group():
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(options.group):
                # for each step anew: weights in bf16 are kept until it ends
                with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
                    step()
            torch.cuda.synchronize()
            return (time.perf_counter() - start) / options.group
        group()
        return statistics.median(group() for _ in range(options.steps))

    def ours(case, tf32):
        # cuDNN and cuBLAS would round so by themselves
        more = {} if tf32 else {TF32: "0"}
        command = [binary(PROGRAMS.get(case, NETWORKS)), "--device", "cuda", *(["--tf32"] if tf32 else []), "--serve"]
        asked = f"{case} {options.group}\n" * (options.steps + 1)
        done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **more})
        return statistics.median(float(line.split()[0]) for line in done.stdout.splitlines()[1:])
    for case in (c for c in GPU_CASES if options.only in c):
        def tried(of, *how):
            try:
                return of(case, *how)
            except (subprocess.CalledProcessError, OSError, ValueError, RuntimeError) as error:
                print(f"{case}, {of.__name__}{how}: {error}", file=sys.stderr)
        shown = lambda seconds: f"{seconds * 1e3:.2f}" if seconds else ""
        cells = []
        for tf32 in (False, True):
            a, b = tried(ours, tf32), tried(theirs, tf32)
            cells += [shown(a), shown(b), f"**{a / b:.2f}**" if a and b else ""]
        cells.append(shown(tried(theirs, True, True)))
        print(f"| {case}, ms | " + " | ".join(cells) + " |", flush=True)


def main():
    if options.device == "cuda":
        return on_gpu()
    needed = {PROGRAMS.get(c, NETWORKS) for c in CASES if options.only in c} | {NETWORKS}
    programs = {of: binary(of) for of in sorted(needed)}
    if options.memory:
        return memory(programs, options.threads[0])
    for threads in options.threads:
        torch.set_num_threads(threads)
        servers = {of: subprocess.Popen([program, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
                   for of, program in programs.items()}

        def ask(line, pause=PAUSE):
            server = servers[PROGRAMS.get(line, NETWORKS)]
            time.sleep(pause)
            server.stdin.write(line + "\n")
            server.stdin.flush()
            return [float(number) for number in server.stdout.readline().split()]
        peak = ask("peak")[0]
        versions = {p: importlib.metadata.version(p) for p in PACKAGES if importlib.util.find_spec(p)}
        print(f"{threads} threads: {versions}, peak {peak / 1e9:.0f} GFLOP/s", flush=True)
        if options.markdown:
            print("| | Sconce, ms |" + "".join(f" {p}, ms | ratio |" for p in options.peers) + " of processor time | of peak |")
            print("|" + "---|" * (2 * len(options.peers) + 4))
        for case in (c for c in CASES if options.only in c):
            steps, flops = {}, None
            for peer in (p for p in options.peers if can(p, case)):
                try:
                    steps[peer], flops = make(case, peer, threads)
                    steps[peer]()
                except Exception as error:
                    print(f"{case}, {peer}: left out: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
                    steps.pop(peer, None)

            def theirs(step):
                time.sleep(PAUSE)
                step()
                start, used = time.perf_counter(), time.process_time()
                step()
                return [time.perf_counter() - start, time.process_time() - used]

            def one():
                # as in training, where steps follow each other: the first after the other's turn is not timed
                ask(case)
                return ask(case, pause=0), {peer: theirs(step) for peer, step in steps.items()}
            for _ in range(2):
                one()
            rounds = [one() for _ in range(options.steps)]
            mine = statistics.median(ours[0] for ours, _ in rounds)
            other = {p: statistics.median(times[p][0] for _, times in rounds) for p in steps}
            ratio = {p: statistics.median(ours[0] / times[p][0] for ours, times in rounds) for p in steps}
            processor = "eager" in steps and statistics.median(ours[1] / times["eager"][1] for ours, times in rounds)
            share = f"{flops / mine / peak:.0%}" if flops else ""
            processor = f"{processor:.2f}" if processor else ""
            if options.markdown:
                cells = "".join(f" {other[p] * 1e3:.1f} | **{ratio[p]:.2f}** |" if p in steps else " | |" for p in options.peers)
                line = f"| {case} | {mine * 1e3:.1f} |{cells} {processor} | {share} |"
            else:
                cells = "".join(f"; {p} {other[p] * 1e3:.1f} ms, ratio {ratio[p]:.2f}" for p in steps)
                line = f"{case:24} ours {mine * 1e3:.1f} ms{cells}; of eager's processor time {processor}, of peak {share}"
            print(line, flush=True)
        for server in servers.values():
            server.stdin.close()
            server.wait()


if options.memory_of:
    memory_of(options.memory_of)
else:
    main()

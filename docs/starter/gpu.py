"""Trains the starter's network with PyTorch on a GPU, apart from the core, for a given time.

    python docs/starter/gpu.py PAGES.npz OUT [--seconds 300] [--groups] [--maps] [--moco 60]

OUT becomes a folder of parts, each an .npz of half-precision weights, that `from_gpu.py` joins into
a model of the core's.  Crops are turned, scaled, bent, blurred, brightened and made noisy on the
GPU.  With --groups a batch holds crops of one source alone, seen as through one microscope, as the
statistics of a user's volume will be.  With --maps the last layer must also tell smoothed grey,
slopes and curvatures of the clean image at three scales.  With --moco the encoder learns for so
many seconds before to tell two views of a crop from all others (MoCoV2).
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "oracle"))

from network import Unet

CLASSES = 7
WEIGHTS = (0.5, 1.0, 2.0, 0.5, 0.5, 2.0, 0.5)
SIDE, CROP, PARTS = 320, 224, 6
SCALES = (1.0, 2.0, 4.0)
EVERY = 20  # each so many pages one is kept for validation


class Pages:
    """All pages on the device, with what each may be drawn for.

    Attributes
    ----------
    image : (n, 1, SIDE, SIDE) float tensor, mirrored beyond a page
    labels : (n, 1, SIDE, SIDE)
    size : (n, 2)
    group : (n,) array of source numbers
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        with np.load(path) as file:
            count = len(file["group"])
            image = np.zeros((count, 1, SIDE, SIDE), np.float32)
            labels = np.zeros((count, 1, SIDE, SIDE), np.uint8)
            size = np.zeros((count, 2), np.float32)
            for n in range(count):
                page = file[f"image{n:04d}"]
                h, w = size[n] = page.shape
                beyond = ((0, SIDE - int(h)), (0, SIDE - int(w)))
                grey = (page.astype(np.float32) - 128) / 40
                image[n, 0] = np.pad(grey, beyond, mode="symmetric")
                labels[n, 0] = np.pad(file[f"labels{n:04d}"], beyond, mode="symmetric")
            self.group, self.weight = file["group"], file["weight"]
        self.image = torch.from_numpy(image).to(device)
        self.labels = torch.from_numpy(labels).to(device)
        self.size = torch.from_numpy(size).to(device)
        held = np.arange(count) % EVERY == EVERY - 1
        self.held = np.flatnonzero(held)
        self.train = np.flatnonzero(~held)

    def draw(self, random: np.random.Generator, batch: int, one_group: bool) -> np.ndarray:
        """Numbers of pages to crop."""
        weight = self.weight[self.train]
        if one_group:
            number = random.choice(self.train, p=weight / weight.sum())
            same = self.train[self.group[self.train] == self.group[number]]
            return random.choice(same, batch)
        return random.choice(self.train, batch, p=weight / weight.sum())


# ---- views ----


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (n, 1, h, w) by a sigma each."""
    radius = max(1, math.ceil(2.5 * float(sigma.max())))
    at = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (at / sigma.clamp(min=0.05)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None, None]
    y = functional.pad(x.transpose(0, 1), (radius, radius, 0, 0), mode="reflect")
    y = functional.conv2d(y, kernel, groups=len(x))
    y = functional.pad(y, (0, 0, radius, radius), mode="reflect")
    return functional.conv2d(y, kernel.transpose(2, 3), groups=len(x)).transpose(0, 1)


def spread(n: int, low: float, high: float, same: bool, device: torch.device) -> Tensor:
    """Uniform numbers; with `same` all close to one of them."""
    if not same:
        return torch.rand(n, device=device) * (high - low) + low
    middle = torch.rand(1, device=device) * (high - low) + low
    return (middle + (torch.rand(n, device=device) - 0.5) * 0.2 * (high - low)).clamp(low, high)


def smooth_field(n: int, channels: int, cells: int, device: torch.device) -> Tensor:
    """Smooth noise (n, channels, CROP, CROP) of deviation about one."""
    noise = torch.randn(n, channels, cells, cells, device=device)
    return functional.interpolate(noise, size=(CROP, CROP), mode="bicubic", align_corners=True)


def crops(
    pages: Pages, numbers: np.ndarray, same: bool, zoom: float = 2.2
) -> tuple[Tensor, Tensor]:
    """Turned, scaled and bent pieces of pages and their labels, mirrored at borders."""
    device, n = pages.image.device, len(numbers)
    at = torch.from_numpy(numbers).to(device)
    angle = torch.rand(n, device=device) * 2 * math.pi
    factor = torch.exp(spread(n, -math.log(zoom), math.log(zoom), same, device))  # pages' pixels
    stretch = torch.exp((torch.rand(n, device=device) - 0.5) * 0.4)
    flip = torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    line = torch.arange(CROP, device=device) - (CROP - 1) / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    bend = smooth_field(n, 2, 6, device) * (torch.rand(n, device=device) * 5)[:, None, None, None]
    y, x = y + bend[:, 0], (x + bend[:, 1]) * flip[:, None, None]
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    size = pages.size[at]
    room = (size - CROP * factor[:, None]).clamp(min=0)
    centre = size / 2 + (torch.rand(n, 2, device=device) - 0.5) * room
    scale_y = (factor * stretch)[:, None, None]
    scale_x = (factor / stretch)[:, None, None]
    v = (cos * y - sin * x) * scale_y + centre[:, 0, None, None]
    u = (sin * y + cos * x) * scale_x + centre[:, 1, None, None]
    v, u = (fold(c, size[:, k, None, None]) for k, c in enumerate((v, u)))
    image = blur(pages.image[at], (factor * 0.45 * (factor > 1.2)))
    grid = torch.stack([u, v], -1) * (2 / (SIDE - 1)) - 1
    seen = functional.grid_sample(image, grid, mode="bilinear", align_corners=True)
    flat = (v.round() * SIDE + u.round()).long().view(n, -1)
    labels = pages.labels[at].view(n, -1).gather(1, flat).view(n, CROP, CROP)
    return seen, labels


def fold(c: Tensor, size: Tensor) -> Tensor:
    """Coordinates mirrored into [0, size - 1]."""
    period = 2 * (size - 1)
    c = torch.remainder(c, period)
    return torch.minimum(c, period - c)


def microscope(x: Tensor, same: bool) -> Tensor:
    """Contrast, gamma, shading, blur and noise of another microscope."""
    n, device = len(x), x.device

    def some(low: float, high: float, share: float = 1.0) -> Tensor:
        value = spread(n, low, high, same, device)
        on = torch.rand(1 if same else n, device=device) < share
        return torch.where(on, value, torch.zeros_like(value))

    x = blur(x, some(0.3, 2.2, 0.5))
    power = torch.exp(some(-0.6, 0.6, 0.7))[:, None, None, None]
    unit = ((x + 3.5) / 7).clamp(0, 1)
    x = (unit**power - 0.5**power) * 7
    x = x * torch.exp(some(-0.35, 0.35))[:, None, None, None] + some(-0.4, 0.4)[:, None, None, None]
    x = x + smooth_field(n, 1, 4, device) * some(0, 0.4, 0.5)[:, None, None, None]
    noise = blur(torch.randn_like(x), some(0.3, 1.0, 0.5)) * some(0, 0.8, 0.7)[:, None, None, None]
    x = x + noise + torch.randn_like(x) * some(0, 0.6, 0.6)[:, None, None, None]
    return x.clamp(-4, 4)


# ---- learning ----


def maps(x: Tensor) -> Tensor:
    """Grey, slope and the two curvatures at SCALES, (n, 12, h, w), each of deviation one."""
    found = []
    for sigma in SCALES:
        y = blur(x, torch.full((len(x),), sigma, device=x.device))
        dy, dx = torch.gradient(y, dim=(2, 3))
        yy, yx = torch.gradient(dy, dim=(2, 3))
        xx = torch.gradient(dx, dim=3)[0]
        half, root = (yy + xx) / 2, torch.sqrt(((yy - xx) / 2) ** 2 + yx**2 + 1e-12)
        found += [y, torch.sqrt(dy**2 + dx**2 + 1e-12), half + root, half - root]
    all_maps = torch.cat(found, 1)
    return all_maps / all_maps.std((0, 2, 3), keepdim=True).clamp(min=1e-3)


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the pixels with a class, weighted by WEIGHTS."""
    weight = torch.tensor(WEIGHTS, device=logits.device)
    return functional.cross_entropy(
        logits.float(), labels.long() - 1, weight, ignore_index=-1, reduction="mean"
    )


def contrast_views(net: Unet, pages: Pages, seconds: float, seed: int) -> None:
    """MoCoV2: the encoder tells two views of a crop from 8192 others."""
    device = pages.image.device
    random = np.random.default_rng(seed)
    head = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 128)).to(device)
    query = nn.ModuleList([net.encoder, head])
    keys = copy.deepcopy(query).requires_grad_(False)
    queue = functional.normalize(torch.randn(8192, 128, device=device), dim=1)
    optimiser = torch.optim.SGD(query.parameters(), 0.06, 0.9, weight_decay=1e-4)

    def embed(which: nn.ModuleList, x: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return functional.normalize(which[1](which[0](x)[-1].mean((2, 3))).float(), dim=1)

    start, at, losses = time.time(), 0, []
    while (done := (time.time() - start) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 0.06 * 0.5 * (1 + math.cos(math.pi * done))
        numbers = pages.draw(random, 128, False)
        centre = crops(pages, numbers, False)[0]
        first, second = (microscope(centre, False) for _ in range(2))
        turned = torch.rot90(second, int(random.integers(4)), (2, 3))
        cut = int(random.integers(0, CROP - 160 + 1)), int(random.integers(0, CROP - 160 + 1))
        turned = turned[..., cut[0] : cut[0] + 160, cut[1] : cut[1] + 160]
        q = embed(query, first.contiguous(memory_format=torch.channels_last))
        with torch.no_grad():
            for a, b in zip(keys.parameters(), query.parameters(), strict=True):
                a.lerp_(b, 0.004)
            order = torch.randperm(len(turned), device=device)
            k = torch.empty_like(q)
            k[order] = embed(keys, turned[order].contiguous(memory_format=torch.channels_last))
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1) / 0.2
        loss = functional.cross_entropy(
            logits, torch.zeros(len(q), dtype=torch.long, device=device)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        queue[at : at + len(k)] = k
        at = (at + len(k)) % len(queue)
        losses.append(loss.detach())
    print(f"moco {len(losses)} steps, loss {torch.stack(losses[-50:]).mean():.3f}", flush=True)


def train(net: nn.Module, extra: nn.Module, pages: Pages, options: argparse.Namespace) -> nn.Module:
    """Learns the classes until the time is up; returns the averaged network."""
    random = np.random.default_rng(options.seed)
    parameters = [*net.parameters(), *extra.parameters()]
    optimiser = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.03)
    mean = copy.deepcopy(net).requires_grad_(False)
    start, step, losses = time.time(), 0, []
    while (done := (time.time() - start) / options.seconds) < 1:
        rate = 1e-3 * min(done / 0.05 + 0.02, 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        for _ in range(options.micro):
            numbers = pages.draw(random, options.batch, options.groups)
            clean, labels = crops(pages, numbers, options.groups)
            x = microscope(clean, options.groups).contiguous(memory_format=torch.channels_last)
            with torch.autocast(x.device.type, torch.bfloat16):
                last = net.decoder(net.encoder(x))
                logits = net.segmentation_head(last)
                told = extra(last) if options.maps else None
            loss = class_loss(logits, labels)
            if told is not None:
                loss = loss + 0.3 * functional.smooth_l1_loss(told.float(), maps(clean))
            (loss / options.micro).backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        optimiser.zero_grad()
        step += 1
        keep = min(0.998, step / (step + 20))
        with torch.no_grad():
            new, old = net.state_dict(), mean.state_dict()
            floats = [name for name, value in old.items() if value.is_floating_point()]
            torch._foreach_lerp_([old[k] for k in floats], [new[k] for k in floats], 1 - keep)
        losses.append(loss.detach())
        if step % 200 == 0:
            value = torch.stack(losses[-200:]).mean()
            print(
                f"{options.name} {time.time() - start:5.0f} s  {step:6d}  {value:.3f}", flush=True
            )
    print(f"{options.name} {step} steps of {options.micro} x {options.batch}", flush=True)
    return mean


@torch.no_grad()
def validate(net: nn.Module, pages: Pages) -> float:
    """The loss on the pages held out, each cut to sides that are multiples of 32."""
    net.eval()
    total, weights = 0.0, 0.0
    weight = torch.tensor(WEIGHTS, device=pages.image.device)
    for n in pages.held:
        h, w = (int(side) // 32 * 32 for side in pages.size[n])
        logits = net(pages.image[n : n + 1, :, :h, :w]).float()
        labels = pages.labels[n, 0, :h, :w].long() - 1
        each = functional.cross_entropy(
            logits, labels[None], weight, ignore_index=-1, reduction="sum"
        )
        total += float(each)
        weights += float(weight[labels[labels >= 0]].sum())
    return total / weights


def save(net: nn.Module, folder: Path) -> None:
    """Writes the state in half precision, statistics in single, in parts of similar size."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[dict[str, np.ndarray]] = [{} for _ in range(PARTS)]
    sizes = [0] * PARTS
    for name, value in sorted(net.state_dict().items(), key=lambda item: -item[1].numel()):
        if not value.is_floating_point():
            continue
        array = value.detach().float().cpu().numpy()
        part = sizes.index(min(sizes))
        parts[part][name] = array.astype(np.float16) if array.ndim == 4 else array
        sizes[part] += parts[part][name].nbytes
    for number, part in enumerate(parts):
        np.savez(folder / f"part{number}.npz", **part)


def rounded(net: nn.Module) -> nn.Module:
    """The network as `save` keeps it."""
    state = {
        name: value.half().float() if value.ndim == 4 else value
        for name, value in net.state_dict().items()
    }
    net.load_state_dict(state)
    return net


def main() -> None:
    """Trains, validates, saves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--moco", type=float, default=0)
    parser.add_argument("--groups", action="store_true")
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--micro", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="")
    parser.add_argument("--tasks", type=Path, help="few-label tasks to try the result on")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    pages = Pages(options.pages, device)
    net = Unet(CLASSES).to(device, memory_format=torch.channels_last)
    extra = nn.Conv2d(16, 4 * len(SCALES), 3, padding=1).to(device)
    if options.moco:
        contrast_views(net, pages, options.moco, options.seed)
    mean = rounded(train(net, extra, pages, options))
    print(f"{options.name} validation loss {validate(mean, pages):.5f}", flush=True)
    save(mean, options.out)
    if options.tasks:
        from few_shots import score

        for line in score(mean, options.tasks, device):
            print(options.name, line, flush=True)


if __name__ == "__main__":
    main()

"""The U-Net with a ResNet-50 encoder in plain torch.nn, the reference for the core's.

Written from the description of the network (docs/method.md), not from any library's source; the
parameter names are those of segmentation_models.pytorch's ``Unet("resnet50", in_channels=1)``, so
its state dicts load.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (256, 128, 64, 32, 16)
STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))  # blocks, middle channels, stride
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride) and 1x1 convolutions beside the identity."""

    def __init__(self, channels: int, middle: int, stride: int) -> None:
        super().__init__()
        out = middle * EXPANSION
        self.conv1 = nn.Conv2d(channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = None
        if channels != out or stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class Encoder(nn.Module):
    """ResNet-50 for one grey channel without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for number, (blocks, middle, stride) in enumerate(STAGES, 1):
            stage = nn.Sequential()
            for block in range(blocks):
                stage.append(Bottleneck(channels, middle, stride if block == 0 else 1))
                channels = middle * EXPANSION
            setattr(self, f"layer{number}", stage)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features f1..f5, at 1/2 .. 1/32 of the image's size."""
        features = [functional.relu(self.bn1(self.conv1(x)))]
        y = functional.max_pool2d(features[0], 3, 2, 1)
        for number in range(1, 5):
            y = getattr(self, f"layer{number}")(y)
            features.append(y)
        return features


class DecoderBlock(nn.Module):
    """Twice up, joined in front of the skip, then two convolutions."""

    def __init__(self, channels: int, skip: int, out: int) -> None:
        super().__init__()
        self.conv1 = self._convolution(channels + skip, out)
        self.conv2 = self._convolution(out, out)

    @staticmethod
    def _convolution(channels: int, out: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], 1)
        return self.conv2(self.conv1(x))


class Decoder(nn.Module):
    """Five blocks; the last has no skip."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        skips = (1024, 512, 256, 64, 0)
        inputs = (2048, *widths[:-1])
        self.blocks = nn.ModuleList(
            DecoderBlock(*sizes) for sizes in zip(inputs, skips, widths, strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x = features[-1]
        for block, skip in zip(self.blocks, (*reversed(features[:-1]), None), strict=True):
            x = block(x, skip)
        return x


class Unet(nn.Module):
    """The whole network.

    Parameters
    ----------
    outputs
        Maps it puts out: 1 for two classes, otherwise one a class.
    widths
        Channels of the five decoder blocks.
    """

    def __init__(self, outputs: int = 1, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder(widths)
        self.segmentation_head = nn.Sequential(nn.Conv2d(widths[-1], outputs, 3, padding=1))

    def decode(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (n, outputs, h, w) of the encoder's features."""
        return self.segmentation_head(self.decoder(features))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, outputs, h, w) of images (n, 1, h, w), sides multiples of 32."""
        return self.decode(self.encoder(x))


def freeze(net: Unet, layer: str, train_norms: bool = False) -> None:
    """Freezes the encoder below `layer`: "all" (nothing frozen), "layer1".."layer4" or "none".

    With `train_norms` the scales and shifts of the frozen batch norms train all the same.
    """
    order = ["all", "layer1", "layer2", "layer3", "layer4", "none"]
    for name, parameter in net.encoder.named_parameters():
        stage = name.split(".")[0]
        position = order.index(stage) if stage in order else 0
        norm = parameter.ndim == 1
        parameter.requires_grad = position >= order.index(layer) or (norm and train_norms)

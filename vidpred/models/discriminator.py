"""The multi-scale discriminator of Mathieu, Couprie and LeCun (ICLR 2016)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from vidpred.errors import SettingError
from vidpred.models.clip_discriminator import ClipDiscriminator
from vidpred.models.minibatch_discrimination import MinibatchDiscrimination
from vidpred.ops.checks import require_frames, require_positive, require_preset
from vidpred.ops.pyramid import pyramid


@dataclass(frozen=True)
class DiscriminatorScale:
    """One scale's network: convolutions without padding, fully connected layers, one logit.

    ReLU follows every layer but the last.

    Attributes:
        maps: Feature maps of the convolutions.
        kernels: Their kernel sizes.
        fully_connected: Widths of the fully connected layers before the logit.
        pool: Whether a 2 x 2 max-pooling follows the convolutions.
    """

    maps: tuple[PositiveInt, ...]
    kernels: tuple[PositiveInt, ...]
    fully_connected: tuple[PositiveInt, ...]
    pool: bool = False

    def __post_init__(self) -> None:
        if not self.maps or len(self.kernels) != len(self.maps):
            raise ValueError(
                f"{len(self.kernels)} kernels for {len(self.maps)} convolutions; "
                "expected one kernel a convolution, and at least one"
            )

    def output_size(self, size: int) -> int:
        """Rows (or columns) of the feature map that `size` rows (or columns) leave."""
        size -= sum(kernel - 1 for kernel in self.kernels)
        return size // 2 if self.pool else size


PAPER_SCALES = (
    DiscriminatorScale((64,), (3,), (512, 256)),
    DiscriminatorScale((64, 128, 128), (3, 3, 3), (1024, 512)),
    DiscriminatorScale((128, 256, 256), (5, 5, 5), (1024, 512)),
    DiscriminatorScale((128, 256, 512, 128), (7, 7, 5, 5), (1024, 512), pool=True),
)
"""Table 1 of the paper, coarsest first."""

SMALL_SCALES = (
    DiscriminatorScale((32,), (3,), (256, 128)),
    DiscriminatorScale((32, 32, 64), (3, 3, 3), (256, 128)),
    DiscriminatorScale((32, 32, 64), (5, 5, 5), (256, 128)),
    DiscriminatorScale((32, 32, 64, 128), (7, 7, 5, 5), (256, 128), pool=True),
)
"""The net of the released training script."""

PAPER_8TO8_SCALES = (
    DiscriminatorScale((16,), (3,), (128, 64)),
    DiscriminatorScale((16, 32, 32), (3, 3, 3), (256, 128)),
    DiscriminatorScale((32, 64, 64), (5, 5, 5), (256, 128)),
    DiscriminatorScale((32, 64, 128, 128), (7, 7, 5, 5), (256, 128), pool=True),
)
"""The paper's variant for 8 frames; recalled, not verified. Pooling as in the other tables."""

POOLED = 4
"""Rows and columns to which feature maps are pooled for a classifier."""

Head = Literal["fully_connected", "fully_convolutional"]

DiscriminatorPreset = Literal["paper", "small", "single_scale", "single_scale_small", "paper_8to8"]

DISCRIMINATOR_PRESETS: dict[DiscriminatorPreset, tuple[DiscriminatorScale, ...]] = {
    "paper": PAPER_SCALES,
    "small": SMALL_SCALES,
    "single_scale": PAPER_SCALES[-1:],
    "single_scale_small": SMALL_SCALES[-1:],
    "paper_8to8": PAPER_8TO8_SCALES,
}


class MultiScaleDiscriminator(ClipDiscriminator):
    """Scores at every scale whether a candidate follows the real past frames; it sees both.

    Args:
        scales: One network a scale, coarsest first, as many as the generator has.
        patch_size: H = W of the patches that it is trained on; ties the fully connected layers to
            it.
        context_frames: Real past frames that it sees.
        output_frames: Frames of a candidate.
        channels: Color channels of a frame, C.
        head: `fully_connected` is the paper's, for one patch size. `fully_convolutional` turns the
            fully connected layers into 1 x 1 convolutions: a logit for every position, free of the
            patch size.
        spectral_norm: Divide the weights of every layer by their largest singular value, estimated
            by a power iteration a step (Miyato et al. 2018).
        minibatch_kernels: Kernels of `MinibatchDiscrimination` before the logit of each scale; 0 is
            none. Of a fully connected head alone: a position of a fully convolutional one has no
            batch of its own.
    """

    def __init__(
        self,
        scales: Sequence[DiscriminatorScale],
        *,
        patch_size: PositiveInt = 32,
        context_frames: PositiveInt = 4,
        output_frames: PositiveInt = 1,
        channels: PositiveInt = 3,
        head: Head = "fully_connected",
        spectral_norm: bool = False,
        minibatch_kernels: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        require_positive("number of scales", len(scales))
        for name, value in (
            ("patch_size", patch_size),
            ("context_frames", context_frames),
            ("output_frames", output_frames),
            ("channels", channels),
        ):
            require_positive(name, value)
        if head not in get_args(Head):
            raise ValueError(f"head is {head!r}; expected {' or '.join(get_args(Head))}")
        if minibatch_kernels and head != "fully_connected":
            raise ValueError(
                f"minibatch_kernels is {minibatch_kernels} and head {head!r}; expected "
                "head='fully_connected' with minibatch discrimination, or minibatch_kernels 0"
            )
        self.minibatch_kernels = int(minibatch_kernels)
        self.batch_dependent = bool(minibatch_kernels)
        self.scales = tuple(scales)
        self.num_scales = len(self.scales)
        self.patch_size = int(patch_size)
        self.context_frames = int(context_frames)
        self.output_frames = int(output_frames)
        self.channels = int(channels)
        self.head = head
        self.spectral_norm = spectral_norm
        self.networks = nn.ModuleList(
            self._network(scale, self._feature_size(k, patch_size))
            for k, scale in enumerate(self.scales)
        )

    @classmethod
    def from_preset(
        cls,
        name: DiscriminatorPreset,
        patch_size: PositiveInt = 32,
        context_frames: PositiveInt | None = None,
        channels: PositiveInt = 3,
        output_frames: PositiveInt | None = None,
        head: Head = "fully_connected",
        spectral_norm: bool = False,
        minibatch_kernels: NonNegativeInt = 0,
    ) -> "MultiScaleDiscriminator":
        """Build one of the published networks.

        Args:
            name: `paper`, `small`, `single_scale` and `single_scale_small` (the finest of each
                alone) or `paper_8to8`.
            patch_size: H = W of the training patches.
            context_frames: Real past frames; None is the preset's own number, 4 (8 for
                `paper_8to8`).
            channels: Color channels of a frame.
            output_frames: Frames of a candidate; None is the preset's own number, 1 (8 for
                `paper_8to8`).
            head: See the class.
            spectral_norm: See the class.
            minibatch_kernels: See the class.

        Raises:
            ValueError: When no preset has this name.
        """
        require_preset(name, get_args(DiscriminatorPreset))
        eight = name == "paper_8to8"
        return cls(
            DISCRIMINATOR_PRESETS[name],
            patch_size=patch_size,
            context_frames=(8 if eight else 4) if context_frames is None else context_frames,
            output_frames=(8 if eight else 1) if output_frames is None else output_frames,
            channels=channels,
            head=head,
            spectral_norm=spectral_norm,
            minibatch_kernels=minibatch_kernels,
        )

    def forward(self, context: Tensor, candidates: Sequence[Tensor]) -> list[Tensor]:
        """Score one candidate a scale.

        Args:
            context: Real past frames at full size, shape (B, context_frames, C, H, W) in [-1, 1].
            candidates: S tensors (B, output_frames, C, h, w) in [-1, 1], coarsest first, real or
                predicted.

        Returns:
            S tensors of logits (B, P), higher for more real; P is 1, or the positions of a fully
            convolutional head.

        Raises:
            ValueError: When scales, frames or patch size are not those of the network.
            SettingError: When patches have another size than the network was built for.
        """
        require_frames("context", context)
        if len(candidates) != self.num_scales:
            raise ValueError(
                f"{len(candidates)} candidates; expected one for each of the "
                f"discriminator's {self.num_scales} scales"
            )
        expected = (self.context_frames, self.channels)
        if context.shape[1:3] != expected:
            raise ValueError(
                f"context has shape {tuple(context.shape)}; "
                f"expected (B, {expected[0]}, {expected[1]}, H, W)"
            )
        self._require_patch(context)
        logits: list[Tensor] = []
        pasts = pyramid(context, self.num_scales)
        for past, candidate, network in zip(pasts, candidates, self.networks, strict=True):
            clip = torch.cat([past, candidate], dim=1).flatten(1, 2)
            logits.append(network(clip).flatten(1))
        return logits

    def features(self, context: Tensor, candidates: Sequence[Tensor]) -> Tensor:
        """Give features for a classifier, pooled as those of Radford et al. 2016 (DCGAN).

        Args:
            context: As for `forward`; of any size that leaves the convolutions a pixel.
            candidates: As for `forward`.

        Returns:
            The maximum of each feature map over a grid of 4 x 4, of all convolutions of all scales,
            shape (B, F).
        """
        pooled: list[Tensor] = []
        pasts = pyramid(context, self.num_scales)
        for scale, past, candidate, network in zip(
            self.scales, pasts, candidates, self.networks, strict=True
        ):
            assert isinstance(network, nn.Sequential)
            maps = torch.cat([past, candidate], dim=1).flatten(1, 2)
            # A convolution and its ReLU at a time.
            for k in range(0, 2 * len(scale.maps), 2):
                maps = network[k : k + 2](maps)
                pooled.append(F.adaptive_max_pool2d(maps, POOLED).flatten(1))
        return torch.cat(pooled, dim=1)

    def config(self) -> dict[str, Any]:
        """Give the constructor's arguments as plain values."""
        return {
            "scales": [
                {
                    k: [int(i) for i in v] if isinstance(v, tuple) else v
                    for k, v in asdict(scale).items()
                }
                for scale in self.scales
            ],
            "patch_size": self.patch_size,
            "context_frames": self.context_frames,
            "output_frames": self.output_frames,
            "channels": self.channels,
            "head": self.head,
            "spectral_norm": self.spectral_norm,
            # Checkpoints of before have none, and are of the same network.
            **({"minibatch_kernels": self.minibatch_kernels} if self.minibatch_kernels else {}),
        }

    def _require_patch(self, context: Tensor) -> None:
        height, width = context.shape[-2:]
        if self.head == "fully_connected" and (height, width) != (self.patch_size,) * 2:
            raise SettingError(
                f"patches are {height} x {width} pixels; a fully connected discriminator built "
                f"for patch_size {self.patch_size} takes no other. Build it with the new "
                "patch_size, or with head='fully_convolutional'"
            )
        for k in range(self.num_scales):
            self._feature_size(k, min(height, width))

    def _feature_size(self, k: int, patch_size: int) -> int:
        factor = 2 ** (self.num_scales - 1 - k)
        size = self.scales[k].output_size(patch_size // factor)
        if patch_size % factor or size < 1:
            raise ValueError(
                f"patch_size {patch_size} does not fit scale 1/{factor} of the discriminator, "
                f"whose kernels are {list(self.scales[k].kernels)}; "
                f"expected a larger multiple of {2 ** (self.num_scales - 1)}"
            )
        return size

    def _network(self, scale: DiscriminatorScale, feature_size: int) -> nn.Sequential:
        frames = self.context_frames + self.output_frames
        layers: list[nn.Module] = []
        for (width_in, width_out), kernel in zip(
            pairwise([frames * self.channels, *scale.maps]), scale.kernels, strict=True
        ):
            layers += [nn.Conv2d(width_in, width_out, kernel), nn.ReLU(inplace=True)]
        if scale.pool:
            layers.append(nn.MaxPool2d(2))
        if self.head == "fully_connected":
            widths = [scale.maps[-1] * feature_size**2, *scale.fully_connected]
            layers.append(nn.Flatten())
            for width_in, width_out in pairwise(widths):
                layers += [nn.Linear(width_in, width_out), nn.ReLU(inplace=True)]
            if self.minibatch_kernels:
                layers.append(MinibatchDiscrimination(widths[-1], kernels=self.minibatch_kernels))
            layers += [nn.Linear(widths[-1] + self.minibatch_kernels, 1), nn.Identity()]
        else:
            for width_in, width_out in pairwise([scale.maps[-1], *scale.fully_connected, 1]):
                layers += [nn.Conv2d(width_in, width_out, 1), nn.ReLU(inplace=True)]
        if self.spectral_norm:
            layers = [
                spectral_norm(layer) if isinstance(layer, nn.Conv2d | nn.Linear) else layer
                for layer in layers
            ]
        return nn.Sequential(*layers[:-1])

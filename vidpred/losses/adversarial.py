"""What generator and discriminator want of each other, from logits."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AdversarialKind = Literal["non_saturating", "minimax", "least_squares", "hinge"]


class AdversarialLoss(nn.Module):
    """The discriminator's loss on real and on fake logits, and the generator's on fake ones.

    Every loss is a mean over all logits, computed in float32 from logits, so that half precision
    and saturated discriminators give neither infinities nor a gradient of zero where the formula
    has one.

    Args:
        kind: `non_saturating`, the paper's: binary cross-entropy, the generator minimizes
            bce(D(fake), 1). `minimax`: the same discriminator, the generator minimizes log(1 -
            D(fake)) (Goodfellow et al. 2014 give both forms). `least_squares`: Mao et al. 2017 with
            labels 1 and 0. `hinge`: Lim and Ye 2017.
        label_smoothing: In [0, 1): the discriminator is asked to score real clips at 1 minus this,
            which keeps it from growing sure; one-sided, as in Salimans et al. 2016.

    Raises:
        ValueError: When the kind is unknown, or labels are to be smoothed that it does not have.
    """

    def __init__(
        self, kind: AdversarialKind = "non_saturating", *, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        if kind not in get_args(AdversarialKind):
            raise ValueError(
                f"unknown kind {kind!r}; expected one of {', '.join(get_args(AdversarialKind))}"
            )
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"label_smoothing is {label_smoothing}; expected at least 0 and below 1"
            )
        if label_smoothing and kind == "hinge":
            raise ValueError(
                f"label_smoothing is {label_smoothing}, but the hinge loss has no labels; "
                "expected another kind, or 0"
            )
        self.kind = kind
        self.label_smoothing = label_smoothing

    def real_loss(self, logits: Tensor) -> Tensor:
        """Give the discriminator's loss on real clips; logits of any shape, scalar result."""
        logits = logits.float()
        if self.kind == "least_squares":
            return (logits - (1 - self.label_smoothing)).square().mean()
        if self.kind == "hinge":
            return F.relu(1 - logits).mean()
        # bce(D, label) = softplus(-logit) + (1 - label) * logit
        return (F.softplus(-logits) + self.label_smoothing * logits).mean()

    def fake_loss(self, logits: Tensor) -> Tensor:
        """Give the discriminator's loss on predictions; logits of any shape, scalar result."""
        logits = logits.float()
        if self.kind == "least_squares":
            return logits.square().mean()
        if self.kind == "hinge":
            return F.relu(1 + logits).mean()
        return F.softplus(logits).mean()

    def generator_loss(self, logits: Tensor) -> Tensor:
        """Give the generator's loss on its predictions' logits; any shape, scalar result.

        Negative and without a lower bound for `minimax` and `hinge`.
        """
        logits = logits.float()
        if self.kind == "least_squares":
            return (logits - 1).square().mean()
        if self.kind == "hinge":
            return -logits.mean()
        if self.kind == "minimax":
            return -F.softplus(logits).mean()
        return F.softplus(-logits).mean()

    @property
    def boundary(self) -> float:
        """Logit above which a clip is taken for real."""
        return 0.5 if self.kind == "least_squares" else 0.0

    def score(self, logits: Tensor) -> Tensor:
        """Give the discriminator's mean output: a probability for the cross-entropy kinds.

        For `least_squares` (real is 1, fake 0) and `hinge` (real above 1, fake below -1) it is the
        mean logit.
        """
        logits = logits.detach().float()
        if self.kind in ("non_saturating", "minimax"):
            logits = torch.sigmoid(logits)
        return logits.mean()

"""What goes wrong in training, how it shows, and what to change."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidpred.diagnostics.signs import Signs
from vidpred.plain import scale_name

Past = Sequence[float]
"""`edge_strength` at the checks before, the three highest in rising order."""

AHEAD = 0.05
"""Of a copy's squared error, what predictions must save (0.2 dB) to be more than a copy."""

Sentence = Callable[[Signs, Past], str | None]
"""Says what is wrong; None when it is not."""


@dataclass(frozen=True)
class Symptom:
    """One way in which training fails.

    Attributes:
        name: Short, for lists.
        shows: Says it, with `{batches}` for how long it has lasted and `{network}` for what the
            task calls its predictor.
        advice: Which option to change: remedies, of which those are given whose keys the task has.
        slowness: So many times the patience: a young training shows some symptoms and outgrows
            them (with the paper's rates a discriminator is at chance for the first thousands of
            batches).
    """

    name: str
    shows: Sentence
    advice: tuple[str, ...]
    slowness: int = 1


def _discriminator_wins(signs: Signs, past: Past) -> str | None:
    if "saturation" not in signs.by_scale:
        return None
    names = ("real_accuracy", "fake_accuracy")
    worst = min(min(signs.by_scale[name]) for name in names)
    saturated = min(signs.by_scale["saturation"])
    if worst < 0.99 or saturated < 0.9:
        return None
    return (
        f"the discriminator is right on every clip (accuracy {worst:.2f} or more at all scales for "
        "{batches} batches) and its outputs are saturated: the generator learns nothing from it"
    )


def _discriminator_guesses(signs: Signs, past: Past) -> str | None:
    if "margin" not in signs.by_scale:
        return None
    pairs = zip(signs.by_scale["real_accuracy"], signs.by_scale["fake_accuracy"], strict=True)
    balanced = [(real + fake) / 2 for real, fake in pairs]
    margin = max(abs(margin) for margin in signs.by_scale["margin"])
    if max(balanced) > 0.65 or margin > 0.05:
        return None
    return (
        "the discriminator is at chance (it takes true frames and predictions alike at all scales "
        f"for {{batches}} batches, logits at most {margin:.2f} apart): the generator learns "
        "nothing from it"
    )


def _adversarial_share(signs: Signs) -> float | None:
    norms = {
        name: sum(norm**2 for norm in norms if not math.isnan(norm)) ** 0.5
        for name, norms in signs.by_scale.items()
        if name.startswith("gradient_norm_")
    }
    adversarial = norms.pop("gradient_norm_adversarial_loss", None)
    if adversarial is None or not norms:
        return None
    total = adversarial + sum(norms.values())
    return adversarial / total if total else None


def _adversarial_term_is_faint(signs: Signs, past: Past) -> str | None:
    share = _adversarial_share(signs)
    if share is None or share >= 0.005:
        return None
    return (
        f"the adversarial term has {share:.1%} of the gradient in the generator for {{batches}} "
        "batches: training is on the other terms alone"
    )


def _adversarial_term_drowns(signs: Signs, past: Past) -> str | None:
    share = _adversarial_share(signs)
    if share is None or share <= 0.95:
        return None
    return (
        f"the adversarial term has {share:.0%} of the gradient in the generator for {{batches}} "
        "batches: predictions need not resemble the truth any more"
    )


def _network_is_dead(signs: Signs, past: Past) -> str | None:
    norms = [n for name, n in signs.by_scale.items() if name.startswith("gradient_norm_")]
    sums = [sum(of_network) for of_network in zip(*norms, strict=True)]
    dead = [scale_name(k, len(sums)) for k, total in enumerate(sums) if total == 0]
    if not dead:
        return None
    where = f"generator's network of {', '.join(dead)}" if len(sums) > 1 else "network"
    return (
        f"the {where} has had no gradient for {{batches}} "
        "batches: its units are dead or its output is saturated, and it will not come back"
    )


def _copies(signs: Signs, past: Past) -> str | None:
    ratio = signs.overall.get("motion_ratio", math.nan)
    if not ratio < 0.1:  # NaN says nothing
        return None
    if signs.overall.get("gain_over_copy", math.nan) > AHEAD:
        return None  # what little changes is right
    return (
        f"predictions are the last input frame (they change by {ratio:.0%} of what the truth does, "
        "for {batches} batches): the {network} copies"
    )


def _collapses(signs: Signs, past: Past) -> str | None:
    diversity = signs.overall.get("diversity", math.nan)
    if not diversity < 0.1:
        return None
    return (
        f"predictions are nearly the same for every clip (they differ by {diversity:.0%} of what "
        "the true frames do, for {batches} batches): the {network} has collapsed"
    )


def _blurs(signs: Signs, past: Past) -> str | None:
    strength = signs.overall.get("edge_strength", math.nan)
    # The third highest, since single batches are off.
    if len(past) < 3 or not strength < 0.5 * min(past[0], 1.0):
        return None
    return (
        f"predictions grow blurry: their edges are {strength:.0%} of the true ones for {{batches}} "
        f"batches, and have been {past[0]:.0%}"
    )


def _roughens(signs: Signs, past: Past) -> str | None:
    strength = signs.overall.get("edge_strength", math.nan)
    if not strength > 1.5:
        return None
    return (
        f"predictions have {strength:.0%} of the edges of the truth for {{batches}} batches: the "
        "{network} draws patterns or noise"
    )


def _latents_are_empty(signs: Signs, past: Past) -> str | None:
    divergence = signs.overall.get("kl", math.nan)
    if not divergence < 0.01:
        return None
    return (
        f"the latent variables hold nothing (KL is {divergence:.4f} nats a frame, for {{batches}} "
        "batches): all predicted futures are alike, the posterior has collapsed onto the prior"
    )


ALIKE = 0.1
"""Draws of one past that differ by less of what the truth changes count as collapsed modes.

Measured by tools/mode_collapse.py: 0.01 to 0.1 where one of eight futures is drawn, 0.9 where seven
are.
"""


def _draws_are_alike(signs: Signs, past: Past) -> str | None:
    difference = signs.overall.get("draw_difference", math.nan)
    if not difference < ALIKE:
        return None
    return (
        f"futures drawn from one past are alike (they differ by {difference:.1%} of what the truth "
        "changes, for {batches} batches): the latent code says nothing, the modes have collapsed"
    )


RATES = ("model.generator_optimizer.init_args.lr", "model.optimizer.init_args.lr")
"""Keys of the predictor's learning rate; a task has one of them."""

SHARPER = (
    "raise model.loss.init_args.gradient_difference_weight",
    "raise model.adversarial_weight",
)
"""What pays for sharp predictions."""

SYMPTOMS = (
    Symptom(
        "discriminator wins",
        _discriminator_wins,
        (
            "lower model.discriminator_optimizer.init_args.lr",
            "set model.instance_noise 0.1, model.adversarial_loss.init_args.label_smoothing 0.1 or "
            "model.r1_weight 5",
        ),
    ),
    Symptom(
        "discriminator guesses",
        _discriminator_guesses,
        (
            "raise model.discriminator_optimizer.init_args.lr",
            "set model.discriminator_steps 2; lower model.instance_noise and model.r1_weight if "
            "they are set",
        ),
        slowness=10,
    ),
    Symptom(
        "adversarial term faint",
        _adversarial_term_is_faint,
        (
            "raise model.adversarial_weight",
            "take vidpred.tasks.ReconstructionTask, which is faster",
        ),
        slowness=10,
    ),
    Symptom(
        "adversarial term drowns",
        _adversarial_term_drowns,
        ("lower model.adversarial_weight", "raise model.loss.init_args.lp_weight"),
    ),
    Symptom(
        "network dead",
        _network_is_dead,
        tuple(
            f"resume from an earlier checkpoint (--ckpt-path) with a lower {rate}" for rate in RATES
        ),
    ),
    Symptom(
        "copies",
        _copies,
        (
            "train on patches that move (raise data.motion_threshold)",
            *SHARPER,
            *(f"raise {rate}" for rate in RATES),
            "train longer",
        ),
    ),
    Symptom(
        "collapse",
        _collapses,
        (
            "lower model.adversarial_weight",
            *(f"lower {rate}; when it was so from the start, raise it" for rate in RATES),
            "begin with model.reconstruction_batches 5000",
        ),
        slowness=3,
    ),
    Symptom(
        "mode collapse",
        _draws_are_alike,
        (
            "set model.discriminator.init_args.minibatch_kernels 32",
            "lower model.loss.init_args.lp_weight",
            "lower model.beta",
            "leave it so where the past decides the future: there is nothing to draw",
        ),
        slowness=3,
    ),
    Symptom("blur", _blurs, (*SHARPER, "take model.loss.init_args.p 1")),
    Symptom(
        "roughness",
        _roughens,
        (
            "lower model.adversarial_weight",
            "lower model.loss.init_args.gradient_difference_weight",
            *(f"lower {rate}" for rate in RATES),
        ),
    ),
    Symptom(
        "posterior collapse",
        _latents_are_empty,
        ("lower model.beta", "let it grow slowly (raise model.beta_warmup_batches)"),
    ),
)
"""All that is looked for."""

"""What cannot be trained adversarially: networks that do not fit, options of one optimizer."""

from collections.abc import Iterable

from pytorch_lightning import Trainer

from vidpred.errors import SettingError
from vidpred.models import ClipDiscriminator, Predictor, ScalePredictor


def require_matching(generator: Predictor, discriminator: ClipDiscriminator) -> None:
    """Refuse a discriminator that is not made for what the generator sees and gives.

    Raises:
        ValueError: Naming what differs.
    """
    shared = ("num_scales", "context_frames", "output_frames")
    for name in shared if isinstance(generator, ScalePredictor) else ("context_frames",):
        ours, theirs = getattr(generator, name), getattr(discriminator, name)
        if ours != theirs:
            raise ValueError(
                f"the generator has {name} {ours}, the discriminator {theirs}; expected the same"
            )


def refuse_options_of_one_optimizer(trainer: Trainer, clips: Iterable[float | None]) -> None:
    """Refuse options of the trainer that are for one optimizer, before Lightning does.

    Args:
        trainer: Of the task.
        clips: Largest gradient norms of the task's networks.

    Raises:
        SettingError: Naming the task's option in its place.
    """
    if trainer.accumulate_grad_batches != 1:
        raise SettingError(
            f"trainer.accumulate_grad_batches is {trainer.accumulate_grad_batches}, but "
            "two optimizers step here; set model.generator_accumulate_batches and "
            "model.discriminator_accumulate_batches instead"
        )
    if trainer.gradient_clip_val:
        raise SettingError(
            f"trainer.gradient_clip_val is {trainer.gradient_clip_val}, but "
            "two optimizers step here; set model.generator_gradient_clip and "
            "model.discriminator_gradient_clip instead"
        )
    if trainer.precision == "16-mixed" and any(clips):
        raise SettingError(
            "gradients cannot be clipped at precision 16-mixed, where they are scaled; "
            "expected bf16-mixed or 32-true, or no gradient_clip"
        )

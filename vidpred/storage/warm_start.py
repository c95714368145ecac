"""A generator of another output that starts from the hidden layers of a trained one."""

from vidpred.errors import CheckpointError
from vidpred.models import MultiScaleGenerator
from vidpred.seen_videos import remember, remembered
from vidpred.storage.saved import load_predictor


def residual_generator(path: str) -> MultiScaleGenerator:
    """Give a generator that predicts the last frame's change, with a trained one's hidden layers.

    Its last convolutions are at zero, so that it starts as `CopyLastFrame`. From random hidden
    layers it stays there for long: the losses of Mathieu et al. 2016 favor copying until some
    feature shows motion. In a configuration it takes the place of a preset, as `trained_generator`.

    Args:
        path: Of a `MultiScaleGenerator`; as for `load_predictor`.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours, or holds something else.
    """
    trained = load_predictor(path)
    if not isinstance(trained, MultiScaleGenerator):
        raise CheckpointError(
            f"{path}: holds a {type(trained).__name__}; expected a MultiScaleGenerator"
        )
    generator = type(trained).from_config({**trained.config(), "residual_to": "last_frame"})
    fresh = generator.state_dict()
    last = {f"networks.{k}.{2 * len(scale.hidden)}" for k, scale in enumerate(generator.scales)}
    generator.load_state_dict(
        {
            name: fresh[name] if name.rpartition(".")[0] in last else weight
            for name, weight in trained.state_dict().items()
        }
    )
    remember(generator, remembered(trained))
    return generator.train()

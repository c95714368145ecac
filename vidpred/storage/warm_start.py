"""Networks of another form that start from the weights of trained ones."""

from collections.abc import Sequence

from jsonargparse.typing import PositiveInt

from vidpred.errors import CheckpointError
from vidpred.models import FlowRefiner, MultiScaleGenerator
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


def refiner_with_network(
    path: str, widths: Sequence[PositiveInt] = (32, 48, 64, 96)
) -> FlowRefiner:
    """Give a trained flow refiner with a network, which starts at what it predicts without one.

    The network's last layers are at zero. Modes, which would have to be fitted again, are left out.
    A refiner that has a network already keeps it, its modes and its widths. In a configuration it
    takes the place of the class, as `trained_predictor`.

    Args:
        path: Of a `FlowRefiner`; as for `load_predictor`.
        widths: Channels of the network's levels, at least one.

    Raises:
        CheckpointError: When the file is missing, damaged or not ours, or holds something else.
        ValueError: When there are no widths.
    """
    trained = load_predictor(path)
    if not isinstance(trained, FlowRefiner):
        raise CheckpointError(f"{path}: holds a {type(trained).__name__}; expected a FlowRefiner")
    if trained.network is not None:
        return trained.train()
    if not widths:
        raise ValueError("widths are empty; expected the channels of at least one level")
    refiner = type(trained).from_config({**trained.config(), "widths": list(widths), "modes": 0})
    kept = {
        name: weight
        for name, weight in trained.state_dict().items()
        if not name.startswith("modes.")
    }
    refiner.load_state_dict({**refiner.state_dict(), **kept})
    remember(refiner, remembered(trained))
    return refiner.train()

"""What the tests of published networks share."""

from torch import Tensor

from vidpred.models import Predictor


def require_gradients(predictor: Predictor, pred: Tensor) -> None:
    """A gradient of the prediction reaches every parameter, and is not 0 all over it."""
    (pred - 0.3).square().sum().backward()
    for name, parameter in predictor.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def require_same_built(predictor: Predictor) -> Predictor:
    """What `config` describes has the same weights in the same places; returns it."""
    twin = type(predictor).from_config(predictor.config())
    twin.load_state_dict(predictor.state_dict())
    assert twin.config() == predictor.config()
    return twin

"""Training of latent variables by the evidence lower bound."""

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveInt
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable

from vidpred.batch import ClipBatch
from vidpred.errors import SettingError
from vidpred.losses import LpLoss, PredictionLoss, PredictionObjective
from vidpred.losses.base import require_trainable
from vidpred.models import Predictor, Variational
from vidpred.ops.checks import require_positive, require_weight
from vidpred.tasks.base import PredictionTask
from vidpred.tasks.builders import adam
from vidpred.tasks.speed import Speed


class VariationalTask(PredictionTask):
    """Trains a predictor with latent variables: reconstruction plus beta times KL.

    Source: Kingma and Welling 2014 (arXiv 1312.6114); for video Denton and Fergus 2018 (arXiv
    1802.07687), with a beta on the divergence. The reconstruction is a mean over all D values of a
    frame: with the squared difference of `LpLoss`, the sum is the negative evidence lower bound,
    times beta and up to a constant, of a normal distribution around the predicted frames whose
    variance is beta * D / 2. Beta is therefore small (1e-4 there).

    Args:
        predictor: Gives `posterior`; see `vidpred.models.Variational`.
        loss: Of the reconstruction; None is `LpLoss`.
        beta: Weight of the divergence in nats a frame; at least 0.
        beta_warmup_batches: Batches over which beta grows evenly from 0, against a posterior that
            collapses onto the prior at first; 0 is none.
        horizon: Frames to predict in training, at least 1; None is the predictor's
            `output_frames`.
        optimizer: Builds the optimizer from parameters; the default is Adam at 0.001.
        lr_scheduler: Builds a learning-rate scheduler from the optimizer; it steps after every
            step of the optimizer.
        speed: How fast a step is computed; None is what suits the device.

    Raises:
        SettingError: When the predictor has no posterior.
        ValueError: When a weight is negative or NaN, the horizon is below 1, or no term of the
            loss has a weight.
    """

    compiles = False

    def __init__(
        self,
        predictor: Predictor,
        *,
        loss: PredictionLoss | None = None,
        beta: NonNegativeFloat = 1e-4,
        beta_warmup_batches: NonNegativeInt = 0,
        horizon: PositiveInt | None = None,
        optimizer: OptimizerCallable = adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        speed: Speed | None = None,
    ) -> None:
        super().__init__(predictor, optimizer=optimizer, lr_scheduler=lr_scheduler, speed=speed)
        if not isinstance(predictor, Variational):
            raise SettingError(
                f"{type(predictor).__name__} has no method posterior; expected a predictor with "
                "latent variables, see vidpred.models.Variational"
            )
        require_weight("beta", beta)
        if horizon is not None:
            require_positive("horizon", horizon)
        self.loss = loss or LpLoss()
        require_trainable(self.loss)
        self.full_beta = float(beta)
        self.beta_warmup_batches = int(beta_warmup_batches)
        self.horizon = predictor.output_frames if horizon is None else int(horizon)

    @property
    def training_horizon(self) -> int:
        """Frames after the context that a training clip needs."""
        return self.horizon

    @property
    def beta(self) -> float:
        """Weight of the divergence in the present batch."""
        if self.batches_seen >= self.beta_warmup_batches:
            return self.full_beta
        return self.full_beta * (self.batches_seen + 1) / self.beta_warmup_batches

    def objective(self, batch: ClipBatch) -> PredictionObjective:
        """Reconstruct the target from its posterior, which stays near the prior.

        The term `kl` is logged in nats a frame.

        Raises:
            ValueError: When the posterior gives tensors of other shapes.
        """
        context, target, condition = self.training_clips(batch)
        assert isinstance(self.predictor, Variational)
        pred, kl = self.predictor.posterior(context, target, condition=condition)
        if pred.shape != target.shape or kl.shape != target.shape[:2]:
            raise ValueError(
                f"posterior gave frames {tuple(pred.shape)} and kl {tuple(kl.shape)}; expected "
                f"frames {tuple(target.shape)} and one kl a clip and frame, "
                f"{tuple(target.shape[:2])}"
            )
        return PredictionObjective(
            terms={**self.loss.checked_terms(pred, target), "kl": kl.mean()},
            weights={**self.loss.weights, "kl": self.beta},
            context=context,
            target=target,
            pred=pred,
        )

"""Mistakes of public code of the generative family that no other test looks for.

Those that tests of the networks look for are listed in docs/stochastic.md.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import pytorch_lightning as pl
import torch
from pixel_networks import KINDS
from pixel_networks import network as pixel_network
from torch import nn
from torch.optim import Adam
from worlds import loader, trainer

from vidpred.batch import Evaluation
from vidpred.callbacks import FrameQuality
from vidpred.evaluation.measures import Measure
from vidpred.losses import MultiScaleLoss
from vidpred.metrics import PSNR, psnr
from vidpred.models import (
    SVG,
    Autoencoder,
    DCGANDiscriminator,
    DCGANGenerator,
    GeneratorScale,
    Likelihood,
    MinibatchDiscrimination,
    MixtureGenerator,
    Predictor,
)
from vidpred.prediction.frame_scores import PREDICTION, measure
from vidpred.tasks import AdversarialTask, LikelihoodTask, PredictionTask, VariationalTask

PACKAGE = Path(__file__).parents[1] / "vidpred"
FORMULAS_OF_DECIBELS = {"psnr.py", "sharpness.py", "mathieu.py"}
"""Of vidpred/metrics: each a convention of its own, `vidpred.metrics.psnr` the only PSNR."""
CHOOSES_DEVICES = {"cli/common.py"}
"""`--device auto`."""
FRAMES: dict[str, Any] = {"context_frames": 2, "channels": 1}
SMALL: dict[str, Any] = {"width": 2, "code_size": 4, "latent_size": 3, "image_size": 8, **FRAMES}
SCALES = (GeneratorScale((4,), (3, 3)), GeneratorScale((4,), (3, 3)))
CLIP = (
    torch.empty(2, 2, 1, 8, 8, device="meta"),
    torch.empty(2, 1, 1, 8, 8, device="meta"),
)
"""Context and target that have shapes alone."""


def mentioning(folder: str, *words: str) -> Iterator[tuple[str, list[ast.AST]]]:
    """Python files with one of the words: path below the folder, and all nodes."""
    root = PACKAGE.parent / folder
    for file in sorted(root.glob("**/*.py")):
        text = file.read_text()
        if any(word in text for word in words):
            yield file.relative_to(root).as_posix(), list(ast.walk(ast.parse(text)))


def name_of(node: ast.AST) -> str:
    """Last part of what is called."""
    return getattr(node, "attr", None) or getattr(node, "id", "")


def test_the_tests_that_the_documentation_names_exist() -> None:
    pages = PACKAGE.parent / "docs" / "stochastic.md"
    section = pages.read_text().split("## Mistakes of public code")[1]
    named = re.findall(r"`([\w/]+\.py)::(\w+)", section)
    assert len(named) > 15
    for file, name in named:
        text = (PACKAGE.parent / "tests" / file).read_text()
        assert re.search(rf"^(def|class) {name}\b", text, re.MULTILINE), f"{file}::{name}"


class Logs(pl.LightningModule):
    """Keeps what is logged."""

    def log_dict(self, dictionary: Any, *_: Any, **__: Any) -> None:
        self.seen: dict[str, float] = dict(dictionary)


class TestOnePSNR:
    """A mistake of public code: a file of two PSNR that differ, of which a table has either."""

    def test_decibels_are_computed_in_one_place(self) -> None:
        defined, computed = set(), set()
        for folder in ("vidpred", "tools", "examples"):
            for file, nodes in mentioning(folder, "psnr", "log10"):
                functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
                calls = [node for node in nodes if isinstance(node, ast.Call)]
                defined |= {file for node in functions if "psnr" in node.name}
                computed |= {file for node in calls if name_of(node.func) == "log10"}
        assert defined == {"metrics/psnr.py"}
        assert computed == {f"metrics/{file}" for file in FORMULAS_OF_DECIBELS}

    def test_training_protocols_and_the_prediction_command_agree(self) -> None:
        generator = torch.Generator().manual_seed(0)
        target = torch.rand(2, 3, 3, 16, 16, generator=generator)
        noise = torch.tensor([0.02, 0.2]).view(2, 1, 1, 1, 1)  # dB far apart: no mean of errors
        pred = (target + noise * torch.randn(target.shape, generator=generator)).clamp(0, 1)
        expected = (-10 * (pred - target).square().mean(dim=(2, 3, 4)).log10()).double()
        average = PSNR(data_range=1.0)
        average.update(pred, target)
        torch.testing.assert_close(average.per_frame(), expected.mean(0), rtol=1e-5, atol=0)
        torch.testing.assert_close(
            psnr(pred * 255, target * 255, data_range=255.0).double(), expected, rtol=1e-4, atol=0
        )
        protocols = Measure("psnr").of(pred, target, None)
        torch.testing.assert_close(protocols.double(), expected, rtol=1e-5, atol=0)
        for b, t in torch.cartesian_prod(torch.arange(2), torch.arange(3)):
            frames = pred[b, t], target[b, t]
            commands = measure(*frames, last=target[b, t])["psnr", PREDICTION]
            assert commands == pytest.approx(expected[b, t].item(), rel=1e-5)
        evaluation: Evaluation = {"context": target[:, :1], "target": target, "pred": pred}
        watcher, module, no_trainer = FrameQuality(), Logs(), cast(pl.Trainer, None)
        watcher.start("val", no_trainer)
        watcher.watch("val", no_trainer, evaluation, 0, 0)
        watcher.finish("val", no_trainer, module)
        assert module.seen["val/psnr"] == pytest.approx(expected.mean().item(), rel=1e-5)


def shifted_posterior(prior: Any = "fixed", **options: Any) -> SVG:
    """SVG whose posterior is a normal distribution around 1, whatever it sees."""
    sizes = {"width": 2, "code_size": 4, "hidden_size": 4, "latent_size": 3, "image_size": 16}
    model = SVG(prior, **{**sizes, "context_frames": 2, "channels": 1, **options})
    mean, log_variance = model.posterior_recurrence.heads
    for head, bias in ((mean, 1.0), (log_variance, 0.0)):
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, bias)
    return model


@pytest.mark.parametrize(
    ("clips", "horizon", "options"),
    [
        (2, 1, {}),
        (6, 1, {}),
        (2, 4, {}),
        (2, 1, {"image_size": 32}),
        (2, 1, {"context_frames": 5}),
        (2, 2, {"latent_size": 12}),
    ],
)
def test_the_divergence_is_in_nats_a_frame(
    clips: int, horizon: int, options: dict[str, int]
) -> None:
    """A mistake of public code: KL that grows with the batch, the frames or what the past has.

    KL(N(1, 1) || N(0, 1)) is 1/2 for each latent variable, which alone add up.
    """
    model = shifted_posterior(**options)
    task = VariationalTask(model, horizon=horizon)
    number, side = model.context_frames + horizon, model.image_size
    frames = torch.randint(256, (clips, number, 1, side, side), dtype=torch.uint8)
    objective = task.objective({"frames": frames, "video_id": ["a"] * clips})  # type: ignore[typeddict-item]
    assert objective.terms["kl"].item() == pytest.approx(0.5 * model.latent_size, rel=1e-5)


class TestNoDeviceIsNamed:
    """A mistake of public code: `.cuda()`, so that nothing runs without a GPU."""

    def test_code_asks_for_no_gpu_by_name(self) -> None:
        """A device's type may be compared with "cuda"; nothing else may name one."""
        found = []
        for name, nodes in mentioning("vidpred", "cuda"):
            compared = {
                id(part)
                for node in nodes
                if isinstance(node, ast.Compare)
                for part in ast.walk(node)
            }
            for node in nodes:
                call = isinstance(node, ast.Call) and name_of(node.func) == "cuda"
                word = str(getattr(node, "value", "")) if isinstance(node, ast.Constant) else ""
                named = re.fullmatch(r"cuda(:\d+)?", word) and id(node) not in compared
                if name not in CHOOSES_DEVICES and (call or named):
                    found.append(f"{name}:{getattr(node, 'lineno', 0)}")
        assert not found

    @pytest.fixture
    def unchecked(self) -> Iterator[None]:
        """Distributions that do not look at values, which shapes alone have not."""
        torch.distributions.Distribution.set_default_validate_args(False)
        yield
        torch.distributions.Distribution.set_default_validate_args(__debug__)

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize(
        ("build", "use"),
        [
            (lambda: SVG("learned", **SMALL, hidden_size=4), lambda m: m.posterior(*CLIP)),
            (lambda: SVG("fixed", **SMALL, hidden_size=4), lambda m: m.posterior(*CLIP)),
            (lambda: SVG("fixed", **SMALL, hidden_size=4), lambda m: m.sample(CLIP[0], 2)),
            (lambda: DCGANGenerator(**SMALL), lambda m: m.sample(CLIP[0], 2)),
            (lambda: MixtureGenerator(SCALES, **FRAMES), lambda m: m.sample(CLIP[0], 2)),
            (lambda: MixtureGenerator(SCALES, **FRAMES), lambda m: m.log_prob(*CLIP)),
            (lambda: pixel_network(**KINDS[0]), lambda m: m.log_prob(*CLIP)),
            (lambda: pixel_network(**KINDS[1]), lambda m: m.log_prob(*CLIP)),
            (
                lambda: DCGANDiscriminator(width=2, image_size=8, minibatch_kernels=2, **FRAMES),
                lambda m: m(CLIP[0], [CLIP[1]])[0],
            ),
        ],
    )
    def test_networks_compute_where_they_are(
        self, build: Callable[[], nn.Module], use: Callable[[Any], Any]
    ) -> None:
        """A tensor that is made on another device than the frames' is an error here."""
        with torch.device("meta"):
            network = build()
        result = use(network.eval())
        for tensor in result if isinstance(result, tuple) else [result]:
            assert tensor.device.type == "meta"


class TestConstantClips:
    """A mistake of public code: first weights divided by deviations of the first batch, NaN."""

    def tasks(self) -> list[PredictionTask]:
        adam = partial(Adam, lr=1e-3)
        sizes: dict[str, Any] = {**SMALL, "image_size": 16}
        adversarial = AdversarialTask(
            DCGANGenerator(**sizes),
            DCGANDiscriminator(width=2, image_size=16, minibatch_kernels=3, **FRAMES),
            loss=MultiScaleLoss(),
            drawn_predictions=True,
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        )
        likely: list[Predictor] = [pixel_network(**KINDS[0]), MixtureGenerator(SCALES, **FRAMES)]
        assert all(isinstance(network, Likelihood) for network in likely)
        return [
            adversarial,
            VariationalTask(SVG("learned", **sizes, hidden_size=4), optimizer=adam),
            *(LikelihoodTask(network, optimizer=adam) for network in likely),
        ]

    @pytest.mark.parametrize("kind", range(4))
    @pytest.mark.parametrize("level", [0, 255])
    def test_a_first_batch_without_any_contrast_leaves_finite_weights(
        self, kind: int, level: int
    ) -> None:
        torch.manual_seed(0)
        task = self.tasks()[kind]
        clip = torch.full((3, 1, 16, 16), level, dtype=torch.uint8)
        clips = [{"frames": clip, "video_id": "one", "start": torch.tensor(0)}] * 8
        trainer().fit(task, loader(clips, 8))
        for name, value in task.state_dict().items():
            assert value.isfinite().all(), name

    def test_fresh_weights_depend_on_no_batch(self) -> None:
        """What a network was shown first, in training too, leaves its parameters as they were."""
        torch.manual_seed(0)
        networks = [
            SVG("learned", **SMALL, hidden_size=4),
            Autoencoder(width=2, code_size=4, image_size=8, **FRAMES),
            MixtureGenerator(SCALES, **FRAMES),
            MinibatchDiscrimination(6, kernels=2),
        ]
        clip = torch.rand(4, 3, 1, 8, 8)
        shown: list[Callable[[Any], Any]] = [
            lambda model: model.posterior(clip[:, :2], clip[:, 2:]),
            lambda model: model(clip[:, :2], 1, condition={"true_frames": clip}),
            lambda model: model.log_prob(clip[:, :2], clip[:, 2:]),
            lambda model: model(torch.rand(4, 6)),
        ]
        for network, show in zip(networks, shown, strict=True):
            before = {name: value.clone() for name, value in network.named_parameters()}
            show(network.train())
            for name, value in network.named_parameters():
                assert torch.equal(before[name], value), name

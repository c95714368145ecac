"""Measure mode collapse on the toy world of eight futures, and draw what each network gives.

    python tools/mode_collapse.py --output mode_collapse

Trains four predictors from scratch on `vidpred.data.EightDirectionsDataModule`: a GAN (a
discriminator without batch norm), the same with minibatch discrimination, a DCGAN, and SVG-FP.
Generators of the first three are the same. Of pasts that none has seen it then draws futures, and
writes `results.json` (coverage, diversity, PSNR of the best of K futures, warnings of the health
monitor, hardware) and `futures.png` into the output folder. What the best of K is compared with is
the point prediction of least squared error, the mean of the eight futures, which no network has
to learn. It takes some minutes of a CPU.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from processor import describe_processor
from torch import Tensor
from torch.optim import Adam
from torchvision.io import write_png

from vidpred._version import __version__
from vidpred.data import EightDirectionsDataModule, render_directions
from vidpred.data.eight_directions import DIRECTIONS
from vidpred.diagnostics.health import TrainingHealth
from vidpred.losses import MultiScaleLoss
from vidpred.metrics import future_diversity, mode_coverage, psnr
from vidpred.models import (
    SVG,
    DCGANDiscriminator,
    DCGANGenerator,
    DiscriminatorScale,
    MultiScaleDiscriminator,
    Predictor,
)
from vidpred.ops import to_unit, unit_to_uint8
from vidpred.tasks import AdversarialTask, PredictionTask, VariationalTask

SIDE, CONTEXT = 16, 2
WORLD: dict[str, Any] = {"image_size": SIDE, "context_frames": CONTEXT, "channels": 1}
ADAM = partial(Adam, lr=2e-4, betas=(0.5, 0.999))  # of Radford et al. 2016
BATCH = 64  # clips; an adversarial phase sees half of them
DRAWS = 64
SHOWN = 12


def gan(minibatch_kernels: int = 0) -> AdversarialTask:
    """Build a GAN whose discriminator has neither strides nor batch norm."""
    judge = MultiScaleDiscriminator(
        [DiscriminatorScale((16, 16), (5, 5), (64,), pool=True)],
        patch_size=SIDE,
        context_frames=CONTEXT,
        channels=1,
        minibatch_kernels=minibatch_kernels,
    )
    return adversarial(judge)


def dcgan() -> AdversarialTask:
    """Build a DCGAN."""
    return adversarial(DCGANDiscriminator(width=16, **WORLD))


def adversarial(judge: Any) -> AdversarialTask:
    """Train the one generator against a discriminator, by the adversarial term alone."""
    return AdversarialTask(
        DCGANGenerator(width=16, code_size=16, latent_size=8, **WORLD),
        judge,
        loss=MultiScaleLoss(lp_weight=0.0),
        adversarial_weight=1.0,
        drawn_predictions=True,
        generator_optimizer=ADAM,
        discriminator_optimizer=ADAM,
    )


def svg() -> VariationalTask:
    """Build SVG with a fixed prior."""
    network = SVG(
        "fixed", width=16, code_size=16, hidden_size=32, predictor_layers=1, latent_size=4, **WORLD
    )
    return VariationalTask(network, beta=1e-4, optimizer=partial(Adam, lr=2e-3))


METHODS: dict[str, Callable[[], PredictionTask]] = {
    "GAN": gan,
    "GAN, minibatch discrimination": partial(gan, minibatch_kernels=16),
    "DCGAN": dcgan,
    "SVG-FP": svg,
}


def train(task: PredictionTask, batches: int, folder: Path) -> list[str]:
    """Train, and give the names of what the health monitor warned of."""
    data = EightDirectionsDataModule(
        SIDE,
        context_frames=CONTEXT,
        batch_size=BATCH,
        mixed_videos=BATCH,
        samples_per_epoch=BATCH * batches,
        num_workers=0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[TrainingHealth(every_n_batches=100, num_clips=32)],
    )
    trainer.fit(task, data)
    report = folder / "health.jsonl"
    lines = report.read_text().splitlines() if report.is_file() else []
    return sorted({json.loads(line)["symptom"] for line in lines})


@torch.no_grad()
def measure(predictor: Predictor, pasts: int = 8) -> tuple[dict[str, float], Tensor]:
    """Draw futures of several pasts; give the means of both measures and some of the first's."""
    levels = [(20 + 5 * k, 180 + 8 * k) for k in range(pasts)]
    worlds = [
        to_unit(
            render_directions(context_frames=CONTEXT, horizon=1, side=SIDE, ground=dark, disc=light)
        )
        for dark, light in levels
    ]
    modes = torch.stack(worlds, dim=1)  # (8, B, T, C, H, W)
    generator = torch.Generator().manual_seed(0)
    drawn = predictor.sample(modes[0, :, :CONTEXT], 1, num_samples=DRAWS, generator=generator)
    truth = modes[:, :, CONTEXT:]
    found = {
        "coverage": mode_coverage(drawn, truth).mean().item(),
        "diversity": future_diversity(drawn, truth).mean().item(),
        **best_of_k(drawn, truth),
    }
    return found, drawn[:SHOWN, 0, 0]


def best_of_k(drawn: Tensor, truth: Tensor) -> dict[str, float]:
    """Compare the best of K futures with the best point prediction, the mean of the true ones.

    Args:
        drawn: Shape (K, B, T, C, H, W) in [0, 1].
        truth: The eight futures of each past, shape (8, B, T, C, H, W).

    Returns:
        Mean PSNR in dB of the best of K and of the point prediction over all pasts and futures, the
        mean gain, and its interval of 95 % by 10,000 bootstrap draws over pasts.
    """
    mean = truth.mean(dim=0)
    best = torch.stack(
        [
            torch.stack([psnr(d, t, data_range=1.0).mean(1) for d in drawn]).amax(dim=0)
            for t in truth
        ]
    ).mean(dim=0)
    point = torch.stack([psnr(mean, t, data_range=1.0).mean(1) for t in truth]).mean(dim=0)
    gain = best - point
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(gain), (10_000, len(gain)), generator=generator)
    low, high = gain[chosen].mean(dim=1).quantile(torch.tensor([0.025, 0.975])).tolist()
    return {
        "best_of_k": best.mean().item(),
        "point_prediction": point.mean().item(),
        "gain": gain.mean().item(),
        "gain_low": low,
        "gain_high": high,
    }


def picture(rows: list[Tensor], scale: int = 4, gap: int = 4) -> Tensor:
    """Lay rows of frames (N, 1, H, W) out on white, uint8 (3, H', W')."""
    lines = []
    for row in rows:
        large = row.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
        framed = torch.nn.functional.pad(large, (0, gap, 0, gap), value=1.0)
        line = torch.cat(list(framed), dim=-1)
        missing = SHOWN * (SIDE * scale + gap) - line.shape[-1]
        lines.append(torch.nn.functional.pad(line, (0, missing), value=1.0))
    return unit_to_uint8(torch.cat(lines, dim=-2)).expand(3, -1, -1)


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("mode_collapse"))
    parser.add_argument("--batches", type=int, default=1500, help="for each method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    truth = to_unit(render_directions(context_frames=CONTEXT, horizon=1, side=SIDE))[:, CONTEXT]
    rows, results = [truth], {}
    for name in arguments.methods:
        pl.seed_everything(arguments.seed, verbose=False)
        task = METHODS[name]()
        began = time.perf_counter()
        symptoms = train(task, arguments.batches, arguments.output / name.replace(" ", "_"))
        seconds = time.perf_counter() - began
        found, shown = measure(task.predictor.eval())
        rows.append(shown)
        results[name] = {**found, "warnings": symptoms, "seconds": round(seconds, 1)}
        modes = found["coverage"] * DIRECTIONS
        print(
            f"{name}: {modes:.1f} of {DIRECTIONS} directions, diversity {found['diversity']:.2f}, "
            f"best of {DRAWS} {found['best_of_k']:.2f} dB, {found['gain']:+.2f} "
            f"[{found['gain_low']:+.2f}, {found['gain_high']:+.2f}] over the best point prediction",
            flush=True,
        )
    write_png(picture(rows), str(arguments.output / "futures.png"))
    facts = {
        "version": __version__,
        "processor": describe_processor(torch.device("cpu")),
        "batches": arguments.batches,
        "seed": arguments.seed,
        "draws": DRAWS,
        "methods": results,
    }
    (arguments.output / "results.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Scores of predicted frames: one value per clip and frame, and averages that keep time."""

from vidpred.metrics.frechet import frechet_distance
from vidpred.metrics.fvd import FVD, FVDProtocol
from vidpred.metrics.fvd_network import FVDNetwork
from vidpred.metrics.lpips import LPIPS, LPIPSNetwork, lpips
from vidpred.metrics.mode_coverage import future_diversity, mode_coverage
from vidpred.metrics.ms_ssim import MSSSIM, ms_ssim
from vidpred.metrics.psnr import PSNR, psnr
from vidpred.metrics.registry import METRICS, MetricInfo, metric_info
from vidpred.metrics.sharpness import Sharpness, sharpness
from vidpred.metrics.ssim import SSIM, ssim, ssim_map, ssim_of_map

__all__ = [
    "FVD",
    "LPIPS",
    "METRICS",
    "MSSSIM",
    "PSNR",
    "SSIM",
    "FVDNetwork",
    "FVDProtocol",
    "LPIPSNetwork",
    "MetricInfo",
    "Sharpness",
    "frechet_distance",
    "future_diversity",
    "lpips",
    "metric_info",
    "mode_coverage",
    "ms_ssim",
    "psnr",
    "sharpness",
    "ssim",
    "ssim_map",
    "ssim_of_map",
]

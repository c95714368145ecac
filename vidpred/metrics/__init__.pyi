from .frame_average import MSSSIM, PSNR, SSIM, Sharpness
from .frechet import frechet_distance
from .fvd import FVD, FVDProtocol
from .fvd_network import FVDNetwork
from .lpips import LPIPS, LPIPSNetwork, lpips
from .mode_coverage import future_diversity, mode_coverage
from .ms_ssim import ms_ssim
from .psnr import psnr
from .registry import METRICS, MetricInfo, metric_info
from .sharpness import sharpness
from .ssim import ssim, ssim_map, ssim_of_map

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

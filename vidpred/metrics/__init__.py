"""PSNR, SSIM and sharpness: one value per clip and frame, and averages that keep time."""

from vidpred.metrics.psnr import PSNR, psnr
from vidpred.metrics.sharpness import Sharpness, sharpness
from vidpred.metrics.ssim import SSIM, ssim

__all__ = ["PSNR", "SSIM", "Sharpness", "psnr", "sharpness", "ssim"]

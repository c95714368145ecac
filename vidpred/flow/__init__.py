"""Optical flow, and the masks of motion that are made of it."""

from vidpred.flow.colors import flow_motion_mask
from vidpred.flow.dis import DISFlow, described_estimator
from vidpred.flow.estimator import FlowEstimator
from vidpred.flow.masks import FrameDifferenceMask, MotionMask, OpticalFlowMask
from vidpred.flow.raft import RAFTFlow

__all__ = [
    "DISFlow",
    "FlowEstimator",
    "FrameDifferenceMask",
    "MotionMask",
    "OpticalFlowMask",
    "RAFTFlow",
    "described_estimator",
    "flow_motion_mask",
]

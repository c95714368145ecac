"""Video data sets: lists, training clips at random, whole evaluation clips."""

from vidpred.data.augmentation import ClipAugmentation
from vidpred.data.base import ClipDataModule
from vidpred.data.blocks import BlockPart, TrainingBlocks, TrainingStream
from vidpred.data.catalog import ClipSample, Listing, Split, Video, collate_clips
from vidpred.data.clip_stream import ClipStreamDataModule
from vidpred.data.digits_world import render_moving_digits
from vidpred.data.eight_directions import EightDirectionsDataModule, render_directions
from vidpred.data.entropy_floor import EntropyFloor, entropy_floor
from vidpred.data.evaluation_clips import EvaluationClips
from vidpred.data.kth import KTHDataModule
from vidpred.data.loading import BlockSampler, ClipLoader, TrainingLoader
from vidpred.data.moving_mnist import MovingMNISTDataModule
from vidpred.data.moving_shapes import MovingShapesDataModule, write_moving_shapes
from vidpred.data.options import ClipLengths
from vidpred.data.shapes_world import MOTIONS, Motion, render_moving_shapes
from vidpred.data.training_clips import TrainingClips
from vidpred.data.ucf101 import UCF101DataModule
from vidpred.data.video_folder import VideoFolderDataModule
from vidpred.video import read_clip

__all__ = [
    "MOTIONS",
    "BlockPart",
    "BlockSampler",
    "ClipAugmentation",
    "ClipDataModule",
    "ClipLengths",
    "ClipLoader",
    "ClipSample",
    "ClipStreamDataModule",
    "EightDirectionsDataModule",
    "EntropyFloor",
    "EvaluationClips",
    "KTHDataModule",
    "Listing",
    "Motion",
    "MovingMNISTDataModule",
    "MovingShapesDataModule",
    "Split",
    "TrainingBlocks",
    "TrainingClips",
    "TrainingLoader",
    "TrainingStream",
    "UCF101DataModule",
    "Video",
    "VideoFolderDataModule",
    "collate_clips",
    "entropy_floor",
    "read_clip",
    "render_directions",
    "render_moving_digits",
    "render_moving_shapes",
    "write_moving_shapes",
]

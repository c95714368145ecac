from .augmentation import ClipAugmentation
from .base import ClipDataModule
from .blocks import BlockPart, TrainingBlocks, TrainingStream
from .catalog import ClipSample, Listing, Split, Video, collate_clips
from .clip_stream import ClipStreamDataModule
from .digits_world import render_moving_digits
from .eight_directions import EightDirectionsDataModule, render_directions
from .entropy_floor import EntropyFloor, entropy_floor
from .evaluation_clips import EvaluationClips
from .kth import KTHDataModule
from .loading import BlockSampler, ClipLoader, EvaluationSet, TrainingLoader
from .moving_mnist import MovingMNISTDataModule
from .moving_shapes import MovingShapesDataModule, write_moving_shapes
from .options import ClipLengths
from .shapes_world import MOTIONS, Motion, render_moving_shapes
from .training_clips import TrainingClips
from .ucf101 import UCF101DataModule
from .video_folder import VideoFolderDataModule

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
    "EvaluationSet",
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
    "render_directions",
    "render_moving_digits",
    "render_moving_shapes",
    "write_moving_shapes",
]

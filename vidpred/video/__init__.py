"""Video files to uint8 tensors and back, by PyAV."""

from vidpred.video.decode import VideoInfo, check_clip, probe, read_clip, read_clip_array
from vidpred.video.encode import write_video

__all__ = ["VideoInfo", "check_clip", "probe", "read_clip", "read_clip_array", "write_video"]

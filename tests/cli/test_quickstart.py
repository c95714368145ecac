"""What a quickstart says when it is done."""

import shlex

from vidpred.cli.quickstart import predict_command


def test_the_command_after_a_quickstart_is_one_that_a_shell_takes() -> None:
    best = "my runs/quickstart/checkpoints/best.ckpt"
    words = shlex.split(predict_command(best))
    assert words == ["vidpred", "predict", "VIDEO", "--model", best, "--compare"]

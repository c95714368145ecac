"""The future of any video: from inputs of every kind to files, through a predictor."""

"""`python -m vidpred`: the command line where its script is not on the path."""

from vidpred.cli.main import run

run()

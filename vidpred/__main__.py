"""`python -m vidpred`: the command line where its script is not on the path."""

import sys

from vidpred.cli.main import main

sys.exit(main())

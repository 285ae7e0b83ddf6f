"""`python -m pyelt_provider.demo` does the same as `pyelt demo`."""

import sys

from pyelt_provider.demo.command import run

sys.exit(run(sys.argv[1:]))

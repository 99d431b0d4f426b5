"""The builder is a tool, so it lies beside the package and not in it."""

import sys

from support import ROOT

sys.path.append(str(ROOT / "tools"))

"""Measure the operator on a real control plane on this machine, and write `docs/benchmarks.md`.

The work is in the package `benchmark` beside this file.
"""

from benchmark.main import main

if __name__ == "__main__":
    main()

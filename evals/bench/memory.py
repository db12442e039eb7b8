"""How much memory a process took."""

import resource
import sys


def peak_mb() -> float:
    """Return the most memory this process ever had resident; the unit of `ru_maxrss` is the system's."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

"""The machine that computes."""

import platform
from pathlib import Path


def hardware() -> str:
    """Processor in one line, for the provenance of a timing."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

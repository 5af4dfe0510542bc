"""Where the lab is; importing this puts its modules, which students import by short names, on the path."""

from __future__ import annotations

import sys

from lumirage_lib.runs.profiles import project_root

LAB = project_root() / "notebooks" / "lab"
sys.path.insert(0, str(LAB))

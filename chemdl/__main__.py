"""``python -m chemdl``: the same as the command ``chemdl``."""

from __future__ import annotations

import sys

from chemdl.cli import main

if __name__ == "__main__":
    sys.exit(main())

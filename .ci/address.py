"""Write the repository's address into _config.yml and the chapters' set-up cells.

    python .ci/address.py https://github.com/OWNER/NAME    "" takes it out again

The book's buttons and the chapters on Colab need it; nobody else does.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+?(?=(?:\.git)?/?$)")


def main(arguments: list[str]) -> int:
    """Write the address and name the files that changed; 2 for what is no address."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    (url,) = arguments
    address = ADDRESS.match(url)
    if url and not address:
        print(f"{url!r} is not of the form https://github.com/OWNER/NAME", file=sys.stderr)
        return 2
    for path in write(Path.cwd(), address[0] if address else ""):
        print(path)
    return 0


def write(root: Path, address: str) -> list[Path]:
    """Write the address into the files of a checkout; return those that changed."""
    places = {root / "_config.yml": r'(?m)(?<=^  url: ")[^"\n]*(?=")'}
    chapters = sorted((root / "chapters").glob("*.ipynb"))
    places |= dict.fromkeys(chapters, r'(?<=repository = \\")[^"\\]*(?=\\")')
    changed = []
    for path, pattern in places.items():
        before = path.read_text(encoding="utf-8")
        after = re.sub(pattern, address, before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

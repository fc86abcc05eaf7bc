"""Run the campaigns whole, and write what they found: ``python -m benchmarks.campaigns [NAME…]``.

Each campaign runs as a command of its own. Its figures go to ``data/campaigns.json`` as soon as it
has ended, with date and versions; those of the campaigns that were not asked for stay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from chemdl.book.run import versions
from chemdl.book.trust_page import campaigns_file
from chemdl.files import write_atomically

# The last of what each prints is JSON: its figures.
COMMANDS = {
    "hostile": ["benchmarks.hostile"],
    "chapter kills": ["benchmarks.kill_chapter"],
    "recorder kills": ["benchmarks.kill_recorder"],
    "determinism": ["benchmarks.determinism"],
    "planted faults": ["benchmarks.planted"],
}


def figures_of(output: str) -> dict[str, Any]:
    """Return the JSON that a campaign's output ends with, from the line on where it begins."""
    lines = output.splitlines()
    start = max(i for i, line in enumerate(lines) if line.startswith("{"))
    return dict(json.loads("\n".join(lines[start:])))


def record(name: str, figures: dict[str, Any]) -> None:
    """Write a campaign's figures beside those of the others."""
    path = campaigns_file()
    found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    date = datetime.now(UTC).date().isoformat()
    found[name] = {"date": date, "versions": versions(), "figures": figures}
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def main() -> int:
    """Run the campaigns asked for; exit 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(COMMANDS)}")
    names = parser.parse_args().names or list(COMMANDS)
    if unknown := [name for name in names if name not in COMMANDS]:
        parser.error(f"there is no campaign {unknown[0]!r}; there are {', '.join(COMMANDS)}")
    failed = []
    for name in names:
        print(f"{name} …", flush=True)
        command = [sys.executable, "-m", *COMMANDS[name]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, flush=True)
        if done.returncode:
            failed.append(name)
        if "{" in done.stdout:
            record(name, figures_of(done.stdout))
    print(f"failed: {', '.join(failed)}" if failed else "all campaigns passed")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())

"""Make a release in dist/: the wheel, the source archive, the built site, and their SHA-256.

    python .ci/release.py check    say what speaks against a release
    python .ci/release.py build    make dist/ anew, from what is committed and from _build/html

The same commit and the same site give the same bytes: every date in the archives is the commit's.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run one of the two commands; 1 where something speaks against a release."""
    root = Path(__file__).resolve().parent.parent
    if arguments not in (["check"], ["build"]):
        print(__doc__, file=sys.stderr)
        return 2
    problems = refusals(root)
    if arguments == ["build"] and not (root / "_build" / "html" / "index.html").is_file():
        problems.append("the site is not built: make book")
    if problems:
        print("no release:", *problems, sep="\n  ", file=sys.stderr)
        return 1
    if arguments == ["build"]:
        for path in build(root, root / "dist"):
            print(path.relative_to(root))
    return 0


def version_of(root: Path) -> str:
    """Return the version; chemdl/__init__.py is its only source."""
    text = (root / "chemdl" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if not found:
        raise SystemExit('chemdl/__init__.py has no line __version__ = "…"')
    return found[1]


def refusals(root: Path) -> list[str]:
    """Return what speaks against releasing what stands in ``root``, one sentence each."""
    version, problems = version_of(root), []
    if changed := git(root, "status", "--porcelain"):
        names = ", ".join(line[2:].strip() for line in changed.splitlines()[:5])
        problems.append(f"not everything is committed: {names}")
    if not changes(root, version):
        problems.append(f"CHANGELOG.md says nothing under ## [{version}] - YYYY-MM-DD")
    cited = re.search(r"^version: (.+)$", (root / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    if not cited or cited[1] != version:
        problems.append(f"CITATION.cff does not have version: {version}")
    tagged = git(root, "rev-list", "-n1", f"v{version}", "--") if is_tag(root, version) else ""
    if tagged and tagged != git(root, "rev-parse", "HEAD"):
        problems.append(f"v{version} is another commit: raise __version__ in chemdl/__init__.py")
    return problems


def changes(root: Path, version: str) -> str:
    """Return what CHANGELOG.md says of a version, "" where it says nothing."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    heading = re.compile(rf"\[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}\n(.*)", re.DOTALL)
    return next((found[1].strip() for part in sections if (found := heading.match(part))), "")


def build(root: Path, target: Path) -> list[Path]:
    """Make ``target`` anew with the four files of a release, and return them."""
    epoch = int(git(root, "log", "-1", "--format=%ct"))
    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    # Without isolation: the tools are those that constraints.txt pins, and no network is asked.
    # The wheel is built from the source archive, which shows that this is whole.
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(root)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    site = target / f"chemdl-{version_of(root)}-site.tar.gz"
    pack(root / "_build" / "html", site, epoch)
    return [*sorted(target.iterdir()), write_sums(target)]


def pack(folder: Path, archive: Path, epoch: int) -> None:
    """Pack a folder so that the same files give the same bytes, whoever packs them and when."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uid, member.gid = epoch, 0, 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    name = archive.name.removesuffix(".tar.gz")
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        # tarfile goes through folders in order of their names.
        tar.add(folder, arcname=name, filter=plain)


def write_sums(folder: Path) -> Path:
    """Write SHA256SUMS, as `sha256sum --check` reads it."""
    lines = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.name}\n")
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(lines), encoding="utf-8")
    return sums


def is_tag(root: Path, version: str) -> bool:
    """Say whether the version was released before."""
    return bool(git(root, "tag", "--list", f"v{version}"))


def git(root: Path, *arguments: str) -> str:
    """Return what git says."""
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Install this project into the environment whose Python runs this file.

    python .ci/install.py --editable '.[book,dev]'

uv does it: from an empty cache it took 20 s where pip took 94 to 117 (Python 3.11, the CPU build of
torch, two cores), and where versions cannot agree it says which. What that leaves to do here:

- uv reads nothing of pip's configuration. A machine whose index, local wheels or certificate are
  named there would be lost, so they are handed on.
- pip looks at all its indexes and takes the best version; uv stops at the first that has the
  package, unless it is told otherwise.
- Source archives are built in isolation, each with the build tools that it asks for itself. An
  environment need not have any, and what it has must not decide whether an installation works.
- constraints.txt is the one place of pins. A lock file would write the addresses of one index for
  everybody, and the CPU build of torch has another one.
- Where uv cannot be had (a rare platform, an index without it), pip does the same, slowly.

Only the standard library is needed, and the pip that this Python brings.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
REMEDY = (
    "The installation failed; the lines above say where. If no package index was reached, name "
    "yours in PIP_INDEX_URL (or in pip's configuration), then call the same command again."
)
# What pip calls a setting, and what uv calls the variable for it.
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
}
# And those for which uv has an option alone.
OPTIONS = {"no-index": "--no-index", "pre": "--prerelease=allow"}
CHOICES = {"only-binary": "--only-binary", "no-binary": "--no-binary"}
# With these an environment's own build tools would be used; see above.
NO_ISOLATION = ("PIP_NO_BUILD_ISOLATION", "UV_NO_BUILD_ISOLATION", "UV_NO_BUILD_ISOLATION_PACKAGE")


class Failed(Exception):
    """A step failed, and what it printed says why."""


def pip_settings() -> dict[str, str]:
    """Return what pip is configured to use, from all its files and variables, by its own rules.

    pip merges its files itself; of the sections, a later one here overrides an earlier one.
    """
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=False)
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in sections:
            key = key.replace("_", "-").replace("default-timeout", "timeout")
            sections[section][key] = " ".join(str(ast.literal_eval(value)).split())
    merged = {**sections["global"], **sections["install"], **sections[":env:"]}
    return {key: value for key, value in merged.items() if value}


def print_settings() -> None:
    """Print the settings that uv is handed as pip's own variables, each ended by a zero byte."""
    handed = {*VARIABLES, *OPTIONS, *CHOICES}
    for key, value in pip_settings().items():
        if key in handed:
            print(f"PIP_{key.upper().replace('-', '_')}={value}", end="\0")


def is_on(value: str) -> bool:
    """Tell whether pip takes this value for a yes."""
    return value.lower() in ("1", "true", "yes", "on", "y", "t")


def uv_variables(settings: dict[str, str]) -> dict[str, str]:
    """Return pip's settings as the variables that uv reads; what uv is told itself comes first."""
    handed = {VARIABLES[key]: value for key, value in settings.items() if key in VARIABLES}
    if "UV_FIND_LINKS" in handed:  # the one list that uv parts at commas
        handed["UV_FIND_LINKS"] = handed["UV_FIND_LINKS"].replace(" ", ",")
    if {"UV_INDEX_URL", "UV_EXTRA_INDEX_URL"} & set(os.environ):  # uv's older names
        handed.pop("UV_DEFAULT_INDEX", None)
        handed.pop("UV_INDEX", None)
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **handed, **os.environ}


def uv_options(settings: dict[str, str]) -> list[str]:
    """Return pip's settings for which uv reads no variable."""
    options = [option for key, option in OPTIONS.items() if is_on(settings.get(key, ""))]
    for key, option in CHOICES.items():
        options += [f"{option}={name}" for name in settings.get(key, "").replace(",", " ").split()]
    return options


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command; what it prints is shown as it comes."""
    kept = {key: value for key, value in environment.items() if key not in NO_ISOLATION}
    if subprocess.run(command, env=kept, check=False).returncode:
        raise Failed


def has_pip() -> bool:
    """Tell whether this environment has pip; give it the one that Python brings if not."""
    if importlib.util.find_spec("pip"):
        return True
    ensure = [sys.executable, "-m", "ensurepip"]
    return subprocess.run(ensure, capture_output=True, check=False).returncode == 0


def has_uv() -> bool:
    """Install the pinned uv into this environment, and tell whether it is there."""
    lines = CONSTRAINTS.read_text("utf-8").splitlines()
    found = importlib.metadata.distributions(name="uv")
    if any(f"uv=={each.version}" in lines for each in found):
        return True
    command = [*PIP, "install", "-qq", "--constraint", str(CONSTRAINTS), "uv"]
    if not subprocess.run(command, capture_output=True, check=False).returncode:
        return True
    print("uv cannot be had here: pip does its work, which takes minutes longer")
    return False


def installer(uv: bool, pins: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command that installs requirements, and the environment that it runs in."""
    if not uv:
        return [*PIP, "install", "-qq", *pins], dict(os.environ)
    settings = pip_settings()
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet"]
    command += ["--python", sys.executable]
    # Where Python may store no bytecode, each chapter would compile torch again; elsewhere the
    # first import stores what it needs, in less time than it takes to compile everything.
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        command.append("--compile-bytecode")
    return [*command, *uv_options(settings), *pins], uv_variables(settings)


def install_torch(command: list[str], environment: dict[str, str], index: str) -> None:
    """Install torch alone, from an index that need not have anything else.

    What it needs comes with the rest, and the rest keeps it. With the plain index this would not
    do: that torch does not import without the CUDA packages that it asks for.
    """
    others = ("UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
    others += ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
    alone = {key: value for key, value in environment.items() if key not in others}
    alone |= {"UV_DEFAULT_INDEX": index, "PIP_INDEX_URL": index}
    import tomllib  # not before Python 3.11, and an environment of conda may be older

    needs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    (torch,) = (need for need in needs if need.startswith("torch>"))
    run([*command, "--no-deps", torch], alone)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Install this project into this environment.")
    parser.add_argument("requirements", nargs="*", help="for instance '.[book,dev]'")
    parser.add_argument("--editable", action="store_true", help="'.[…]' stays where it is")
    parser.add_argument("--torch-index", default="", help="an index for torch alone")
    parser.add_argument(
        "--unpinned",
        choices=["highest", "lowest-direct"],
        help="the versions that the requirements admit, in place of the pinned ones",
    )
    parser.add_argument(
        "--settings", action="store_true", help="only print pip's settings, as its variables"
    )
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    if wanted.settings:
        print_settings()
        return 0
    if not has_pip():
        sys.exit(f"{sys.executable} has no pip, and no ensurepip to get it: install pip for it")
    began = time.monotonic()
    uv = has_uv()
    if wanted.unpinned and not uv:
        sys.exit("versions other than the pinned ones are chosen by uv alone")
    pinned = ["--constraint", str(CONSTRAINTS)]
    versions = ["--resolution", wanted.unpinned] if wanted.unpinned else pinned
    command, environment = installer(uv, versions)
    print(f"Installing {' '.join(wanted.requirements)} with {'uv' if uv else 'pip'}: minutes, once")
    try:
        if wanted.torch_index:
            install_torch(command, environment, wanted.torch_index)
        editable = ["--editable"] if wanted.editable else []
        run([*command, *editable, *wanted.requirements], environment)
    except Failed:
        sys.exit(REMEDY)
    print(f"Installed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

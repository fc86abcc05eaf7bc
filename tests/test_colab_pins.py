"""The versions that Colab publishes are read whole, or the weekly run stops."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

# As Colab's pip-freeze.txt of August 2026 has them.
FREEZE = """\
# Do not modify this file directly
en_core_web_sm @ https://example.org/en_core_web_sm-3.8.0/en_core_web_sm-3.8.0-py3-none-any.whl#sha256=19
google-colab @ file:///colabtools/dist/google_colab-1.0.0.tar.gz
jupyter_kernel_gateway @ git+https://example.org/kernel_gateway@b134e9945df25c2dcb98ade9129399be10788671
nvidia-nccl-cu13==2.31.2
PyYAML==6.0.3
torch @ https://example.org/whl/cpu/torch-2.11.0%2Bcpu-cp313-cp313-manylinux_2_28_x86_64.whl
torchaudio==2.11.0+cu128
"""


@pytest.fixture(scope="module")
def colab_pins(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("colab_pins", root / ".ci" / "colab_pins.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def published(colab_pins: ModuleType, tmp_path: Path) -> Path:
    """A folder as Colab publishes it, for the Python that runs."""
    versions = [f"{name}==1.0" for name in colab_pins.EXPECTED if name != "torch"]
    (tmp_path / "pip-freeze.txt").write_text(FREEZE + "\n".join(versions), encoding="utf-8")
    python = ".".join(map(str, sys.version_info[:3]))
    (tmp_path / "os-info.txt").write_text(f"Ubuntu 22.04.5 LTS\nPython {python}\nR version 4.6.1\n")
    return tmp_path


def script(root: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / ".ci" / "colab_pins.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_pins_and_addresses_give_versions(colab_pins: ModuleType) -> None:
    assert colab_pins.read_pins(FREEZE) == {
        "en-core-web-sm": "3.8.0",
        "google-colab": "1.0.0",
        "pyyaml": "6.0.3",
        "torch": "2.11.0",
        "torchaudio": "2.11.0",
    }


@pytest.mark.parametrize(
    "line",
    [
        "torch @ https://example.org/whl/cpu/latest",
        "torch @ file:///wheels/torch.whl",
        "torch>=2.11",
        "torch",
        "-e git+https://example.org/torch#egg=torch",
        "Error: no such option",
    ],
)
def test_a_line_that_cannot_be_read_stops_the_run(colab_pins: ModuleType, line: str) -> None:
    with pytest.raises(colab_pins.UnreadableError, match="cannot be read"):
        colab_pins.read_pins(f"{FREEZE}{line}\n")


def test_what_chemdl_asks_for_by_name_is_printed(root: Path, published: Path) -> None:
    done = script(root, published, "--needed")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert {"torch==2.11.0", "pyyaml==6.0.3", "ipykernel==1.0", "requests==1.0"} <= set(lines)
    assert "torchaudio==2.11.0" not in lines
    assert "torchaudio==2.11.0" in script(root, published).stdout.splitlines()


def test_a_package_that_colab_has_lost_stops_the_run(root: Path, published: Path) -> None:
    freeze = published / "pip-freeze.txt"
    freeze.write_text(freeze.read_text().replace("scipy==1.0", ""))
    done = script(root, published)
    assert done.returncode == 1
    assert done.stderr == "colab_pins: Colab's list has no scipy\n"


def test_another_python_stops_the_run(root: Path, published: Path) -> None:
    (published / "os-info.txt").write_text("Python 3.99.1\n")
    assert "Colab has Python 3.99, this is" in script(root, published).stderr
    (published / "os-info.txt").write_text("Ubuntu\n")
    assert "no line of os-info.txt names Python" in script(root, published).stderr


def test_the_bounds_admit_what_colab_has(root: Path, colab_pins: ModuleType) -> None:
    has = {
        "ipykernel": "6.17.1",
        "joblib": "1.5.3",
        "matplotlib": "3.10.0",
        "numpy": "2.1.3",
        "pandas": "2.2.3",
        "scikit-learn": "1.6.1",
        "scipy": "1.16.3",
        "torch": "2.11.0",
    }
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["run"]]
    required = {colab_pins.canonical(r.name): r.specifier for r in map(Requirement, lines)}
    assert [name for name, version in has.items() if version not in required[name]] == []

"""The installer hands on to uv what pip is configured to use: .ci/install.py."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / ".ci" / "install.py"
CONFIGURED = """
[global]
index-url = https://mirror.example.org/simple
extra-index-url =
    https://one.example.org/simple
    https://two.example.org/simple
find-links = /somewhere/wheels
timeout = 20
[install]
timeout = 30
no-binary = thing,other
[download]
index-url = https://elsewhere.example.org/simple
"""


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine whose one configuration of pip is the file that is returned."""

    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "XDG_")) or name.endswith(("_PROXY", "SSL_CERT_FILE")):
            monkeypatch.delenv(name)
    file = tmp_path / "pip.conf"
    file.write_text(CONFIGURED, encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    return file


def test_settings_come_from_the_file_and_variables_win(install, machine, monkeypatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/other/wheels /more")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "40")
    settings = install.pip_settings()
    assert settings["index-url"] == "https://mirror.example.org/simple"
    assert settings["find-links"] == "/other/wheels /more"
    assert settings["timeout"] == "40"


def test_uv_is_handed_what_pip_would_use(install, machine) -> None:
    settings = install.pip_settings()
    variables = install.uv_variables(settings)
    assert variables["UV_DEFAULT_INDEX"] == "https://mirror.example.org/simple"
    assert variables["UV_INDEX"] == "https://one.example.org/simple https://two.example.org/simple"
    assert variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert variables["UV_FIND_LINKS"] == "/somewhere/wheels"
    assert variables["UV_HTTP_TIMEOUT"] == "30"
    assert install.uv_options(settings) == ["--no-binary=thing", "--no-binary=other"]


def test_what_uv_is_told_itself_comes_first(install, machine, monkeypatch) -> None:
    monkeypatch.setenv("UV_INDEX_URL", "https://own.example.org/simple")
    variables = install.uv_variables(install.pip_settings())
    assert "UV_DEFAULT_INDEX" not in variables
    assert variables["UV_INDEX_URL"] == "https://own.example.org/simple"


def commands(install: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str) -> list:
    """Return the commands that an installation calls, without calling them."""
    called = []
    monkeypatch.setattr(
        install, "run", lambda command, variables: called.append((command, variables))
    )
    monkeypatch.setattr(sys, "argv", ["install.py", *words])
    assert install.main() == 0
    return called


def test_torch_comes_alone_from_its_own_index(install, machine, monkeypatch) -> None:
    monkeypatch.setattr(install, "has_uv", lambda: True)
    index = "https://cpu.example.org/whl"
    torch, rest = commands(install, monkeypatch, "--torch-index", index, "--editable", ".[run]")
    assert torch[0][-2] == "--no-deps" and torch[0][-1].startswith("torch>=")
    assert torch[1]["UV_DEFAULT_INDEX"] == index
    assert {"UV_INDEX", "UV_FIND_LINKS"}.isdisjoint(torch[1])
    assert rest[0][-2:] == ["--editable", ".[run]"]
    assert rest[1]["UV_DEFAULT_INDEX"] == "https://mirror.example.org/simple"
    for command, _ in (torch, rest):
        assert command[command.index("--constraint") + 1] == str(install.CONSTRAINTS)


def test_without_uv_pip_does_it_and_a_line_says_so(install, machine, monkeypatch, capsys) -> None:
    monkeypatch.setattr(install, "PIP", (sys.executable, "-c", "raise SystemExit(1)"))
    monkeypatch.setattr(install.importlib.metadata, "distributions", lambda name: [])
    ((command, _),) = commands(install, monkeypatch, "--editable", ".")
    assert "uv" not in command and "--constraint" in command
    assert "uv cannot be had here" in capsys.readouterr().out


def test_isolation_cannot_be_switched_off_by_a_variable(install, monkeypatch, capfd) -> None:
    show = "import os; print(sorted(set(os.environ) & {'PIP_NO_BUILD_ISOLATION', 'PATH'}))"
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")

    install.run([sys.executable, "-c", show], dict(os.environ))
    assert capfd.readouterr().out == "['PATH']\n"


@pytest.mark.parametrize("version", ["3.11.2", "3.12", "3.13"])
def test_the_pins_agree_on_every_python(install, version, tmp_path) -> None:
    """3.11.2 is Debian 12's own; a pin that refuses it was not seen on a later 3.11."""
    pytest.importorskip("uv", reason="uv is not installed: make setup")
    extras = re.search(r"^EXTRAS := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert extras
    words = [word for name in extras[1].split(",") for word in ("--extra", name)]
    words += ["--constraint", "constraints.txt", "--python-version", version]
    words += ["--output-file", str(tmp_path / "pins.txt")]
    done = subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", "pip", "compile", "pyproject.toml", *words],
        cwd=ROOT,
        env=install.uv_variables(install.pip_settings()),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if re.search("error sending request|dns error", done.stderr):
        pytest.skip(f"no package index can be reached here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr


def test_a_failure_ends_with_a_remedy(install, machine, monkeypatch) -> None:
    def fail(*_):
        raise install.Failed

    monkeypatch.setattr(install, "has_uv", lambda: True)
    monkeypatch.setattr(install, "run", fail)
    monkeypatch.setattr(sys, "argv", ["install.py", "--editable", "."])
    with pytest.raises(SystemExit, match=r"^The installation failed.+PIP_INDEX_URL"):
        install.main()

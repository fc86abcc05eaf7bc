"""Execute chapters with papermill, each in its own process."""

from __future__ import annotations

import ast
import fnmatch
import io
import json
import logging
import platform
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import joblib

from chemdl.book import fingerprint, kernel
from chemdl.book.output import chapter_cards, fresh_output
from chemdl.extras import advice, installed_version
from chemdl.files import chapters_dir, write_atomically
from chemdl.registry import UnknownNameError
from chemdl.settings import Settings, read_settings
from chemdl.threads import cores

RECORDED_PACKAGES = (
    "chemdl",
    "deepchem",
    "numpy",
    "papermill",
    "rdkit",
    "scikit-learn",
    "scipy",
    "torch",
)
# What a chapter may need beyond the packages of the extra ``run``.
_BROUGHT_BY = {"deepchem": "deepchem", "pymatgen": "materials", "xgboost": "xgboost"}


class UnknownChapterError(ValueError):
    """A chapter that does not exist; the message lists similar names."""


class BrokenNotebookError(ValueError):
    """A file that is no notebook."""


class UnknownParameterError(ValueError):
    """A parameter that the chapter does not have; the message lists similar names."""


class ChapterFailedError(RuntimeError):
    """A chapter whose cell raised, or whose kernel died.

    ``chapter`` is its name, ``cell`` the number of the cell, counted from 1 over all cells of the
    chapter's file (``None`` when the kernel died between cells), ``traceback`` what it printed.
    """

    def __init__(self, chapter: str, cell: int | None, traceback: str) -> None:
        self.chapter = chapter
        self.cell = cell
        self.traceback = traceback
        where = f"in cell {cell}" if cell else "outside its cells"
        super().__init__(f"chapter {chapter!r} failed {where}:\n{traceback}")

    def __reduce__(self) -> tuple[type, tuple[str, int | None, str]]:
        """Let it cross from the process that ran the chapter."""
        return type(self), (self.chapter, self.cell, self.traceback)


@dataclass(frozen=True)
class ChapterRun:
    """The outcome of running one chapter.

    ``studies`` name the cards it wrote, ``unchanged`` says that an earlier run with the same key
    was kept.
    """

    chapter: str
    notebook: Path
    seconds: float
    studies: tuple[str, ...]
    unchanged: bool = False


def chapter_name(file: str | Path) -> str:
    """Return a chapter's name: its file's, without number and ending.

    >>> chapter_name("chapters/03-toxicity.ipynb")
    'toxicity'
    """
    return re.sub(r"^\d+-", "", Path(file).stem)


def chapter_files(folder: Path | None = None) -> dict[str, Path]:
    """Return the notebooks of ``folder`` by name, in reading order.

    Without a folder they are those of :func:`chemdl.files.chapters_dir`.
    """
    found = sorted((folder or chapters_dir()).glob("[!.]*.ipynb"))
    return {chapter_name(path): path for path in found}


def find_chapter(chapter: str | Path) -> Path:
    """Return the notebook that a name (``toxicity``), a file name or a path stands for.

    Raises
    ------
    UnknownChapterError
        If there is no such chapter; the message lists similar names.
    """
    path = Path(chapter)
    if path.suffix == ".ipynb" and path.is_file():
        return path.resolve()
    known = chapter_files()
    name = chapter_name(path) if path.suffix in ("", ".ipynb") else str(chapter)
    if name in known and (path.name == str(path) or path.suffix != ".ipynb"):
        return known[name]
    raise UnknownChapterError(str(UnknownNameError("chapter", str(chapter), known)))


def run_chapters(
    chapters: Iterable[str | Path],
    profile: str = "quick",
    seed: int = 0,
    device: str = "auto",
    output: str | Path | None = None,
    *,
    models: Sequence[str] | str | None = None,
    repeats: int | None = None,
    trials: int | None = None,
    skip_unchanged: bool = False,
    workers: int = 1,
    **parameters: Any,
) -> list[ChapterRun]:
    """Run chapters and return the outcome of each, in the order given.

    Parameters
    ----------
    chapters
        Names (``toxicity``) or paths of notebooks.
    profile, seed, device, models, repeats, trials
        As in :class:`chemdl.settings.Settings`.
    output
        Folder for the executed notebooks, cards and replicas; by default ``_build/runs/<profile>``
        in a checkout, else ``chemdl-output/<profile>``.
    skip_unchanged
        Whether to keep an earlier run in ``output`` whose key (sources, data records, seed,
        profile, versions) is the same.
    workers
        How many chapters run at the same time, each in a process of its own.
    parameters
        Any other parameter that the chapters declare in their parameters cell.

    Raises
    ------
    UnknownChapterError
        For a chapter that does not exist; raised before anything runs.
    UnknownParameterError
        For a parameter that a chapter does not have; raised before anything runs.
    chemdl.settings.SettingsError
        For a value that a parameter cannot take, or a model that neither the registry nor a chapter
        names; raised before anything runs.
    BrokenNotebookError
        For a file that is no notebook; raised before anything runs.
    chemdl.book.output.BusyFolderError
        If another run of the chapter is at work in ``output``.
    ChapterFailedError
        If a chapter fails; chapters that have not begun do not run, and its unfinished study leaves
        no card. If it wrote none at all, those of the run before are there again.
    """
    notebooks = [find_chapter(chapter) for chapter in chapters]
    given = {"profile": profile, "seed": seed, "device": device, "output": str(output or "")}
    optional = {"models": models, "repeats": repeats, "trials": trials}
    given |= {name: value for name, value in optional.items() if value is not None}
    checked = read_settings(given)
    given["output"] = str(checked.output)
    given["device"] = checked.device
    for notebook in notebooks:
        check_parameters(notebook, [*given, *parameters])
    if checked.models != ("all",):
        _check_models(checked.models, notebooks)
    if workers == 1:
        return [
            _run(notebook, given | parameters, checked, skip_unchanged) for notebook in notebooks
        ]
    calls = (
        joblib.delayed(_run)(notebook, given | parameters, checked, skip_unchanged)
        for notebook in notebooks
    )
    # One at a time is handed out, so that a chapter of minutes keeps no other waiting behind it.
    return list(joblib.Parallel(n_jobs=workers, batch_size=1, pre_dispatch=workers)(calls))


def check_parameters(notebook: Path, names: Iterable[str]) -> None:
    """Refuse names that neither the chapter's parameters cell nor the settings know.

    papermill itself takes any name and only logs that it is unknown.
    """
    import papermill

    read_notebook(notebook)
    try:
        declared = set(papermill.inspect_notebook(notebook))
    except ValueError as error:
        raise BrokenNotebookError(
            f"{notebook} does not say its kernel and language; save it once in Jupyter with a "
            "kernel of Python"
        ) from error
    known = declared | {field.name for field in fields(Settings)}
    for name in names:
        if name not in known:
            chapter = chapter_name(notebook)
            raise UnknownParameterError(f"{chapter}: {UnknownNameError('parameter', name, known)}")


def read_notebook(path: Path) -> Any:
    """Read a notebook file.

    Raises
    ------
    BrokenNotebookError
        If it is no notebook; the message names the file.
    """
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else "empty"
        raise BrokenNotebookError(
            f"{path} is no notebook ({type(error).__name__}: {reason}); open it in Jupyter, or "
            "take it from the repository again"
        ) from error
    return notebook


def _check_models(asked: Sequence[str], notebooks: Iterable[Path]) -> None:
    """Refuse a model that neither the registry, nor a claim, nor a text in a chapter names."""
    from chemdl.evidence.design import check_models_asked

    texts = set()
    for notebook in notebooks:
        for cell in read_notebook(notebook).cells:
            if cell.cell_type != "code":
                continue
            try:
                nodes = list(ast.walk(ast.parse(cell.source)))
            except SyntaxError:  # with commands of IPython
                texts |= set(re.findall(r"[\"']([^\"']+)[\"']", cell.source))
                continue
            if any(isinstance(node, ast.JoinedStr) for node in nodes):
                texts |= set(_made_names(asked, nodes))
            texts |= {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    check_models_asked(asked, texts & set(asked))


def _made_names(asked: Sequence[str], nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that a chapter's formatted texts may give: ``f"{name}_sequence"``."""
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [str(v.value) if isinstance(v, ast.Constant) else "*" for v in node.values]
            if re.fullmatch(r"[\w*]*\w{3}[\w*]*", pattern := "".join(parts)):
                yield from fnmatch.filter(asked, pattern)


def read_run(output: Path, chapter: str) -> dict[str, Any] | None:
    """Return the record of the chapter's last finished run in ``output``, if there is one."""
    path = output / f"{chapter}.run.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (ValueError, RecursionError):
        found = None  # cut off or altered: then it is as if there were none
    return found if isinstance(found, dict) else None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {package: installed_version(package) for package in RECORDED_PACKAGES}
    present = {package: version for package, version in found.items() if version}
    return {"python": platform.python_version(), **present}


def _run(
    notebook: Path, parameters: dict[str, Any], checked: Settings, skip_unchanged: bool
) -> ChapterRun:
    chapter, output = chapter_name(notebook), checked.output
    key = fingerprint.run_key(notebook, parameters, versions())
    executed = output / notebook.name
    before = read_run(output, chapter)
    if (
        skip_unchanged
        and before
        and before.get("key") == key
        and _is_whole(output, before, executed)
    ):
        return ChapterRun(chapter, executed, before["seconds"], tuple(before["studies"]), True)
    with fresh_output(output, chapter):
        began, started = time.time(), time.perf_counter()
        _execute(notebook, executed, parameters, chapter)
        seconds = round(time.perf_counter() - started, 2)
        studies = tuple(sorted(chapter_cards(output, chapter)))
    record = {
        "schema_version": 1,
        "chapter": chapter,
        "file": notebook.name,
        "key": key,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": {name: value for name, value in parameters.items() if name != "output"},
        "seconds": seconds,
        "resumed": any(_replicas_before(began, output / "replicas", studies)),
        "studies": list(studies),
        "versions": versions(),
        "machine": _machine(checked.device),
    }
    with write_atomically(output / f"{chapter}.run.json") as path:
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return ChapterRun(chapter, executed, seconds, studies)


def _replicas_before(moment: float, folder: Path, studies: Iterable[str]) -> Iterator[Path]:
    """Yield the replicas of these studies that were stored before: they were not computed anew."""
    for study in studies:
        yield from (p for p in (folder / study).glob("*.npz") if p.stat().st_mtime < moment)


def _machine(device: str) -> dict[str, str | int]:
    return {
        "device": device,
        "threads": cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _execute(notebook: Path, executed: Path, parameters: Mapping[str, Any], chapter: str) -> None:
    """Execute ``notebook`` into ``executed``; a failed one is written too, to be looked at."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    manager = kernel.kernel_manager(kernel.kernel_environment())
    # It warns of each parameter that is not in the cell; check_parameters has refused unknown ones.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    failure: ChapterFailedError | None = None
    with write_atomically(executed) as written:
        try:
            papermill.execute_notebook(
                str(notebook),
                str(written),
                dict(parameters),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stderr_file=sys.stderr if sys.stderr.isatty() else _FinishedLines(sys.stderr),
                request_save_on_cell_execute=False,
                kernel_manager_class=manager,
            )
        except PapermillExecutionError as error:
            failure = ChapterFailedError(chapter, _cell_number(notebook, error), _text(error))
        except DeadKernelError as error:
            reason = f"{error}. A kernel that dies without a word has often run out of memory."
            raise ChapterFailedError(chapter, None, reason) from error
    if failure:
        raise failure


class _FinishedLines(io.TextIOBase):
    """A stream that hands on whole lines, each as a terminal would show it in the end.

    A progress bar is redrawn after each carriage return; a log needs only its last state.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.pending = stream, ""

    def write(self, text: str) -> int:
        *lines, self.pending = (self.pending + text).split("\n")
        for line in lines:
            if shown := line.rsplit("\r", 1)[-1].strip():
                print(shown, file=self.stream)
        return len(text)


def _cell_number(notebook: Path, error: Any) -> int:
    """Return the failed cell's number in the source file, which lacks the injected cell."""
    cells = read_notebook(notebook).cells
    tagged = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    injected_before = 1 if error.cell_index > (tagged[0] if tagged else -1) else 0
    return int(error.cell_index) + 1 - injected_before


def _text(error: Any) -> str:
    lines = "\n".join(error.traceback) or f"{error.ename}: {error.evalue}"
    missing = re.match(r"No module named '(\w+)", str(error.evalue))
    if missing and (extra := _BROUGHT_BY.get(missing[1])):
        lines += f"\n{advice(extra)}"
    return re.sub(r"\x1b\[[0-9;]*m", "", lines)


def _is_whole(output: Path, record: Mapping[str, Any], executed: Path) -> bool:
    present = set(chapter_cards(output, record["chapter"]))
    return executed.is_file() and set(record["studies"]) <= present

"""What a page keeps of an executed chapter, and what only concerned the run."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from chemdl.book.notebooks import clean_output, run_facts, write_clean_copy

RUN = {
    "parameters": {"profile": "quick"},
    "seconds": 41.6,
    "resumed": False,
    "machine": {"device": "cpu", "threads": 2, "system": "Linux"},
}


def stream(text: str, name: str = "stdout"):
    return new_output("stream", text=text, name=name)


@pytest.fixture
def page(tmp_path):
    notebook = new_notebook()
    notebook.metadata.papermill = {"input_path": "/somewhere/else.ipynb"}
    notebook.metadata.widgets = {"state": {}}
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    figure = new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure>"})
    notebook.cells = [
        new_markdown_cell("# Title"),
        new_code_cell("profile = 'quick'", metadata={"tags": ["parameters"]}),
        new_code_cell("output = '/secret'", metadata={"tags": ["injected-parameters"]}),
        new_code_cell("install()", metadata={"tags": ["setup"]}, outputs=[stream("torch 2")]),
        new_code_cell("run()", metadata={"papermill": {"duration": 1}}, outputs=[figure]),
        new_code_cell("warn()", outputs=[stream("/home/x.py:1: UserWarning", "stderr")]),
    ]
    executed, target = tmp_path / "executed.ipynb", tmp_path / "page.ipynb"
    nbformat.write(notebook, executed)
    write_clean_copy(executed, target, RUN)
    nbformat.validate(json.loads(target.read_text()))
    return nbformat.read(target, as_version=4)


def test_injected_parameters_are_taken_out(page):
    assert "/secret" not in json.dumps(page)
    assert "profile = 'quick'" in [cell.source for cell in page.cells]


def test_papermills_notes_and_widget_states_are_taken_out(page):
    assert set(page.metadata) == {"kernelspec"}
    assert all("papermill" not in cell.metadata for cell in page.cells)


def test_the_setup_cell_is_folded_and_loses_its_output(page):
    setup = next(cell for cell in page.cells if cell.source == "install()")
    assert setup.outputs == [] and "hide-input" in setup.metadata["tags"]


def test_figures_stay_and_messages_go(page):
    by_source = {cell.source: cell for cell in page.cells}
    assert "image/png" in by_source["run()"].outputs[0].data
    assert by_source["warn()"].outputs == []


def test_the_seconds_stand_under_the_title(page):
    assert page.cells[0].source == "# Title"
    assert "Run in profile `quick`: 42 seconds on 2 CPU threads." in page.cells[1].source


def test_a_gpu_and_stored_replicas_are_named():
    run = RUN | {"resumed": True, "machine": {"device": "cuda", "threads": 2}}
    assert "on a GPU, with replicas stored before." in run_facts(run)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n", "plain\n"),
        ("10%|█    | 1/9\r100%|█████| 9/9 [00:01<00:00, 5.5it/s]\nAUC 0.81\n", "\nAUC 0.81\n"),
        ("tox21:  78%|███████▊  | 7/9 [00:01<00:00,  4.32replica/s]\n", None),
        ("first\rsecond", "second"),
        ("1%|█\n", None),
        ("a 50% share | b\n", "a 50% share | b\n"),
    ],
)
def test_progress_bars_are_taken_out_of_printed_text(text, shown):
    kept = clean_output(stream(text))
    assert (kept.text.lstrip("\n") if kept else None) == (shown.lstrip("\n") if shown else None)


def test_widgets_are_not_shown():
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "bar"}
    assert clean_output(new_output("display_data", data=widget)) is None

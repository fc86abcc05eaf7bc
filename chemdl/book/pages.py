"""The pages that are made from records: what was found, the ledger, data sets, runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chemdl import data as datasets
from chemdl.book import ledger_page, rule_page, trust_page
from chemdl.book.markdown import escape, table
from chemdl.book.run import chapter_name, read_run
from chemdl.evidence.ledger import ledger_rows
from chemdl.evidence.result import find_results


def write_pages(source: Path, output: Path, chapters: Sequence[str]) -> None:
    """Write the generated pages into ``source``."""
    rows = ledger_rows(output / "cards")
    titles = chapter_titles(source)
    texts = {
        "generated/found.md": ledger_page.found_text(rows),
        "generated/rule.md": rule_page.rule_text(),
        "generated/trust.md": trust_page.trust_text(),
        "pages/claims.md": ledger_page.claims_text(rows, titles),
        "pages/datasets.md": datasets_text(_cleanings(output)),
        "pages/runs.md": runs_text([r for c in chapters if (r := read_run(output, c))], titles),
    }
    for name, text in texts.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# data sets


def datasets_text(cleanings: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the cards of all data sets; ``cleanings`` come from the studies that used them."""
    described = [datasets.describe(name) for name in datasets.names()]
    overview = [
        (f"[`{d['name']}`](#{_place(d['name'])})", f"{d['rows']:,}", str(len(d["tasks"])),
         d["kind"], "yes" if d["embedded"] else "no")
        for d in described
    ]  # fmt: skip
    lines = [
        "# The data sets",
        "",
        'Each set is loaded by its name, `chemdl.load("tox21")`, checked against a SHA-256 and '
        "cleaned once. Embedded sets come with the package; the others are fetched from where "
        "their owners keep them, under the owners' licences.",
        "",
        table(("name", "rows", "tasks", "kind", "embedded"), overview),
    ]
    for record in described:
        lines += _dataset_lines(record, cleanings.get(record["name"]))
    return "\n".join(lines)


def _place(name: str) -> str:
    return "dataset-" + name.replace("_", "-")


def _dataset_lines(record: Mapping[str, Any], cleaning: Mapping[str, Any] | None) -> list[str]:
    licence = record["licence"]
    name = escape(licence["name"])
    tasks = record["tasks"]
    listed = ", ".join(tasks[:14]) + (f", and {len(tasks) - 14} more" if len(tasks) > 14 else "")
    facts = [
        ("tasks", f"{len(tasks)}: {escape(listed)}" if len(tasks) > 1 else escape(listed)),
        ("values", escape(", ".join(filter(None, (record["kind"], record["unit"]))))),
        ("inputs", escape(record["input"])),
        ("licence", f"[{name}]({licence['url']})" if licence.get("url") else name),
        ("cite", f"{{cite:t}}`{record['citation']}`"),
        ("sources", "<br>".join(_source_text(source) for source in record["sources"])),
    ]
    if note := licence.get("note"):
        facts.insert(4, ("terms", escape(note)))
    if cleaning:
        facts.append(("cleaning", _cleaning_text(cleaning)))
    return [
        f"({_place(record['name'])})=",
        f"## {escape(record['title'])}",
        "",
        f"`{record['name']}` · {escape(record['about'])}",
        "",
        table(("", ""), facts, kind="facts-table"),
    ]


def _source_text(source: Mapping[str, Any]) -> str:
    where = str(source["where"])
    place = f"<{where}>" if where.startswith("https://") else escape(where)
    return f"{source['kind']}: {place}"


def _cleaning_text(cleaning: Mapping[str, Any]) -> str:
    order = ("raw", "unparsable", "duplicate", "conflicting", "kept")
    return escape(", ".join(f"{cleaning[k]:,} {k}" for k in order if k in cleaning))


def _cleanings(output: Path) -> dict[str, dict[str, Any]]:
    """Return what cleaning took out of each set, from the cards of a run and the recorded ones."""
    records = [result.card.dataset for result in find_results(folder=output / "cards").values()]
    return {record.name: record.cleaning for record in records if record.cleaning}


# runs


def runs_text(runs: Sequence[Mapping[str, Any]], titles: Mapping[str, tuple[str, str]]) -> str:
    """Return the page of how long each chapter took, on what, under which versions."""
    body = []
    for run in runs:
        title, page = titles.get(run["chapter"], (run["chapter"], ""))
        name = f"[{escape(title)}](../{page})" if page else escape(title)
        machine = run["machine"]
        resumed = " (replicas were stored before)" if run["resumed"] else ""
        where = f"{machine['device']}, {machine['threads']} threads, {machine['system']}"
        body.append(
            (name, run["parameters"]["profile"], f"{run['seconds']:.0f}{resumed}", escape(where),
             str(len(run["studies"])), run["created"][:10])
        )  # fmt: skip
    total = sum(run["seconds"] for run in runs)
    versions = sorted({item for run in runs for item in run["versions"].items()})
    header = ("chapter", "profile", "seconds", "machine", "studies", "date")
    lines = [
        "# Run times and versions",
        "",
        f"This site's chapters took {total:.0f} seconds in all. The same is to be expected with "
        "`make book` on a like machine; `full` is another matter and is said in each card.",
        "",
        table(header, body),
        "",
        "## Versions",
        "",
        table(("package", "version"), [(escape(name), escape(v)) for name, v in versions]),
    ]
    return "\n".join(lines)


# shared


def chapter_titles(source: Path) -> dict[str, tuple[str, str]]:
    """Return each assembled chapter's title and page, by the chapter's name."""
    titles = {}
    for path in sorted((source / "chapters").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        text = "\n".join(texts)
        heading = re.search(r"^# (.+)$", text, re.MULTILINE)
        name = chapter_name(path)
        title = heading[1].strip() if heading else name
        titles[name] = (title, path.relative_to(source).as_posix())
    return titles

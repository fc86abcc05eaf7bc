"""The report: one HTML file that opens without network, in light and dark, and prints."""

from __future__ import annotations

import html
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from chemdl.files import write_atomically
from chemdl.show.figures import figure_html, png
from chemdl.your_data import report_figures as figures
from chemdl.your_data.compare import row_of
from chemdl.your_data.judge import evidence_of, label, score_interval, scores_in_words

if TYPE_CHECKING:
    from chemdl.your_data.answer import Answer
    from chemdl.your_data.findings import Finding

_HEADS = {
    "deep": "Yes, a deep net is worth it here.",
    "simple": "No, a simple model is better here.",
    "level": "No, a deep net makes no difference that matters here.",
    "undecided": "It cannot be told on these data.",
    "nothing learned": "Nothing can be learned here, as far as these molecules tell.",
    "unsure": "No model is surely better than knowing nothing.",
}


_CLIFFS = (
    "Cliffs: each column is a pair of similar molecules whose values differ much. A model that "
    "reads structure alone can hardly predict both."
)
_COUNTED = {
    "unparsable": "unparsable",
    "unlabelled": "without a value",
    "duplicate": "merged into an earlier row",
    "conflicting": "contradicting",
    "censored": "values that are bounds",
}


def write_report(found: Answer, path: Path) -> None:
    """Write the report of an answer."""
    page = Template(resources.files(__package__).joinpath("report.html").read_text("utf-8"))
    judged = found.comparison.judged
    head = "Too few molecules to decide." if judged is None else _HEADS[judged.verdict]
    target = ", ".join(found.comparison.dataset.tasks)
    text = page.substitute(
        title=_safe(f"{found.yours.table.file}: {target}"),
        head=_safe(head),
        answer=_safe(_answer(found)),
        facts="".join(_facts(found)),
        sections="\n".join(_sections(found)),
    )
    with write_atomically(path) as temporary:
        temporary.write_text(text, "utf-8")


def _safe(text: object) -> str:
    return html.escape(str(text))


def _answer(found: Answer) -> str:
    judged, result = found.comparison.judged, found.comparison.result
    if judged is None or result is None:
        return found.comparison.answer
    margin = f" Differences within {judged.margin:.2g} count as none."
    said = scores_in_words(judged, result.metric, found.comparison.names)
    return f"{said}{margin}{found.comparison.untried}{found.beware}"


def _facts(found: Answer) -> Iterator[str]:
    """Yield the tiles of the first screen."""
    dataset, judged = found.comparison.dataset, found.comparison.judged
    yield _fact("molecules", f"{len(dataset):,}", f"of {found.checked.rows:,} rows")
    if judged is None or found.comparison.result is None:
        return
    metric, names = label(found.comparison.result.metric), found.comparison.names
    for side, name, score in (
        ("best simple model", judged.simple, judged.simple_score),
        ("best deep net", judged.deep, judged.deep_score),
        ("knowing nothing", "trivial", judged.trivial_score),
    ):
        yield _fact(side, f"{score:#.3g}", f"{metric}, {names[name]}")
    if found.gain is not None:
        told = found.gain.high < 0 and "cannot" not in found.gain.sentence
        value = f"{found.gain.change:+.0%}" if told else "?"
        yield _fact(f"{found.gain.added:,} more molecules", value, "of the error" if told else
                    "cannot be told")  # fmt: skip
    if found.ceiling is not None:
        yield _fact("no model below", f"{found.ceiling.error:.2g}", "noise of the measurement")


def _fact(name: str, value: str, note: str) -> str:
    return (
        f'<div class="fact"><dt>{_safe(name)}</dt><dd>{_safe(value)}</dd>'
        f"<small>{_safe(note)}</small></div>"
    )


def _sections(found: Answer) -> Iterator[str]:
    if found.comparison.result is not None:
        yield _section("The models", _scores(found))
        yield _section("Would more molecules help?", _more(found))
        yield _section("How good can it get?", _ceiling(found))
        yield _section("Where can it be trusted?", _trust(found))
        yield _section("Where it fails", _failures(found))
    yield _section("What is in the table", _findings(found))
    if found.comparison.result is not None:
        yield _section("How it was compared", _methods(found))
        yield _section("Use the model", _use(found))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_safe(title)}</h2>{body}</section>"


def _scores(found: Answer) -> str:
    comparison = found.comparison
    result = comparison.result
    assert result is not None
    evidence, metric = evidence_of(result), result.metric
    rows = []
    for name in result.models:
        mean, low, high = score_interval(evidence, name, metric)
        own = row_of(comparison, name)
        rows.append((comparison.names[name], result.kind(name), mean, low, high, own))
    others = result.metrics[1:]
    head = "".join(f"<th>{_safe(label(m))}</th>" for m in (metric, *others))
    lines = "".join(
        f"<tr><td>{_safe(name)}</td><td>{kind}</td><td>{mean:#.3g} [{low:#.3g}, {high:#.3g}]</td>"
        + "".join(f"<td>{own.get(m, float('nan')):.3g}</td>" for m in others)
        + f"<td>{own['seconds']:.2g} s</td></tr>"
        for name, kind, mean, low, high, own in rows
    )
    chart = figures.score_chart([row[:5] for row in rows], label(metric))
    optimism = "" if comparison.beside is None else f"<p>{_safe(_optimism(found))}</p>"
    return (
        f"{chart}<table><tr><th>model</th><th>kind</th>{head}<th>a fit</th></tr>{lines}</table>"
        f"<p>Mean over folds with its 95 % interval on these data.</p>{optimism}"
    )


def _optimism(found: Answer) -> str:
    comparison, judged = found.comparison, found.comparison.judged
    assert comparison.beside is not None and comparison.result is not None and judged is not None
    metric = comparison.result.metric
    beside = float(np.nanmean(comparison.beside.replica_means(judged.simple, metric)))
    own = float(np.nanmean(comparison.result.replica_means(judged.simple, metric)))
    return (
        f"Under a random split the same {comparison.names[judged.simple]} model has {beside:.3g} "
        f"instead of {own:.3g} {label(metric)}: what a random split promises is not what the "
        "question asks."
    )


def _more(found: Answer) -> str:
    if found.gain is None or found.curve is None:
        reason = [cut for cut in found.comparison.budget.cuts if "learning curve" in cut]
        return f"<p>{_safe(reason[0] if reason else 'No learning curve was computed')}.</p>"
    image = figures.learning_curve(found.curve, found.sides["simple"])
    alt = "Error of the best simple model against the number of train molecules."
    caption = "A power law is fitted to each; the interval leaves out one fold after another."
    return f"<p>{_safe(found.gain.sentence)}</p>" + figure_html(png(image), alt, caption)


def _ceiling(found: Answer) -> str:
    judged = found.comparison.judged
    assert judged is not None
    if found.ceiling is None:
        return (
            "<p>It is not known how much a measurement errs: there are no replicates in the table. "
            "If you know it, say so with <code>--assay-error</code>.</p>"
        )
    best = min(judged.simple_score, judged.deep_score)
    return f"<p>{_safe(found.ceiling.sentence(judged.trivial_score, best))}</p>"


def _trust(found: Answer) -> str:
    comparison = found.comparison
    assert comparison.result is not None and comparison.question is not None
    parts = [f"<p>{_safe(line)}</p>" for line in _coverage(found)]
    parts.append(
        f"<p>The domain ends at a similarity of {found.domain_ends:.2f}: 95 % of the molecules "
        "that were tested had a more similar train molecule. Below it nothing was tested.</p>"
    )
    image = figures.error_by_similarity(comparison, list(found.sides.values()))
    alt = "Mean absolute error of the best models by similarity to the nearest train molecule."
    parts.append(figure_html(png(image), alt, "Error by similarity, with 95 % intervals."))
    if comparison.question.similarities:
        image = figures.similarities(comparison.question.similarities, comparison.question.why)
        alt = "Distributions of similarity of the new molecules and of the protocols looked at."
        parts.append(figure_html(png(image), alt, comparison.question.why))
    return "".join(parts)


def _coverage(found: Answer) -> Iterator[str]:
    for side, (share, width) in found.coverage.items():
        name = found.comparison.names[found.sides[side]]
        what = "on average" if found.comparison.dataset.kind == "regression" else "classes a set"
        held = "as promised" if share >= 0.88 else "less than promised: do not rely on them"
        yield (
            f"90 % intervals of the {name} model held {share:.0%} of the values in folds that they "
            f"were not made from, {held}; they are {width:.2g} wide {what}."
        )


def _failures(found: Answer) -> str:
    comparison = found.comparison
    assert comparison.result is not None
    name = found.sides[found.better]
    measured = comparison.dataset.targets[:, 0]
    predicted = comparison.result.predictions.pooled(name)[:, 0]
    worst = figures.largest_errors(comparison.dataset, predicted)
    said = "<p>The largest errors: look them up first, some may be mistakes of the table.</p>"
    shown = figure_html(worst, "Molecules with the largest errors.", "Measured and predicted.")
    parts = [said, shown]
    if cliffs := figures.cliffs(comparison.dataset):
        alt = "Pairs of similar molecules whose values differ most."
        parts.append(figure_html(cliffs, alt, _CLIFFS))
    if comparison.dataset.kind == "regression":
        image = figures.against_measured(comparison.result, list(found.sides.values()))
        parts.append(figure_html(png(image), "Predicted against measured values.", ""))
    elif np.isfinite(measured).any():
        image = figures.reliability(comparison.result, list(found.sides.values()))
        parts.append(figure_html(png(image), "Shares of actives by predicted probability.", ""))
    return "".join(parts)


def _findings(found: Answer) -> str:
    said = "".join(f"<li>{_safe(line)}</li>" for line in found.checked.said)
    items = "".join(_finding(finding) for finding in found.checked.findings)
    log = found.comparison.dataset.card["cleaning"]
    counted = ", ".join(f"{log[key]:,} {words}" for key, words in _COUNTED.items())
    stay = f"<p>Of {log['raw']:,} rows {log['kept']:,} stay: {counted}.</p>"
    return f"<ul>{said}</ul><ul>{items}</ul>{stay}"


def _finding(finding: Finding) -> str:
    level = "problem" if finding.is_problem else "note"
    shown = "; ".join(finding.examples)
    examples = f"<br><small>{_safe(shown)}</small>" if shown else ""
    return (
        f'<li class="{level}"><b>{_safe(finding.name)}</b>: {finding.count:,} '
        f"{_safe(finding.text)}{examples}<br>→ {_safe(finding.remedy)}</li>"
    )


def _methods(found: Answer) -> str:
    from chemdl.your_data.methods import citations, paragraph

    comparison = found.comparison
    cuts = "".join(f"<li>{_safe(cut)}</li>" for cut in comparison.budget.cuts)
    cut = (
        f"<p>To keep the {comparison.budget.minutes:g} minutes:</p><ul>{cuts}</ul>" if cuts else ""
    )
    cited = "".join(f"<li>{_safe(one)}</li>" for one in citations(found))
    repeat = f"<p>Repeat it: <code>{_safe(found.command)}</code></p>" if found.command else ""
    spent = f"<p>It took {comparison.budget.spent() / 60:.1f} minutes.</p>"
    return f"{spent}{cut}<p class='methods'>{_safe(paragraph(found))}</p><ol>{cited}</ol>{repeat}"


def _use(found: Answer) -> str:
    name = found.comparison.names[found.sides[found.better]]
    return (
        f"<p>The folder <code>model</code> beside this file holds the best simple model and the "
        f"best deep net, fitted on all molecules. The {_safe(name)} model is used unless you ask "
        "for the other.</p><p><code>python -m chemdl predict this-folder new.csv</code></p>"
    )

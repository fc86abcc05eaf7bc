"""The protocol follows the question: time, new molecules, groups, else clusters."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.your_data.protocols import ComparisonError, by_time, choose_protocol


def test_each_fold_of_time_learns_from_before_and_keeps_days_together(esol) -> None:
    days = np.random.default_rng(0).integers(0, 40, len(esol)).astype(float)
    protocol = by_time(esol.with_column("day", days))
    assert len(protocol) == 4 and protocol.name == "time"
    for split in protocol.splits:
        assert days[split.train].max() <= days[split.valid].min()
        assert days[split.valid].max() < days[split.test].min()
    tested = np.concatenate([split.test for split in protocol.splits])
    assert len(np.unique(tested)) == len(tested) > 0.7 * len(esol)


def test_too_few_days_are_refused(esol) -> None:
    with pytest.raises(ValueError, match="2 different dates are too few"):
        by_time(esol.with_column("day", np.arange(150) % 2.0))


def test_too_few_groups_are_refused_in_one_line(esol) -> None:
    with pytest.raises(ComparisonError, match="groups of 'group'"):
        choose_protocol(esol.with_column("group", np.arange(150) % 2))


def test_the_question_decides(esol) -> None:
    dated = esol.with_column("day", np.arange(150.0))
    assert choose_protocol(dated).protocol.name == "time"
    grouped = esol.with_column("group", np.arange(150) % 15)
    assert choose_protocol(grouped).protocol.name == "grouped"
    plain = choose_protocol(esol)
    assert plain.protocol.name == "cluster" and plain.beside.name == "random"
    assert choose_protocol(esol, random=True).beside is None


def test_splits_are_as_far_apart_as_the_new_molecules_are(esol) -> None:
    near = choose_protocol(esol, new=list(esol.inputs[:60]))
    far = choose_protocol(esol, new=["O=S(=O)(F)F", "[Na+].[Cl-]", "FC(F)(F)S"] * 10)
    chosen = [q.similarities[q.why.split(": ")[1].split(" (")[0]] for q in (near, far)]
    assert np.median(chosen[1]) < np.median(chosen[0])
    assert set(near.similarities) >= {"new", "random"}
    assert "yours" in near.why

"""Networks over protein chains: padding, order, long and short chains, and that they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from chemdl.learn import catalogue
from chemdl.learn.ragged import Padded, Ragged
from chemdl.proteins.nets.convolutions import FieldNet, field_loss, side_by_side
from chemdl.proteins.nets.labelling import labelling_loss
from chemdl.proteins.nets.recurrence import GatedLayer
from chemdl.proteins.profiles import profile, profile_text
from chemdl.proteins.residues import chain_residues

LETTERS = "ACDEFGHIKLMNPQRSTVWYX"
SMALL: dict[str, dict[str, Any]] = {
    "window_net": {},
    "window_net_deep": {"width": 16},
    "window_net_pretrained": {"width": 16},
    "two_stage_net": {},
    "deep_cnn": {"width": 16, "depth": 3},
    "deepcnf": {"width": 16, "depth": 3},
    "gru": {"width": 16},
    "dilated_cnn": {"width": 16},
}


def chains(count: int, seed: int = 0, longest: int = 30) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(LETTERS), size=rng.integers(1, longest))) for _ in range(count)]


def labels(inputs: list[str], seed: int = 1) -> Ragged:
    """Three and eight states in runs, one in ten not seen."""
    rng = np.random.default_rng(seed)
    rows = []
    for chain in inputs:
        eight = np.repeat(rng.integers(0, 8, size=len(chain)), 4)[: len(chain)].astype(float)
        both = np.column_stack([np.array([0, 0, 0, 1, 1, 2, 2, 2])[eight.astype(int)], eight])
        both[rng.random(len(chain)) < 0.1] = np.nan
        rows.append(both)
    return Ragged.of(rows, layout="padded")


def net(name: str, **changes: Any) -> Any:
    return catalogue.net(name, "labelling", device="cpu", **{**SMALL[name], **changes})


@pytest.mark.parametrize("name", SMALL)
def test_padding_and_company_change_nothing(name: str) -> None:
    inputs = chains(9)
    fitted = net(name, epochs=1, batch_size=4).fit(inputs, labels(inputs), valid=np.arange(2))
    asked = [*chains(5, seed=2), "M", "AC" * 60]  # one residue; longer than any in training
    together = fitted.site_scores(asked)
    alone = [fitted.site_scores([chain]) for chain in asked]
    for task, scores in enumerate(together):
        np.testing.assert_allclose(scores, np.concatenate([a[task] for a in alone]), atol=1e-4)
    order = np.random.default_rng(0).permutation(len(asked))
    moved = fitted.predict([asked[i] for i in order])
    rows = np.split(fitted.predict(asked), np.cumsum([len(chain) for chain in asked])[:-1])
    np.testing.assert_array_equal(moved, np.concatenate([rows[i] for i in order]))


@pytest.mark.parametrize("name", SMALL)
def test_eight_chains_can_be_learned_by_heart(name: str) -> None:
    inputs = chains(8, longest=25)
    y = labels(inputs)
    more: dict[str, Any] = {"dropout": 0.0, "epochs": 250, "batch_size": 8, "learning_rate": 0.01,
                            "decay": 0.5, "patience": 250}  # fmt: skip
    wide = {"two_stage_net": {"hidden": (75, 60)}, "window_net": {"width": 75}}
    fitted = net(name, **more, **wide.get(name, {})).fit(inputs, y, valid=np.arange(0))
    right = (fitted.predict(inputs) == y.values)[np.isfinite(y.values)]
    assert right.mean() > 0.95


def test_a_profile_is_read_where_asked_for() -> None:
    inputs = chains(6, longest=12)
    aligned = [f"{chain} {profile_text(profile([chain, 'W' * len(chain)]))}" for chain in inputs]
    fitted = net("deep_cnn", profile=True, epochs=1).fit(aligned, labels(inputs))
    other = [f"{chain} {profile_text(profile([chain, 'P' * len(chain)]))}" for chain in inputs]
    assert not np.allclose(fitted.outputs(aligned), fitted.outputs(other))
    sequence = net("deep_cnn", epochs=1).fit(aligned, labels(inputs))
    np.testing.assert_array_equal(sequence.outputs(aligned), sequence.outputs(other))


def test_targets_must_be_what_classes_say() -> None:
    inputs = ["ACD"]
    with pytest.raises(ValueError, match="speaks of 3 tasks, the targets have 2"):
        net("deep_cnn", classes=(3, 8, 2)).fit(inputs, labels(inputs))
    wrong = Ragged.of([np.full((3, 2), 5.0)], layout="padded")
    with pytest.raises(ValueError, match="task 0 has classes 0 to 2"):
        net("deep_cnn").fit(inputs, wrong)
    with pytest.raises(ValueError, match="a field needs classes in every task"):
        net("deepcnf", classes=(3, 0)).fit(inputs, labels(inputs))


def test_values_are_learned_beside_classes() -> None:
    inputs = chains(20, longest=20)
    y = labels(inputs)
    height = np.array([LETTERS.index(letter) for chain in inputs for letter in chain]) / 10.0
    both = Ragged(np.column_stack([y.values[:, 0], height]), y.offsets, "padded")
    fitted = net("deep_cnn", classes=(3, 0), epochs=150, dropout=0.0, learning_rate=5e-3)
    fitted.fit(inputs, both, valid=np.arange(0))
    assert np.corrcoef(fitted.predict(inputs)[:, 1], height)[0, 1] > 0.9


def test_the_loss_is_the_sum_of_the_tasks_means_over_measured_sites() -> None:
    output = torch.randn(2, 3, 4, 11)
    target = torch.stack([torch.randint(0, 3, (2, 3, 4)), torch.randint(0, 8, (2, 3, 4))], 3)
    weight = (torch.rand(2, 3, 4, 2) > 0.4).float()
    found = labelling_loss((3, 8)).total(output, target.float(), weight)
    for r in range(2):
        expected = 0.0
        for task, part in enumerate((slice(0, 3), slice(3, 11))):
            each = torch.nn.functional.cross_entropy(
                output[r, ..., part].flatten(0, 1), target[r, ..., task].flatten(), reduction="none"
            )
            own = weight[r, ..., task].flatten()
            expected += float((each * own).sum() / own.sum())
        assert float(found[r]) == pytest.approx(expected, rel=1e-5)


def test_a_field_without_steps_is_cross_entropy() -> None:
    scores, steps = torch.randn(1, 3, 5, 11), torch.zeros(1, 3, 5, 73)
    target = torch.stack([torch.randint(0, 3, (1, 3, 5)), torch.randint(0, 8, (1, 3, 5))], 3)
    weight = torch.ones(1, 3, 5, 2)
    weight[:, 0, 3:] = 0  # padding
    weight[:, 1, 2] = 0  # a residue that was not seen
    both = torch.cat([scores, steps], dim=3)
    found = field_loss((3, 8)).total(both, target.float(), weight)
    expected = labelling_loss((3, 8)).total(scores, target.float(), weight)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_field_stands_on_the_scores_of_its_network() -> None:
    inner = net("deep_cnn").build({}, 2)
    field = FieldNet(inner, (3, 8)).eval()
    rows = chain_residues(["ACDEF"])
    column = Padded(torch.tensor(rows.values)[None], torch.ones(1, 5, dtype=torch.bool))
    output = field({"residues": column}, None, torch.ones(1))
    assert output.shape == (1, 5, 11 + 9 + 64)
    scores, steps = side_by_side(output[None], (3, 8))
    torch.testing.assert_close(scores[1, 0, 0], inner.eval()({"residues": column}, None,
                                                          torch.ones(1))[0, :, 3:])  # fmt: skip
    assert steps.shape == (2, 1, 8, 8) and (scores[0, 0, 0, :, 3:] < -1000).all()


@pytest.mark.parametrize("name", ["deepcnf", "dilated_cnn", "gru", "two_stage_net"])
def test_a_stack_equals_its_members_alone(name: str) -> None:
    inputs = chains(14)
    rows = [(np.arange(4, 14), np.arange(4)), (np.arange(10), np.arange(10, 14))]
    found = {}
    for stack in (True, False):
        stacks = net(name, epochs=3, batch_size=5, learning_rate=1e-4).fit_replicas(
            inputs, labels(inputs), rows, [1, 2], stack=stack
        )
        ends = sorted((one for part in stacks for one in part), key=lambda one: one.position)
        found[stack] = [one.estimator.outputs(inputs) for one in ends]
    for together, alone in zip(found[True], found[False], strict=True):
        np.testing.assert_allclose(together, alone, atol=1e-3)


def test_the_recurrence_is_torchs_in_both_directions() -> None:
    torch.manual_seed(0)
    ours, theirs = GatedLayer(5, 4), torch.nn.GRU(5, 4, bidirectional=True, batch_first=True)
    state = {}
    for way, ending in enumerate(("", "_reverse")):
        state |= {
            f"weight_ih_l0{ending}": ours.W[way].T,
            f"weight_hh_l0{ending}": ours.U[way].T,
            f"bias_ih_l0{ending}": ours.b[way, 0],
            f"bias_hh_l0{ending}": torch.cat([torch.zeros(8), ours.b_h[way, 0]]),
        }
    theirs.load_state_dict(state)
    x = torch.randn(3, 7, 5)
    torch.testing.assert_close(ours(x, torch.ones(3, 7, dtype=torch.bool)), theirs(x)[0])


def test_pretraining_depends_on_the_seed_alone_and_sees_no_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chemdl.proteins.nets.windows._PRETRAINING_STEPS", 30)
    inputs = chains(12)
    one = net("window_net_pretrained", epochs=1, learning_rate=1e-9, seed=3)
    y = labels(inputs)
    other = Ragged(np.where(np.isnan(y.values), np.nan, 0.0), y.offsets, "padded")
    states = [one.fit(inputs, t, valid=np.arange(2)).members_[0].state for t in (y, other, y)]
    torch.testing.assert_close(states[0], states[2])
    for name in ("layers.0.weight", "layers.2.bias"):
        torch.testing.assert_close(states[0][name], states[1][name], atol=1e-5, rtol=0)
    plain = net("window_net_deep", epochs=1, learning_rate=1e-9, seed=3)
    untouched = plain.fit(inputs, y, valid=np.arange(2)).members_[0].state
    assert not torch.allclose(states[0]["layers.0.weight"], untouched["layers.0.weight"])

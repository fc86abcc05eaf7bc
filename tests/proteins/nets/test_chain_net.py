"""Every net over residues: padding, order, long and short chains, and that it learns."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from chemdl.learn.labelling import labelling_loss
from chemdl.learn.ragged import Ragged
from chemdl.proteins.profiles import profile, profile_text

NAMES = ("window_net", "window_net_deep", "window_net_pretrained", "two_stage_net", "deep_cnn",
         "deepcnf", "gru", "dilated_cnn")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_padding_and_company_change_nothing(
    name: str, small_net, random_chains, random_states
) -> None:
    inputs = random_chains(9)
    fitted = small_net(name, epochs=1, batch_size=4)
    fitted.fit(inputs, random_states(inputs), valid=np.arange(2))
    fitted = pickle.loads(pickle.dumps(fitted))
    asked = [*random_chains(5, seed=2), "M", "AC" * 60]  # one residue; longer than any in training
    together = fitted.site_scores(asked)
    alone = [fitted.site_scores([chain]) for chain in asked]
    for task, scores in enumerate(together):
        np.testing.assert_allclose(scores, np.concatenate([a[task] for a in alone]), atol=1e-4)
    order = np.random.default_rng(0).permutation(len(asked))
    moved = fitted.predict([asked[i] for i in order])
    rows = np.split(fitted.predict(asked), np.cumsum([len(chain) for chain in asked])[:-1])
    np.testing.assert_array_equal(moved, np.concatenate([rows[i] for i in order]))


@pytest.mark.parametrize("name", NAMES)
def test_eight_chains_can_be_learned_by_heart(
    name: str, small_net, random_chains, random_states
) -> None:
    inputs = random_chains(8, longest=25)
    y = random_states(inputs)
    more: dict[str, Any] = {"dropout": 0.0, "epochs": 250, "batch_size": 8, "learning_rate": 0.01,
                            "decay": 0.5, "patience": 250}  # fmt: skip
    wide = {"two_stage_net": {"hidden": (75, 60)}, "window_net": {"width": 75}}
    fitted = small_net(name, **more, **wide.get(name, {})).fit(inputs, y, valid=np.arange(0))
    right = (fitted.predict(inputs) == y.values)[np.isfinite(y.values)]
    assert right.mean() > 0.95


@pytest.mark.parametrize("name", ["deepcnf", "dilated_cnn", "gru", "two_stage_net"])
def test_a_stack_equals_its_members_alone(
    name: str, small_net, random_chains, random_states
) -> None:
    inputs = random_chains(14)
    rows = [(np.arange(4, 14), np.arange(4)), (np.arange(10), np.arange(10, 14))]
    outputs = {}
    for stack in (True, False):
        stacks = small_net(name, epochs=3, batch_size=5, learning_rate=1e-4).fit_replicas(
            inputs, random_states(inputs), rows, [1, 2], stack=stack
        )
        trained = sorted((one for part in stacks for one in part), key=lambda one: one.position)
        outputs[stack] = [one.estimator.outputs(inputs) for one in trained]
    for together, alone in zip(outputs[True], outputs[False], strict=True):
        np.testing.assert_allclose(together, alone, atol=1e-3)


def test_a_profile_is_read_where_asked_for(small_net, random_chains, random_states) -> None:
    inputs = random_chains(6, longest=12)
    y = random_states(inputs)
    aligned, other = (
        [f"{chain} {profile_text(profile([chain, letter * len(chain)]))}" for chain in inputs]
        for letter in "WP"
    )
    fitted = small_net("deep_cnn", profile=True, epochs=1).fit(aligned, y)
    assert not np.allclose(fitted.outputs(aligned), fitted.outputs(other))
    sequence = small_net("deep_cnn", epochs=1).fit(aligned, y)
    np.testing.assert_array_equal(sequence.outputs(aligned), sequence.outputs(other))


def test_targets_must_be_what_classes_say(small_net, random_states) -> None:
    with pytest.raises(ValueError, match="speaks of 3 tasks, the targets have 2"):
        small_net("deep_cnn", classes=(3, 8, 2)).fit(["ACD"], random_states(["ACD"]))
    wrong = Ragged.of([np.full((3, 2), 5.0)], layout="padded")
    with pytest.raises(ValueError, match="task 0 has classes 0 to 2"):
        small_net("deep_cnn").fit(["ACD"], wrong)


def test_values_are_learned_beside_classes(small_net, random_chains, random_states) -> None:
    inputs = random_chains(20, longest=20)
    y = random_states(inputs)
    height = np.array([ord(letter) - ord("A") for chain in inputs for letter in chain]) / 10.0
    both = Ragged(np.column_stack([y.values[:, 0], height]), y.offsets, "padded")
    fitted = small_net("deep_cnn", classes=(3, 0), epochs=150, dropout=0.0, learning_rate=5e-3)
    fitted.fit(inputs, both, valid=np.arange(0))
    assert np.corrcoef(fitted.predict(inputs)[:, 1], height)[0, 1] > 0.9


def test_the_loss_is_the_sum_of_the_tasks_means_over_measured_sites() -> None:
    output = torch.randn(2, 3, 4, 11)
    target = torch.stack([torch.randint(0, 3, (2, 3, 4)), torch.randint(0, 8, (2, 3, 4))], 3)
    weight = (torch.rand(2, 3, 4, 2) > 0.4).float()
    total = labelling_loss((3, 8)).total(output, target.float(), weight)
    for r in range(2):
        expected = 0.0
        for task, part in enumerate((slice(0, 3), slice(3, 11))):
            each = torch.nn.functional.cross_entropy(
                output[r, ..., part].flatten(0, 1), target[r, ..., task].flatten(), reduction="none"
            )
            measured = weight[r, ..., task].flatten()
            expected += float((each * measured).sum() / measured.sum())
        assert float(total[r]) == pytest.approx(expected, rel=1e-5)

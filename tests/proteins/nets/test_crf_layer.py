"""Networks under a chain field: what they give, and the loss without steps."""

from __future__ import annotations

import pytest
import torch

from chemdl.learn.labelling import labelling_loss
from chemdl.learn.ragged import Padded
from chemdl.proteins.nets.crf_layer import FieldNetwork, field_loss, split_by_task
from chemdl.proteins.residues import chain_residues


def test_a_field_without_steps_is_cross_entropy() -> None:
    scores, steps = torch.randn(1, 3, 5, 11), torch.zeros(1, 3, 5, 73)
    target = torch.stack([torch.randint(0, 3, (1, 3, 5)), torch.randint(0, 8, (1, 3, 5))], 3)
    weight = torch.ones(1, 3, 5, 2)
    weight[:, 0, 3:] = 0  # padding
    weight[:, 1, 2] = 0  # a residue that was not measured
    both = torch.cat([scores, steps], dim=3)
    found = field_loss((3, 8)).total(both, target.float(), weight)
    expected = labelling_loss((3, 8)).total(scores, target.float(), weight)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_field_stands_on_the_scores_of_its_network(small_net) -> None:
    scoring = small_net("deep_cnn").build({}, 2)
    field = FieldNetwork(scoring, (3, 8)).eval()
    rows = chain_residues(["ACDEF"])
    column = Padded(torch.tensor(rows.values)[None], torch.ones(1, 5, dtype=torch.bool))
    output = field({"residues": column}, None, torch.ones(1))
    assert output.shape == (1, 5, 11 + 9 + 64)
    scores, steps = split_by_task(output[None], (3, 8))
    alone = scoring({"residues": column}, None, torch.ones(1))
    torch.testing.assert_close(scores[1, 0, 0], alone[0, :, 3:])
    assert steps.shape == (2, 1, 8, 8) and (scores[0, 0, 0, :, 3:] < -1000).all()


def test_a_field_is_over_classes_alone(small_net, random_states) -> None:
    with pytest.raises(ValueError, match="a field needs classes in every task"):
        small_net("deepcnf", classes=(3, 0)).fit(["ACD"], random_states(["ACD"]))

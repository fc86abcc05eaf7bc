"""The store of poses: a stop leaves what was done, and what is missing says so."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.screening import poses
from chemdl.screening.ligands import neutral
from chemdl.screening.poses import MissingPoseError
from chemdl.screening.receptors import DockingError


def test_a_stored_pose_is_read_again_by_any_spelling(workbench) -> None:
    inputs, _ = workbench.complexes(4)
    found = poses.poses(inputs)
    assert [pose.score for pose in found] == [-5.0, -5.1, -5.2, -5.3]
    assert found[2].atoms.types.tolist() == ["C", "C", "C", "NA"]
    rng = np.random.default_rng(1)
    np.testing.assert_allclose(found[0].atoms.xyz, rng.normal(size=(3, 3)), atol=1e-3)
    assert poses.poses(["left NCCC"])[0].score == poses.poses(["left CCC[NH3+]"])[0].score == -5.2


def test_a_missing_pose_names_itself_and_the_command(workbench) -> None:
    inputs, _ = workbench.complexes(2)
    with pytest.raises(MissingPoseError, match=r"no pose of 'c1ccccc1' in left") as caught:
        poses.poses([*inputs, "left c1ccccc1"])
    assert "python -m chemdl dock left" in str(caught.value)
    # A ligand that failed has none either, nor has one that was docked into the other protein.
    poses.store("left", neutral("CCO")[1], None, "no conformer")
    for text in ("left CCO", "right CCCN"):
        with pytest.raises(MissingPoseError):
            poses.poses([text])


@pytest.mark.parametrize("text", ["CCO", "left", "left ", ""])
def test_what_is_no_complex_is_refused(workbench, text: str) -> None:
    with pytest.raises(DockingError, match="target and SMILES"):
        poses.poses([text])
    with pytest.raises(DockingError, match="Did you mean 'left'"):
        poses.poses(["leftt CCO"])


def test_a_line_that_a_stop_cut_off_is_passed_over(workbench) -> None:
    inputs, _ = workbench.complexes(6)
    path = poses.path_of("left")
    whole = path.read_text()
    path.write_text(whole.rstrip()[:-20])
    assert len(poses.stored("left")) == 2
    # What is stored next does not join the torn line.
    poses.store("left", neutral("CCO")[1], poses.poses(inputs[:1])[0])
    assert len(poses.stored("left")) == 3
    assert poses.poses(["left CCO"])[0].score == -5.0


def test_poses_of_another_search_are_not_used(workbench, monkeypatch) -> None:
    inputs, _ = workbench.complexes(2)
    monkeypatch.setattr(poses, "SEARCH", "vina 1.2, exhaustiveness 9")
    path = poses.path_of("left")
    path.write_text(path.read_text() + "\n")
    with pytest.raises(MissingPoseError):
        poses.poses(inputs[:1])

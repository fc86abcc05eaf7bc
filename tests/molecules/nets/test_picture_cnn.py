"""The network over depictions: its symmetries, its norms, and what it does not look at."""

from __future__ import annotations

import torch
from torch import nn

from chemdl.learn import stacking
from chemdl.molecules.nets.picture_cnn import (
    DepictionConvolution,
    PictureCNN,
    PixelNorm,
    symmetries,
    turned,
)


def network(width: int = 5, blocks: int = 1) -> DepictionConvolution:
    """A network whose every layer has a say, in the state for predictions."""
    torch.manual_seed(0)
    net = DepictionConvolution(2, width, blocks, 0.0).eval()
    for value in (*net.parameters(), net.stem_norm.mean, net.pooled_norm.mean):
        nn.init.normal_(value, std=0.3)
    return net


def some_depictions(count: int, size: int = 20) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 4, size, size), generator=rng, dtype=torch.uint8)


def test_there_are_eight_symmetries() -> None:
    x = some_depictions(1)
    found = list(symmetries(x))
    expected = [torch.rot90(y, quarters, (2, 3)) for y in (x, x.flip(3)) for quarters in range(4)]
    assert len(found) == 8
    assert all(sum(torch.equal(one, other) for one in found) == 1 for other in expected)


def test_a_prediction_is_the_same_for_a_turned_or_mirrored_depiction() -> None:
    # More rows than are predicted at once.
    net, x, weight = network(), some_depictions(70, size=12), torch.ones(70)
    values = net({"depiction": x}, None, weight)
    for one in symmetries(x):
        torch.testing.assert_close(
            net({"depiction": one.contiguous()}, None, weight), values, rtol=1e-5, atol=1e-5
        )
    assert values.std() > 1e-2
    moved = net({"depiction": x.roll(5, dims=2)}, None, weight)
    assert not torch.allclose(moved, values, atol=1e-3)


def test_training_sees_each_depiction_in_one_of_eight_ways(noise) -> None:
    x = some_depictions(1).expand(400, -1, -1, -1)
    found = turned(x, noise())
    which = torch.stack([(found == one).flatten(1).all(1) for one in symmetries(x)])
    assert (which.sum(0) == 1).all()
    assert (which.sum(1) > 400 / 8 / 2).all()
    assert torch.equal(turned(x, noise()), found)
    assert not torch.equal(turned(x, noise(6)), found)
    # The net reads what was drawn, and nothing else, in training.
    net, weight = network(), torch.ones(8)
    each = torch.cat([net._read((one[:1] - net.empty) / 64, None, torch.ones(1))
                      for one in symmetries(x.float())])  # fmt: skip
    outputs = net({"depiction": x[:8]}, noise(), weight)
    assert all(torch.isclose(row, each, atol=1e-5).all(1).any() for row in outputs)


def test_where_the_structure_lies_and_what_is_empty_around_it_do_not_matter() -> None:
    net, weight = network(), torch.ones(3)
    drawn = some_depictions(3, size=12)
    values = []
    for size, row, column in ((48, 16, 16), (48, 20, 12), (64, 24, 24)):
        x = net.empty.byte().expand(3, 4, size, size).clone()
        x[:, :, row : row + 12, column : column + 12] = drawn
        # A mean over all cells: sixteen pixels to a cell.
        nn.init.zeros_(net.pooled_norm.mean)
        net.pooled_norm.bias.data.zero_()
        offset = net.output.bias
        values.append((net({"depiction": x}, None, weight) - offset) * size**2)
    assert values[0].abs().min() > 1.0
    torch.testing.assert_close(values[1], values[0], rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(values[2], values[0], rtol=1e-4, atol=1e-2)
    nothing = net({"depiction": net.empty.byte().expand(1, 4, 48, 48)}, None, torch.ones(1))
    torch.testing.assert_close(nothing[0], net.output.bias)


def test_channels_are_normalised_as_torch_does_by_the_cells_that_count() -> None:
    x = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(2)) * 3 + 1
    weight = torch.ones(6, 1, 4, 5)
    weight[[2, 5]] = 0
    weight[:, :, 1:3, :2] = 0
    cells = x.movedim(1, 3)[weight[:, 0] > 0]
    ours, theirs = PixelNorm(3), nn.BatchNorm1d(3)
    torch.testing.assert_close(ours(x, weight).movedim(1, 3)[weight[:, 0] > 0], theirs(cells))
    # A prediction after one batch goes by that batch; torch's goes by a tenth of it.
    last = nn.BatchNorm1d(3, momentum=1.0)
    last(cells)
    found = ours.eval()(x, weight).movedim(1, 3)[weight[:, 0] > 0]
    torch.testing.assert_close(found, last.eval()(cells))
    # After many they are the same.
    ours.train()
    for _ in range(150):
        ours(x, weight)
        theirs(cells)
    found = ours.eval()(x, weight).movedim(1, 3)[weight[:, 0] > 0]
    torch.testing.assert_close(found, theirs.eval()(cells))


def test_rows_of_weight_zero_change_no_other(noise) -> None:
    net, x = network().train(), some_depictions(8)
    weight = torch.tensor([1.0, 1, 1, 1, 1, 0, 0, 0])
    kept = net({"depiction": x}, noise(), weight)[:5]
    x[5:] = 255
    torch.testing.assert_close(net({"depiction": x}, noise(), weight)[:5], kept)


def test_nets_that_tuning_may_draw_are_too_large_to_stack_on_a_cpu() -> None:
    """Stacked convolutions of few channels take twice the time there."""
    model = PictureCNN.Classifier(width=min(PictureCNN.search_space["width"]))
    net = model.build(model.featurize(["CCO"]), 3)
    assert sum(p.numel() for p in net.parameters()) > stacking.CPU_STACK_PARAMETERS

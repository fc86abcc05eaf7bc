"""Layers draw only from the noise that is passed in, and ignore padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chemdl.learn import layers
from chemdl.learn.layers import BatchNorm, ColumnScale, Dropout, Product, deviation_or_one
from chemdl.learn.noise import Noise


def noise(key: int = 7) -> Noise:
    return Noise(torch.tensor(key, dtype=torch.int32))


@pytest.fixture
def rows() -> Tensor:
    return torch.randn(64, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_dropout_keeps_the_stated_share_and_the_mean() -> None:
    x = torch.ones(400, 500)
    out = Dropout(0.25, layer=0)(x, noise())
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    # 200,000 units: the standard error of the share is .001.
    assert (out > 0).float().mean().item() == pytest.approx(0.75, abs=0.005)
    assert out.mean().item() == pytest.approx(1.0, abs=0.007)


def test_dropout_without_noise_or_rate_does_nothing(rows: Tensor) -> None:
    assert Dropout(0.5, layer=0)(rows, None) is rows
    assert Dropout(0.0, layer=0)(rows, noise()) is rows


def test_dropout_depends_on_key_and_layer_alone(rows: Tensor) -> None:
    out = Dropout(0.5, layer=1)(rows, noise())
    torch.manual_seed(99)
    assert torch.equal(Dropout(0.5, layer=1)(rows, noise()), out)
    assert not torch.equal(Dropout(0.5, layer=2)(rows, noise()) == 0, out == 0)
    assert not torch.equal(Dropout(0.5, layer=1)(rows, noise(8)) == 0, out == 0)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 25])
def test_dropout_refuses_other_rates(rate: float) -> None:
    with pytest.raises(ValueError, match=f"lies in \\[0, 1\\), not {rate}"):
        Dropout(rate, layer=0)


def test_columns_are_scaled_by_the_rows_they_were_fitted_on(rows: Tensor) -> None:
    rows[:, 0] = 7.0
    scale = ColumnScale(5, deviation_or_one())
    scale.fit(rows)
    scaled = scale(rows)
    np.testing.assert_allclose(scaled.mean(0), torch.zeros(5), atol=1e-6)
    np.testing.assert_allclose(scaled.std(0, correction=0)[1:], torch.ones(4), atol=1e-6)
    # A constant column is centred alone, whatever another row has there.
    assert scale(torch.full((1, 5), 9.0))[0, 0] == 2.0
    barely = rows.clone()
    barely[0, 0] += 1e-5
    tolerant = ColumnScale(5, deviation_or_one(least=1e-3))
    tolerant.fit(barely)
    assert tolerant.spread[0] == 1.0


def test_batch_norm_is_torchs(rows: Tensor) -> None:
    own, theirs = BatchNorm(5), torch.nn.BatchNorm1d(5)
    for start in (0, 16, 32):
        block = rows[start : start + 16]
        np.testing.assert_allclose(
            own(block, torch.ones(16)).detach(), theirs(block).detach(), atol=1e-5
        )
    np.testing.assert_allclose(own.mean, theirs.running_mean, atol=1e-6)
    np.testing.assert_allclose(own.variance, theirs.running_var, atol=1e-5)
    own.eval(), theirs.eval()
    np.testing.assert_allclose(own(rows, torch.ones(64)).detach(), theirs(rows).detach(), atol=1e-5)


def test_batch_norm_ignores_padding(rows: Tensor) -> None:
    alone, padded = BatchNorm(5), BatchNorm(5)
    expected = alone(rows[:40], torch.ones(40))
    filled = torch.cat([rows[:40], torch.full((24, 5), 1e4)])
    weight = torch.cat([torch.ones(40), torch.zeros(24)])
    np.testing.assert_allclose(padded(filled, weight)[:40].detach(), expected.detach(), atol=1e-5)
    np.testing.assert_allclose(padded.mean, alone.mean, atol=1e-6)
    np.testing.assert_allclose(padded.variance, alone.variance, atol=1e-5)


def test_batch_norm_of_one_row_is_finite(rows: Tensor) -> None:
    layer = BatchNorm(5)
    assert torch.isfinite(layer(rows[:1], torch.ones(1))).all()
    assert torch.isfinite(layer.variance).all()


@pytest.mark.parametrize("bias", [True, False])
def test_a_product_in_float32_is_torchs_linear_layer(rows: Tensor, bias: bool) -> None:
    layer = Product(rows.shape[1], 7, bias=bias)
    assert torch.equal(layer(rows), nn.functional.linear(rows, layer.weight, layer.bias))


def test_a_rounded_product_keeps_two_digits_and_float32(rows: Tensor) -> None:
    exact = Product(rows.shape[1], 7)
    rounded = Product(rows.shape[1], 7, precision="bfloat16")
    rounded.load_state_dict(exact.state_dict())
    found, expected = rounded(rows), exact(rows)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_native_rounds_where_the_device_multiplies_bfloat16(
    rows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = Product(rows.shape[1], 7, precision="native")
    exact = nn.functional.linear(rows, native.weight, native.bias)
    for able in (False, True):
        monkeypatch.setattr(layers, "multiplies_bfloat16", lambda device, able=able: able)
        assert torch.equal(native(rows), exact) is not able


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'bfloat16'"):
        Product(2, 2, precision="bfloat61")

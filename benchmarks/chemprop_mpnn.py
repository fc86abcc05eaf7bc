"""chemprop's D-MPNN under the contract of our estimators, trained as ours is by default."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

WIDTH, DEPTH = 300, 3
WARMUP_EPOCHS, INITIAL_RATE, HIGHEST_RATE, FINAL_RATE = 2, 1e-4, 1e-3, 1e-4


class ChempropRegressor:
    """chemprop's ``MPNN`` for one task: mean over atoms, one hidden layer, batches of 50.

    It is trained by Lightning's trainer, as its documentation has it, and goes back to the epoch
    with the lowest loss on the valid rows. Graphs are built once for each SMILES and kept.
    """

    def __init__(
        self, epochs: int = 50, batch_size: int = 50, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.epochs, self.batch_size, self.seed, self.device = epochs, batch_size, seed, device

    def fit(self, X: Sequence[str], y: np.ndarray, valid: np.ndarray) -> Self:
        """Train on the rows of SMILES (n,) and targets (n, 1) that are not in ``valid``."""
        train = np.setdiff1d(np.arange(len(X)), valid)
        with _chemprop(self.seed, self.device):
            learned, held_out = (_dataset([X[i] for i in rows], y[rows]) for rows in (train, valid))
            scaler = learned.normalize_targets()
            held_out.normalize_targets(scaler)
            self.model_ = _network(scaler)
            best = _best_epoch()
            trainer = self._trainer([best])
            trainer.fit(self.model_, self._batches(learned, True), self._batches(held_out, False))
            self.model_.load_state_dict(best.state)
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return values (n,)."""
        with _chemprop(self.seed, self.device):
            batches = self._batches(_dataset(X, np.zeros((len(X), 1))), False)
            parts = self._trainer([]).predict(self.model_, batches)
        return np.concatenate([part.cpu().numpy()[:, 0] for part in parts])

    def _batches(self, dataset: Any, shuffle: bool) -> Any:
        from chemprop.data import build_dataloader

        # Left to itself it drops a last batch of one, which only batch normalisation needs.
        return build_dataloader(dataset, self.batch_size, shuffle=shuffle, drop_last=False)

    def _trainer(self, callbacks: list[Any]) -> Any:
        from lightning.pytorch import Trainer

        return Trainer(
            max_epochs=self.epochs,
            accelerator="gpu" if self.device == "cuda" else "cpu",
            devices=1,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )


def featurize(smiles: Sequence[str]) -> list[Any]:
    """Return chemprop's molecules and graphs, built anew."""
    return [_graph.__wrapped__(text) for text in smiles]


@functools.lru_cache(maxsize=2**17)
def _graph(smiles: str) -> tuple[Any, Any]:
    from chemprop.data import MoleculeDatapoint

    molecule = MoleculeDatapoint.from_smi(smiles).mol
    return molecule, _featurizer()(molecule)


@functools.cache
def _featurizer() -> Any:
    from chemprop.featurizers import SimpleMoleculeMolGraphFeaturizer

    return SimpleMoleculeMolGraphFeaturizer()


def _dataset(smiles: Sequence[str], targets: np.ndarray) -> Any:
    from chemprop.data import MoleculeDatapoint, MoleculeDataset

    molecules, graphs = zip(*map(_graph, smiles), strict=True)
    dataset = MoleculeDataset(
        [MoleculeDatapoint(m, y) for m, y in zip(molecules, targets, strict=True)]
    )
    # What its own cache holds after ``cache = True``, without building each graph again.
    dataset.mg_cache = list(graphs)
    return dataset


def _network(scaler: Any) -> Any:
    from chemprop import nn
    from chemprop.models import MPNN

    return MPNN(
        nn.BondMessagePassing(d_h=WIDTH, depth=DEPTH),
        nn.MeanAggregation(),
        nn.RegressionFFN(
            input_dim=WIDTH,
            hidden_dim=WIDTH,
            output_transform=nn.UnscaleTransform.from_standard_scaler(scaler),
        ),
        warmup_epochs=WARMUP_EPOCHS,
        init_lr=INITIAL_RATE,
        max_lr=HIGHEST_RATE,
        final_lr=FINAL_RATE,
    )


def _best_epoch() -> Any:
    """Return a callback that keeps the state with the lowest validation loss."""
    from lightning.pytorch import Callback

    class BestEpoch(Callback):
        lowest = np.inf
        state: dict[str, Any]

        def on_validation_end(self, trainer: Any, module: Any) -> None:
            loss = float(trainer.callback_metrics["val_loss"])
            if loss < self.lowest:
                self.lowest = loss
                self.state = {k: v.detach().clone() for k, v in module.state_dict().items()}

    return BestEpoch()


@contextmanager
def _chemprop(seed: int, device: str) -> Iterator[None]:
    """Seed torch for the block and keep Lightning from talking."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Lightning gives its loggers a level when it is imported.
        import lightning.pytorch  # noqa: F401

        loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric")]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            with torch.random.fork_rng(devices=[0] if device == "cuda" else []):
                torch.manual_seed(seed)
                yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

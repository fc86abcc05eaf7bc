"""Kinds of input: how a table of such inputs is cleaned, and which inputs are the same thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chemdl.data.cleaning import Cleaned, clean_as_text
from chemdl.registry import Registry

# What a data set holds where it does not say so.
DEFAULT_INPUT = "smiles"


def same_text(inputs: NDArray[np.object_]) -> dict[str, NDArray[np.str_]]:
    """Return the inputs as their own identity, under the key ``input``."""
    return {"input": inputs.astype(str)}


def no_version() -> str:
    """Return nothing: cleaning rests on no library whose release matters."""
    return ""


@dataclass(frozen=True)
class InputKind:
    """What the data machinery must know of one kind of input.

    Attributes
    ----------
    clean
        (table, kind of targets, tolerance=…, apart=…) → rows that stay, as
        :func:`chemdl.data.cleaning.merge_rows` describes them.
    identities
        Inputs (n,) → names of identities, each with the keys (n,) of the inputs; rows of equal key
        are duplicates, "" is no key.
    version
        The release of the library that cleaning rests on; a stored clean set is used with the same
        release only.
    """

    clean: Callable[..., Cleaned] = clean_as_text
    identities: Callable[[NDArray[np.object_]], Mapping[str, NDArray[np.str_]]] = same_text
    version: Callable[[], str] = no_version


INPUTS: Registry[InputKind] = Registry("kind of input", "data")

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
    """Return "": the cleaning does not depend on the version of any library."""
    return ""


@dataclass(frozen=True)
class InputKind:
    """What loading and cleaning must know about one kind of input.

    Attributes
    ----------
    clean
        Function of (table, kind of targets, tolerance=…, apart=…) that returns the rows to keep, as
        :func:`chemdl.data.cleaning.merge_rows` does.
    identities
        Function from inputs (n,) to a mapping: the name of each kind of identity, and the keys (n,)
        of the inputs. Rows with equal keys are duplicates; "" means no key.
    version
        Version of the library that the cleaning depends on. A stored clean set is used with the
        same version only.
    """

    clean: Callable[..., Cleaned] = clean_as_text
    identities: Callable[[NDArray[np.object_]], Mapping[str, NDArray[np.str_]]] = same_text
    version: Callable[[], str] = no_version


INPUTS: Registry[InputKind] = Registry("kind of input", "data")

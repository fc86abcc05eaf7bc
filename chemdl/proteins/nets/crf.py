"""Linear-chain conditional random fields over scores that a network gives (Lafferty et al. 2001).

With scores e_t(s) of state s at site t and T(r, s) of a step from r to s::

    p(s_1 … s_L) = exp(Σ_t e_t(s_t) + Σ_t T(s_(t-1), s_t)) / Z.

All sums run over probabilities that are normalised at each site, so that a step is one small
matrix product and no chain is too long. A leading axis g holds fields side by side (the tasks of a
network, say); a field with fewer states than the others has scores of ``FORBIDDEN`` for the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor

# exp of it is zero beside any other score; with -inf gradients would be NaN.
FORBIDDEN = -1e4


def log_partition(scores: Tensor, steps: Tensor, mask: Tensor) -> Tensor:
    """Return log Z of each chain: (g, n).

    Parameters
    ----------
    scores
        Score of each state at each site, (g, n, L, S).
    steps
        Score of each step from one state (first S) to the next (second S), (g, S, S).
    mask
        Boolean, (n, L) or (g, n, L), true for sites; in each chain the sites come first, then
        padding.
    """
    top = scores.amax(3, keepdim=True).detach()
    _, totals = _forward((scores - top).exp(), steps.exp(), mask)
    # At padding the state sums to one already, and adds nothing.
    within = torch.cat(totals, dim=2).log() + top[:, :, :, 0]
    return (within * mask).sum(2)


def log_likelihood(scores: Tensor, steps: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Return log p of each chain's labels: (g, n).

    ``labels`` (g, n, L) are numbers of states, negative where not known; the likelihood is summed
    over all states of such sites.
    """
    states = torch.arange(scores.shape[3], device=scores.device)
    possible = (labels[..., None] < 0) | (labels[..., None] == states)
    bound = torch.where(possible, scores, FORBIDDEN)
    both = log_partition(torch.cat([bound, scores], dim=1), steps, torch.cat([mask, mask], dim=-2))
    fixed, free = both.chunk(2, dim=1)
    return fixed - free


def marginals(scores: Tensor, steps: Tensor, mask: Tensor) -> Tensor:
    """Return p(s_t = s) of each site: (g, n, L, S), by the forward-backward recursion."""
    local = (scores - scores.amax(3, keepdim=True)).exp()
    between = steps.exp()
    forward, _ = _forward(local, between, mask)
    back = torch.ones_like(forward[0])
    backward = [back]
    for t in range(scores.shape[2] - 1, 0, -1):
        moved = torch.bmm(local[:, :, t] * back, between.mT)
        back = torch.where(mask[..., t, None], moved, back)
        back = back / back.sum(2, keepdim=True)
        backward.append(back)
    product = torch.stack(forward, dim=2) * torch.stack(backward[::-1], dim=2)
    return product / product.sum(3, keepdim=True)


def _forward(local: Tensor, between: Tensor, mask: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return the state at each site, (g, n, S) of sum one, and what it was divided by, (g, n, 1).

    local : (g, n, L, S), between : (g, S, S); probabilities up to a factor. Padding changes none.
    """
    state, states, totals = local[:, :, 0], [], []
    for t in range(local.shape[2]):
        if t:
            moved = torch.bmm(state, between) * local[:, :, t]
            state = torch.where(mask[..., t, None], moved, state)
        totals.append(state.sum(2, keepdim=True))
        state = state / totals[-1]
        states.append(state)
    return states, totals

"""Honest figures: cross-validation with no conversation on both sides, and how near predictions are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kardia.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = [
    "FEWEST",
    "Agreement",
    "agreement",
    "chosen_strength",
    "folds_of",
    "needs",
    "one_thread",
    "out_of_fold",
    "splits",
]

FEWEST = 10
"""Cards, or pairs, below which nothing is fitted."""


def needs(*packages: str) -> None:
    """Raises MissingExtra where a package that fitting needs is not installed."""
    from importlib.util import find_spec

    if any(find_spec(package) is None for package in packages):
        raise MissingExtra("local", "fitting an aggregation")


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread: its sums do not depend then on how many cores there are, and what is small is
    quicker."""
    import scipy.optimize  # noqa: F401 - what is loaded later is not limited, and scipy brings a BLAS of its own
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


def folds_of(groups: Sequence[str], folds: int, seed: int) -> Index:
    """The fold of each row: groups are dealt out whole, the largest first, each to the fold with the fewest rows.

    Args:
        groups: each row's group.
        folds: how many; fewer where there are fewer groups.
        seed: groups of one size are shuffled by it.

    Returns:
        int64 of shape (rows,), from 0.

    Raises:
        InputError: where all rows are of one group.
    """
    import numpy as np

    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    if len(sizes) < 2:
        raise InputError("everything belongs to one group, so nothing can be held out: more conversations are needed")
    names = list(sizes)
    order = np.random.default_rng(seed).permutation(len(names))
    ranked = sorted(order.tolist(), key=lambda place: -sizes[names[place]])
    rows = [0] * min(folds, len(names))
    fold_of: dict[str, int] = {}
    for place in ranked:
        fewest = rows.index(min(rows))
        fold_of[names[place]] = fewest
        rows[fewest] += sizes[names[place]]
    return np.array([fold_of[group] for group in groups], dtype=np.int64)


def splits(fold_N: Index) -> list[tuple[Index, Index]]:
    """(rows to fit, rows held out) for each fold, ascending."""
    import numpy as np

    return [(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)) for fold in np.unique(fold_N)]


def chosen_strength(
    loss: Callable[[Index, Index, float], float],
    rows_N: Index,
    groups: Sequence[str],
    strengths: Sequence[float],
    folds: int,
    seed: int,
) -> float:
    """The strength with the least loss on held-out rows, of equals the greatest.

    Args:
        loss: (rows to fit, rows held out, strength) → the sum of the losses of the held-out rows.
        rows_N: the rows to choose by.
        groups: the group of every row there is.
        strengths: ascending.
    """
    if len(strengths) == 1:
        return strengths[0]
    parts = splits(folds_of([groups[row] for row in rows_N.tolist()], folds, seed))
    sums = [sum(loss(rows_N[fit], rows_N[held], strength) for fit, held in parts) for strength in strengths]
    best = min(sums)
    return max(strength for strength, total in zip(strengths, sums, strict=True) if total <= best)


def out_of_fold(
    predict: Callable[[Index, Index], Any], groups: Sequence[str], folds: int, seed: int, shape: tuple[int, ...]
) -> Array:
    """Each row's prediction by a fit that has seen nothing of its group.

    Args:
        predict: (rows to fit, rows held out) → predictions of those held out, of shape (held out, *shape).
    """
    import numpy as np

    found_N = np.zeros((len(groups), *shape))
    for fit, held in splits(folds_of(groups, folds, seed)):
        found_N[held] = predict(fit, held)
    return found_N


@dataclass(frozen=True, slots=True)
class Agreement:
    """How near predictions are to what was observed.

    Attributes:
        n: how many rows.
        pearson, spearman: in [−1, 1]; None where either column does not vary.
        rmse, mae: root mean square and mean absolute error, in the unit of the columns.
    """

    n: int
    pearson: float | None
    spearman: float | None
    rmse: float
    mae: float

    def to_json(self) -> dict[str, float | None]:
        return {"pearson": self.pearson, "spearman": self.spearman, "rmse": self.rmse, "mae": self.mae}


def agreement(predicted_N: Array, observed_N: Array) -> Agreement:
    """Compares two columns; ties have their mean rank."""
    import numpy as np
    from scipy.stats import pearsonr, spearmanr

    error_N = predicted_N - observed_N
    rmse, mae = float(np.sqrt(np.mean(error_N**2))), float(np.mean(np.abs(error_N)))
    if len(error_N) < 3 or np.ptp(predicted_N) < 1e-12 or np.ptp(observed_N) < 1e-12:
        return Agreement(len(error_N), None, None, rmse, mae)
    r, rho = pearsonr(predicted_N, observed_N), spearmanr(predicted_N, observed_N)
    return Agreement(len(error_N), float(r.statistic), float(rho.statistic), rmse, mae)

"""Rules fitted to what people said.

`isotonic`: the never falling function of least squares, by pool adjacent violators (Barlow and others 1972; Zadrozny
and Elkan 2002, "Transforming classifier scores into accurate multiclass probability estimates"), through scipy.
`temperature`: the probabilities' power of the greatest likelihood (Guo, Pleiss, Sun and Weinberger 2017, "On
calibration of modern neural networks"). `threshold`: cuts of the greatest quadratic κ, one cut after the other until
none moves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

from kardia.calibration.artifact import Isotonic, Rule, Temperature, Threshold, Unchanged
from kardia.calibration.cells import Cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Index = NDArray[np.int64]

__all__ = ["METHODS", "Method", "fitted", "parameters"]

Method = Literal["isotonic", "temperature", "threshold", "none"]
METHODS: tuple[Method, ...] = get_args(Method)

_DIGITS = 6
_BOUNDS = (math.log(0.1), math.log(10.0))
_CANDIDATES = 64
"""Places where a cut may lie, at most."""
_NEVER = 1.5
"""A cut that no value reaches."""
_BETTER = 1e-9
_ROUNDS = 20


def fitted(method: Method, cells: Cells, rows_N: Index) -> Rule:
    """The rule that fits these rows best; without figures, which the artifact adds.

    Args:
        method: `temperature` needs probabilities, `isotonic` and `threshold` a scale with an order.
        cells: one criterion.
        rows_N: which of its rows are seen.
    """
    if method == "isotonic":
        x, y = _isotonic(cells.value_N[rows_N], cells.people_N[rows_N])
        return Isotonic.model_construct(method="isotonic", x=x, y=y)
    if method == "temperature":
        assert cells.share_NL is not None
        found = _temperature(cells.share_NL[rows_N], cells.target_NL[rows_N])
        return Temperature.model_construct(method="temperature", temperature=found)
    if method == "threshold":
        rated_N = rows_N[cells.place_N[rows_N] >= 0]
        cuts = _cuts(cells.value_N[rated_N], cells.place_N[rated_N], cells.worth_L)
        return Threshold.model_construct(method="threshold", cuts=cuts)
    return Unchanged.model_construct(method="none")


def parameters(rule: Rule) -> Mapping[str, object]:
    """What a rule was fitted to be, without its figures."""
    if isinstance(rule, Isotonic):
        return {"method": rule.method, "x": rule.x, "y": rule.y}
    if isinstance(rule, Temperature):
        return {"method": rule.method, "temperature": rule.temperature}
    if isinstance(rule, Threshold):
        return {"method": rule.method, "cuts": rule.cuts}
    return {"method": "none"}


def _isotonic(value_N: Array, people_N: Array) -> tuple[list[float], list[float]]:
    """Points of the line; of a level stretch both ends."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    x_K, place_N = np.unique(np.round(value_N, _DIGITS), return_inverse=True)
    n_K = np.bincount(place_N).astype(np.float64)
    mean_K = np.bincount(place_N, people_N) / n_K
    y_K = np.round(np.clip(isotonic_regression(mean_K, weights=n_K).x, 0.0, 1.0), _DIGITS)
    keep_K = np.ones(len(x_K), dtype=bool)
    keep_K[1:-1] = (y_K[1:-1] != y_K[:-2]) | (y_K[1:-1] != y_K[2:])
    return x_K[keep_K].tolist(), np.maximum.accumulate(y_K[keep_K]).tolist()


def _temperature(share_NL: Array, target_NL: Array) -> float:
    """Where leaving the probabilities as they are is as likely, 1."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    log_NL = np.log(np.maximum(share_NL, 1e-6))

    def loss(log_temperature: float) -> float:
        scaled_NL = log_NL / math.exp(log_temperature)
        top_N = scaled_NL.max(axis=1, keepdims=True)
        total_N = top_N + np.log(np.exp(scaled_NL - top_N).sum(axis=1, keepdims=True))
        return float(-(target_NL * (scaled_NL - total_N)).sum())

    found = minimize_scalar(loss, bounds=_BOUNDS, method="bounded", options={"xatol": 1e-4})
    return round(math.exp(float(found.x)), 4) if found.fun < loss(0.0) else 1.0


def _cuts(value_N: Array, place_N: Index, worth_L: Sequence[float]) -> list[float]:
    """Cuts for levels from the least good one up, from the nearest levels and from people's base rates on."""
    import numpy as np

    apart_K = np.unique(np.round(value_N, _DIGITS))
    between_K = (apart_K[1:] + apart_K[:-1]) / 2.0
    if len(between_K) > _CANDIDATES:
        between_K = between_K[np.linspace(0, len(between_K) - 1, _CANDIDATES).astype(np.int64)]
    nominal = [(low + high) / 2.0 for low, high in pairwise(worth_L)]
    below = [float((place_N < level).mean()) for level in range(1, len(worth_L))]
    by_rates = [float(cut) for cut in np.quantile(value_N, below)]
    place_K = np.unique(np.concatenate([[0.0], between_K, nominal, [_NEVER]]))
    best: tuple[float, list[float]] = (-math.inf, nominal)
    for start in (nominal, by_rates):
        found = _climbed(list(start), value_N, place_N, place_K)
        if found[0] > best[0] + _BETTER:
            best = found
    return [round(cut, _DIGITS) for cut in best[1]]


def _climbed(cuts: list[float], value_N: Array, place_N: Index, place_K: Array) -> tuple[float, list[float]]:
    import numpy as np

    best = float(_kappas(_placed(cuts, value_N)[None], place_N)[0])
    for _ in range(_ROUNDS):
        moved = False
        for at in range(len(cuts)):
            low = cuts[at - 1] if at else -math.inf
            high = cuts[at + 1] if at + 1 < len(cuts) else math.inf
            tried_C = place_K[(place_K >= low) & (place_K <= high)]
            if not len(tried_C):
                continue
            others = _placed([*cuts[:at], *cuts[at + 1 :]], value_N)
            kappa_C = _kappas(others[None] + (value_N[None] >= tried_C[:, None]), place_N)
            # of cuts that serve as well the one that moves least
            serve_C = tried_C[kappa_C >= kappa_C.max() - _BETTER]
            if kappa_C.max() > best + _BETTER:
                best, moved = float(kappa_C.max()), True
                cuts[at] = float(serve_C[np.abs(serve_C - cuts[at]).argmin()])
        if not moved:
            break
    return best, cuts


def _placed(cuts: Sequence[float], value_N: Array) -> Index:
    import numpy as np

    return np.searchsorted(np.asarray(cuts, dtype=np.float64), value_N + 1e-9, side="right").astype(np.int64)


def _kappas(found_CN: Index, place_N: Index) -> Array:
    """Quadratic κ of each row of places with people's; 0 where both are one and the same level.

    Σ (i − j)² over all pairs of a judge's and a person's level is Σ i² + Σ j² − 2 Σ i Σ j / n, so no table is needed.
    """
    import numpy as np

    a_CN, b_N = found_CN.astype(np.float64), place_N.astype(np.float64)
    apart_C = ((a_CN - b_N) ** 2).mean(axis=1)
    chance_C = (a_CN**2).mean(axis=1) + (b_N**2).mean() - 2.0 * a_CN.mean(axis=1) * b_N.mean()
    return np.asarray(1.0 - np.divide(apart_C, chance_C, out=np.ones_like(apart_C), where=chance_C > 0))

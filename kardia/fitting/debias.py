"""How much of the length is taken out of each input (ArmoRM, arXiv 2406.12845).

value' = value − λ·verbosity, with λ the smallest of `LAMBDAS` for which Spearman(value', verbosity) ≤ 0.03 over a
reference set, one-sided: an input that likes short texts is left alone. Where none suffices, λ = 1. In ArmoRM the
verbosity is a trained head's; here it is the measured length, on a scale like that of values (`artifact.Verbosity`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kardia.artifact import Verbosity
from kardia.fitting.report import short

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["LAMBDAS", "MOST", "debias_of", "spearman", "verbosity_of"]

LAMBDAS = (0.0, 0.01, *(step / 1000 for step in range(25, 951, 25)))
"""0, .01, .025, .05, .075 … .95"""
MOST = 0.03
"""The greatest rank correlation with the length that is left."""


def verbosity_of(characters_N: Array) -> Verbosity:
    """The scale of verbosity, from the lengths of a reference set."""
    import numpy as np

    logs_N = np.log1p(characters_N)
    low, high = np.percentile(logs_N, [5, 95])
    span = float(high - low)
    return Verbosity(mean=short(float(logs_N.mean())), span=short(span) if span > 1e-6 else 1.0)


def debias_of(value_N: Array, verbosity_N: Array) -> float:
    """λ for one input.

    Args:
        value_N: its values over the reference set; NaN where it is not applicable.
        verbosity_N: how long the texts are.
    """
    import numpy as np

    there_N = ~np.isnan(value_N)
    value_N, verbosity_N = value_N[there_N], verbosity_N[there_N]
    for strength in LAMBDAS:
        if spearman(value_N - strength * verbosity_N, verbosity_N) <= MOST:
            return strength
    return 1.0


def spearman(a_N: Array, b_N: Array) -> float:
    """Spearman's rank correlation; 0 where either does not vary."""
    import numpy as np
    from scipy.stats import spearmanr

    if len(a_N) < 3 or np.ptp(a_N) < 1e-12 or np.ptp(b_N) < 1e-12:
        return 0.0
    return float(spearmanr(a_N, b_N).statistic)

"""How far raters agree: the statistics, their intervals, and the judge beside people. Pure.

A statistic is first a `Measure`, made ready by `cohen_kappa`, `gwet`, `shared`, `alpha`, `icc`, `pearson` and so on.
`measure.statistic()` is its value on all units; `Bootstrap(groups).statistic(measure)` has an interval as well, for
which whole groups (conversations) are drawn again. Both give a `Statistic`, which is never NaN: where there is no
value, `why` says so. `leave_one_out` sets a judge beside people. Needs numpy and scipy: kardia's extra `agree`.
"""

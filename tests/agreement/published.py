"""Worked examples that were published with their results, and tables as columns."""

from __future__ import annotations

from collections.abc import Sequence

_ = None

# Krippendorff 2011, example C; the same ratings are Gwet's (2014) `cac.raw4raters`. One column a rater
FOUR = [
    (1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3),
    (_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _),
]

# Gamer et al., R package irr: twenty subjects' anxiety by three raters
ANXIETY = [
    (3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3),
    (3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4),
    (2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2),
]

# the same package: twenty subjects' credibility in videos by four raters
VIDEO = [
    (4,) * 20,
    (4, 4, 4, 4, 3, 4, 3, 4, 3, 3, 4, 3, 4, 4, 4, 4, 4, 4, 4, 5),
    (3, 4, 5, 4, 2, 3, 2, 3, 3, 3, 3, 3, 4, 4, 3, 4, 4, 4, 4, 5),
    (4, 5, 5, 4, 4, 4, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4),
]

# Gwet 2014 (R package irrCAC, cont3x3abstractors): pregnancies by two abstractors
ABSTRACTORS = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
# Gwet 2014 (irrCAC, cont4x4diagnosis): clinical by research diagnoses
DIAGNOSES = [[40, 4, 4, 17], [6, 25, 2, 13], [4, 1, 21, 12], [15, 5, 9, 45]]
# Boyd et al. 1982 in Altman 1991, pages 403 to 405: xeromammograms by two radiologists
RADIOLOGISTS = [[21, 12, 0, 0], [4, 17, 1, 0], [3, 9, 15, 2], [0, 0, 0, 1]]
# Cohen 1968, table 1, in two hundredths: disorders by two judges
DISORDERS = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
# Landis and Koch 1977, the Winnipeg patients: multiple sclerosis by two neurologists
SCLEROSIS = [[38, 5, 0, 1], [33, 11, 3, 0], [10, 14, 5, 6], [3, 7, 3, 10]]
# Kundel and Polansky 2003, table A1: mammograms by two readers
MAMMOGRAMS = [[34, 10, 2, 0], [6, 8, 8, 2], [2, 5, 4, 12], [0, 1, 2, 14]]

# Signorell, R package DescTools, example of Agree: a hundred units by three raters
AGREED = [
    [level for level, count in zip((1, 2, 3) * 3, counts, strict=True) for _ in range(count)]
    for counts in ((60, 30, 10, 0, 0, 0, 0, 0, 0), (53, 5, 2, 11, 14, 5, 1, 6, 3), (48, 8, 3, 15, 10, 7, 3, 4, 2))
]
# Eekhout, R package Agree, examples of agreement and of weighted.agreement: fifteen units by four raters
TWO_LEVELS = [
    (1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1),
    (1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 0),
    (1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1),
    (1,) * 15,
]
FOUR_LEVELS = [
    (1, 2, 2, 0, 3, 3, 1, 0, 3, 0, 2, 2, 0, 3, 1),
    (1, 1, 1, 0, 3, 3, 1, 0, 1, 0, 2, 2, 0, 2, 1),
    (1, 1, 1, 3, 3, 2, 1, 0, 1, 0, 2, 2, 0, 3, 1),
    (1, 2, 1, 0, 3, 3, 1, 0, 3, 0, 2, 2, 0, 2, 1),
]
# de Vet, Mullender and Eekhout 2018, ordinal example (R package Agree, article on polytomous outcomes): all pairs of
# four surgeons' ratings of fifty breasts' symmetry
SURGEONS = [[6, 1, 0, 2, 0], [0, 19, 23, 8, 1], [0, 18, 39, 27, 4], [0, 4, 28, 28, 16], [0, 0, 2, 36, 38]]

# Shrout and Fleiss 1979, table 2: six targets by four judges
JUDGES = [(9, 2, 5, 8), (6, 1, 3, 2), (8, 4, 6, 8), (7, 1, 2, 6), (10, 5, 6, 9), (6, 2, 4, 7)]
# Zaiontz, Real Statistics (the data of pingouin's example): eight wines by four judges
WINES = [(1, 2, 0, 1), (1, 3, 3, 2), (3, 8, 1, 4), (6, 4, 3, 3), (6, 5, 5, 6), (7, 5, 6, 2), (8, 7, 7, 9), (9, 9, 9, 8)]

# Efron and Tibshirani 1993, table 3.1: fifteen law schools' mean LSAT score and grade point average
LAW = (
    (576, 635, 558, 578, 666, 580, 555, 661, 651, 605, 653, 575, 545, 572, 594),
    (3.39, 3.30, 2.81, 3.03, 3.44, 3.07, 3.00, 3.43, 3.36, 3.13, 3.12, 2.74, 2.76, 2.88, 2.96),
)

# Bland and Altman 1986, table 1, first measurements: peak flow by Wright's meter and by the small one
WRIGHT = (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
SMALL = (512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451)


def units(columns: Sequence[Sequence[object]]) -> list[tuple]:
    """Raters' columns as a table of units."""
    return list(zip(*columns, strict=True))


def rated(counts: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Two raters' columns whose cross table this is; levels from 1."""
    cells = [(i, j) for i, row in enumerate(counts, 1) for j, count in enumerate(row, 1) for _ in range(count)]
    return [i for i, _ in cells], [j for _, j in cells]


def scale(counts: Sequence[Sequence[int]]) -> list[int]:
    return list(range(1, len(counts) + 1))

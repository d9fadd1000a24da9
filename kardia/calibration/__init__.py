"""Calibration: a judge's answers corrected by what people said, bound to the rubric and the judge that it was made for.

It happens after the answer and is pure: the ledger keeps what the judge said.
"""

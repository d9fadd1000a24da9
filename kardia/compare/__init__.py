"""Two scored files, conversation by conversation: what rose, what fell, and why. Pure.

`comparison` pairs the cards and measures the differences. Needs numpy and scipy: kardia's extra `agree`.
"""

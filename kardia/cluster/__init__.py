"""Scoring on a Ray cluster: the input is cut into shards, actors that hold the judge score them, each writes its part.

Retries, restarts, scheduling and autoscaling are Ray's. What is here: what a shard is, what an actor does with one,
what all actors share (the budget, the limits, the wish to stop), and the folder that the parts lie in.
"""

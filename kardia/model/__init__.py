"""Students: small models that learn a judge's or people's levels, and say a distribution over them for a reply.

`tasks` says what is learnt, `labels` reads what from, `student` is the model and its folder, `scorer` runs it,
`training` trains it, `card` describes it, `reward` makes one number of it for trainers.
"""

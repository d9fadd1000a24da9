"""What makes students: small models that learn a judge's or people's levels.

`labels` reads what is learnt from, `training` trains by a `recipe`, `card` describes a student, `reward` makes one
number of it for trainers, and `export` writes that as a model of its own. What a student is: `kardia.student`.
"""

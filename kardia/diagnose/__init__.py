"""What is wrong with a judge as a reward: findings from scored groups. Pure.

`cards` reads scored files and `table` makes arrays of them; `signal`, `length`, `redundancy`, `noise`, `vetoes`,
`gaps`, `difference` and `drift` each look for one kind of fault, and `diagnosis` puts together what they found.
Needs numpy and scipy: kardia's extra `agree`.
"""

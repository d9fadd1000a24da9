"""A fitted student: heads on a backbone, and what they say of a pair.

`tasks` says what was learnt, `reading` and `tokens` what is read of a pair, `backbone`, `lora`, `network`, `heads` and
`ordinal` make levels of it, `student` is all of it in memory and `manifest` its folder, `scorer` runs it. What makes
students is `kardia.model`.
"""

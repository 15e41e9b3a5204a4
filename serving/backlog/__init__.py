"""Backlogs: many waiting cases scored from files into files, resumable after any stop.

`sources` finds the files, `reading` streams their rows, the workers of `pool` or `ray_engine` score chunks of them by
`Suggester.suggest` under the rules of `rounds`, `writing` keeps the results in parts that appear whole or not at all,
`run` joins these, and `triage` and `summary` say what came of it. `waiting` makes a backlog of the database's cases and
hands the suggestions back. Knows nothing of HTTP.
"""

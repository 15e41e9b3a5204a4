"""Backlogs: many waiting cases scored from files into files, resumable after any stop.

`sources` finds the files, `reading` streams their rows, `engine` has worker processes score chunks of them by
`Suggester.suggest`, `writing` keeps the results in parts that appear whole or not at all, `run` joins these, and
`triage` and `summary` say what came of it. Knows nothing of the database or of HTTP.
"""

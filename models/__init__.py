"""Domain types and classifiers: what a dispute is, and what its evidence says.

"Models" here means both the frozen types of the domain (`models.domain`) and the learned classifiers that score
evidence. Nothing in this package knows of the web, of SQL or of environment variables.
"""

"""Alembic's folder: one head, found from this file's own place, so that an installed checkout works anywhere."""

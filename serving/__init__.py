"""The review service: API, desk, store and backlog. Never imports `training`."""

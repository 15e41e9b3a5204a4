"""The HTTP API under /api/v1, one file a noun. Routes translate; what holds is decided in the store."""

"""The pages: rendered on the server, small scripts, no build step."""

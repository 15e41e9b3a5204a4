"""Measurements of speed that cross the house: scoring, backlogs and the service beside what one would write first."""

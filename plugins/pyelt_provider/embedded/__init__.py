"""A PostgreSQL of one's own, started from a Python package: for the demo and for the tests, without root or Docker."""

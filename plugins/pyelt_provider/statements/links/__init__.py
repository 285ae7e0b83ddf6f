"""Sor to links: whole links only, their history and status, and what waits for a key."""

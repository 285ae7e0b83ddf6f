"""Sor to valuesets: codes and their descriptions."""

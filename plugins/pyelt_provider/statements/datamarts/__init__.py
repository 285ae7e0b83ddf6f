"""Datamarts: what a model reads, its columns, its table or view, its load."""

"""Sor to hubs: business keys, fk columns, and when a key goes and comes back."""

"""Satellites of hubs and links: compared with their active rows, closed, added."""

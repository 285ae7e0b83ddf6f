"""Tables, views and functions: as values, compared with the catalogue, and made only where something is missing."""

"""What mappings share, whatever they fill: their source, the rows to look at, rows that cannot be evaluated."""

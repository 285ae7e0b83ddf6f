"""SQL text that knows of no table: what an expression needs, how values get their type, one text for one row."""

"""What an old PyELT left broken in a warehouse: how it is found, and what mends it."""

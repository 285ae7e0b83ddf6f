"""The sample project's source systems: deliveries of a small clinic, made up and the same each time."""

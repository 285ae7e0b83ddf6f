"""The vault as a whole: its tables, its views, its validations."""

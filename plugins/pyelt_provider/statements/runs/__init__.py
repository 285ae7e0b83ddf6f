"""What every run does around its loads: bookkeeping, locks, order, taking back, its first and its last stage."""

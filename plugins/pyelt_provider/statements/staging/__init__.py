"""Source to sor: deliveries, their comparison with what is active, rejected rows, validations."""

"""Why a delivered row has no place in staging; what stands in `_validation_msg` and `_exceptions`."""

NULL_KEY = "key is null"
REPEATED_KEY = "key occurs more than once in the delivery"

"""Rating: one pure pass for each kind of line item; `rate.PASSES` is the order of computation (R12.2)."""

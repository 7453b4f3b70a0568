"""The benchmark: how close the service comes to the limits of the machine that it runs on.

Every figure is a ratio to a limit (raw COPY, plain SQL, an empty echo) that is measured beside it, in the same run,
because machines differ and drift. Not shipped with the service.
"""

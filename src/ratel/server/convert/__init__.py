"""From the contracts' messages to the values of the core, and back; every pair stands together."""

"""The pure pricing core: values in, values out; no clock, no network, no logging, no await."""

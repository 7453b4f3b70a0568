"""Ratel, a gRPC rating service: usage goes in, exact bills come out."""

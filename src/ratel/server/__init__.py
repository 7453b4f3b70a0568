"""The gRPC room: one file per service, and what stands around them."""

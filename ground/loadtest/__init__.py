"""The load test: known telemetry through the whole path at a known rate, and proof that all of it is stored."""

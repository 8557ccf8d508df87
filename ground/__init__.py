"""Perilune Ground: mission telemetry from the ground station to the browser."""

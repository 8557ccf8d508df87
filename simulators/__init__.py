"""Simulated spacecraft and ground stations that speak the real link."""

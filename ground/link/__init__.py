"""The MQTT link: topics, the client of the hot path, the embedded broker."""

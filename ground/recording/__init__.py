"""The recording: write-ahead log, recorded pass and replay source in one."""

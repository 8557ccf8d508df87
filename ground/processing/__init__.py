"""What happens behind the recording: a router feeds one partition a mission, a partition is a chain of pure stages.

The output (rows, alarms, events, ledger) is a function of the recording alone: not of how it was cut into blocks, which
station came first in one, nor of restarts. Each stage keeps a small explicit state; a checkpoint is a position together
with the states there.
"""

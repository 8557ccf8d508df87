"""InfluxDB 2 as the store: a bucket with a measurement for each container and a field for each parameter.

The mission is a tag. InfluxDB has no transactions, so a mission's checkpoint is written when the server has confirmed
all rows before it; rows of an append that failed may be stored already, and are found again when it is repeated. It has
no NaN and no infinity (both are stored as nulls, and counted) and fewer types than Arrow. What is where:

================ ==================================================================================
module           content
================ ==================================================================================
``store``        the contract's methods
``address``      where the bucket is, and the token that opens it
``server``       one bucket over HTTP: writes that persist through troubles, queries
``setup``        ``ground influx setup``: user, organisation, bucket
``lineprotocol`` Arrow columns as lines
``points``       rows as points: their timestamps and lines
``journal``      alarms and events
``append``       the one writer of a bucket, and when it makes roll-ups
``writer``       writing a mission so that repeating it does no harm
``identity``     of that: which rows are new
``insert``       of that: points into the bucket
``rollups``      each minute of each parameter reduced to one point: when, and from what
``rolled``       of that: the points, and the statements that find them again
``minutes``      sets of minutes
``query``        parameters in InfluxQL, answers as Arrow columns
``history``      windows
``samples``      last values, rows
``records``      what the store keeps in the bucket for itself, as such
``container``    of that: each container's columns and types
``registry``     of that: all containers, when one gets new columns
``progress``     of that: checkpoint, counts, what an append was about to do
================ ==================================================================================
"""

from ground.stores.influxdb.address import Address, token_from
from ground.stores.influxdb.server import Server
from ground.stores.influxdb.store import InfluxdbStore

__all__ = ["Address", "InfluxdbStore", "Server", "token_from"]

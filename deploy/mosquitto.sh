#!/bin/sh
# The broker's password file out of the secret, then the broker.
set -eu
mosquitto_passwd -b -c "${PASSWORDS:-/tmp/passwords}" ground "$(cat "${SECRET:-/run/secrets/mqtt_password}")"
exec mosquitto -c "${CONFIG:-/mosquitto/config/mosquitto.conf}"

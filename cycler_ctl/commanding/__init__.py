"""Commands over MQTT: off by default, signed, fresh, once."""

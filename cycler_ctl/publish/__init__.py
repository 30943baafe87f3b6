"""Live data over MQTT, fed from the run files by cursor."""

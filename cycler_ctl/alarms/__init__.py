"""What needs a person, as one model: for MQTT, the page, the terminal and notifications."""

"""The historian of many stations: takes their messages from a broker, writes them to PostgreSQL, says what is complete."""

"""The durable record: one SQLite file per run, its writer, readers and exports."""

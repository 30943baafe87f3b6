"""The tables, one file a version, applied in order: ``001.sql`` and so on. A file once released never changes."""

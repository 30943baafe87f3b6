"""The protocol language and the engine: pure functions on frozen data, no I/O, no clock, no asyncio."""

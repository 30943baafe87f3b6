"""The service: drivers in, guarded runs, durable records out."""

"""The service under the system's own manager: installed, looked at, taken away."""

"""The Python interface: what `embedlab` gives by name, thin over the rooms that do the work."""

"""The Python interface: what `embedlab` gives by name, thin over the modules that do the work."""

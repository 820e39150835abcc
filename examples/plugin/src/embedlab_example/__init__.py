"""A plug-in for embedlab; each module is one of its entry points."""

"""Colours of the charts, which everyone can tell apart, and are seen on light and on dark."""

BLUE, ORANGE, GREY = "#2E8FD0", "#E69F00", "#888888"

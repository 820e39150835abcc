"""An index behind HTTP and MCP: what `embedlab serve` runs."""

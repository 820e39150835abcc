"""Models on tasks: plan, search or score, record."""

"""Settings of models: what stands behind a name or in a card, prompts, and what is in force."""

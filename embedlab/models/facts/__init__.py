"""What is known of a model: by itself, its card, mteb's registry and its training's record."""

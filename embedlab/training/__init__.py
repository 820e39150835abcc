"""Recipes that turn a base model into each method: `embedlab train RECIPE.toml`."""

"""How each kind of model is evaluated."""

"""A study: models x trainings x tasks as a paper compares them, from a TOML file to its report."""

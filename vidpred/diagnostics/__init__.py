"""Training diagnostics: gradients, health, divergence."""

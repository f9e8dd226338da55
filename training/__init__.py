"""Training of small Pi0.5 models in PyTorch. `sim/` and the node never import it."""

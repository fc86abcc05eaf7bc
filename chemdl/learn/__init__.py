"""Learning: the estimator around a network, the one training loop, and what it takes."""

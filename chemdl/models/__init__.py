"""Deep models: each module holds a network and a thin estimator around it."""

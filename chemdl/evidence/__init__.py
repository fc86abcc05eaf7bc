"""Evidence: claims, splits, metrics, statistics, studies, and the verdicts they end in."""

"""Materials: compositions and crystals, and the models that read them."""

"""Where keys are redeemed: the authority decides on a record that it read itself, peers ask it."""

"""Running the house: who may, and how its configuration is changed while it serves."""

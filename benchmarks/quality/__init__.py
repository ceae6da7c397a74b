"""How good the model is on the example sets: measured, told with intervals, written to the page."""

"""structstream: typed partial objects while the model is still writing."""

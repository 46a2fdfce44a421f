"""The widget's sections, in the order of the work."""

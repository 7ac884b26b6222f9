"""The language in which models, gradients and answers are written: expressions, systems, and text in and out."""

"""Sounds, such as voice messages: decoding them, and writing down what is said in them."""

"""What is like a sample: other samples, and passages of what is known about labels, products and the shop."""

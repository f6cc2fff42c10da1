"""What the page about the service shows: its decisions of late, and feedback to them."""

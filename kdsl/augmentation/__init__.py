"""Changed copies of training samples: dialogues in other words, screenshots taken a little differently."""
